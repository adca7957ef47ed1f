package outbound

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/sanctum-storage/gateway/plainfile"
)

// maxAuthorities bounds a file of certificates, in bytes.
const maxAuthorities = 1 << 20

// Authorities returns the system's certificate authorities and those of a file in PEM.
// Without a file it returns nil, which stands for the system's own. Errors name the file.
func Authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := plainfile.Read(file, maxAuthorities)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM", file)
	}
	return pool, nil
}

// ParseEndpoint reads the URL of a service: http or https, a host, perhaps a port, and
// nothing else. example is for the error, which repeats nothing of the text but its
// scheme: it could have a password.
func ParseEndpoint(text, example string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, errors.New("want scheme and host only, such as " + example)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("scheme %q is neither https nor http", u.Scheme)
	}
	return u, nil
}

// Loopback reports whether only this machine can reach a host, which is a name or an
// address without a port. Names other than localhost are not resolved, because their
// meaning may change.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
