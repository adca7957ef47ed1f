package gcs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/outbound"
	"github.com/sanctum-storage/gateway/plainfile"
)

const (
	// DefaultEndpoint is Google's own.
	DefaultEndpoint = "https://storage.googleapis.com"
	// DefaultConnectTimeout bounds dialling, and the TLS handshake once more.
	DefaultConnectTimeout = 10 * time.Second
	// DefaultResponseHeaderTimeout bounds the wait for an answer once the
	// request is sent: after a large upload the service still has work to do.
	DefaultResponseHeaderTimeout = 60 * time.Second
	// MaxPrefix is the longest Prefix in bytes: names of objects hold 1,024.
	MaxPrefix = 900
	// DefaultIdleTimeout bounds how long a body may stand still in either
	// direction, and a blob's fall behind outbound.MinPace.
	DefaultIdleTimeout = 30 * time.Second
	// DefaultAnswerTimeout bounds all of an answer that is no blob, from its
	// headers on.
	DefaultAnswerTimeout = time.Minute
	// maxIdleConns is how many idle connections are kept, and idleConnTime how
	// long.
	maxIdleConns = 64
	idleConnTime = 90 * time.Second
	// socketBuffer is the transport's buffer for each direction of a
	// connection, in bytes.
	socketBuffer = 64 << 10
	// maxAuthorities bounds CAFile, in bytes.
	maxAuthorities = 1 << 20
)

// Options say which bucket and how to reach it. Bucket is required.
type Options struct {
	// Endpoint is scheme and host of the JSON API; empty: DefaultEndpoint.
	Endpoint string
	// AllowHTTP permits an Endpoint of plain http on another machine. Anybody on
	// the way then sees the token.
	AllowHTTP bool
	Bucket    string
	// Prefix goes before each blob id, "gateway/" say; it may be empty.
	Prefix string
	// CredentialsFile is JSON of a service account, an external account
	// (workload identity federation) or another type that Google's libraries
	// read. Empty: application default credentials, which are the file that
	// GOOGLE_APPLICATION_CREDENTIALS names, gcloud's own, or the metadata server.
	CredentialsFile string
	// Anonymous sends no credential: for emulators.
	Anonymous bool
	// CAFile has certificates in PEM that are trusted beside the system's, for
	// the token endpoint, too.
	CAFile string
	// StorageClass of new objects, such as "NEARLINE"; empty: the bucket's.
	StorageClass string
	// ReadOnly makes Put and Delete answer ErrReadOnly, and asks for a token
	// that cannot write.
	ReadOnly bool
	// 0: the defaults above.
	ConnectTimeout        time.Duration
	ResponseHeaderTimeout time.Duration
	IdleTimeout           time.Duration
	AnswerTimeout         time.Duration
}

var (
	// bucketName is looser than Google's rules, which have changed, and strict
	// enough for a path.
	bucketName   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)
	storageClass = regexp.MustCompile(`^[A-Z_]{0,40}$`)
)

// complete checks the options and fills in defaults.
func (o Options) complete() (Options, error) {
	if o.Endpoint == "" {
		o.Endpoint = DefaultEndpoint
	}
	o.Endpoint = strings.TrimSuffix(o.Endpoint, "/")
	if err := o.checkEndpoint(); err != nil {
		return o, fmt.Errorf("option Endpoint: %w", err)
	}
	if !bucketName.MatchString(o.Bucket) || strings.Contains(o.Bucket, "..") {
		return o, fmt.Errorf("option Bucket: %q is no name of a bucket", o.Bucket)
	}
	if err := checkPrefix(o.Prefix); err != nil {
		return o, fmt.Errorf("option Prefix: %w", err)
	}
	if !storageClass.MatchString(o.StorageClass) {
		return o, fmt.Errorf("option StorageClass: %q is no storage class", o.StorageClass)
	}
	if o.Anonymous && o.CredentialsFile != "" {
		return o, errors.New("option Anonymous: a CredentialsFile is given, too")
	}
	for _, d := range []struct {
		name  string
		field *time.Duration
		value time.Duration
	}{
		{"ConnectTimeout", &o.ConnectTimeout, DefaultConnectTimeout}, {"ResponseHeaderTimeout", &o.ResponseHeaderTimeout, DefaultResponseHeaderTimeout},
		{"IdleTimeout", &o.IdleTimeout, DefaultIdleTimeout}, {"AnswerTimeout", &o.AnswerTimeout, DefaultAnswerTimeout},
	} {
		if *d.field < 0 {
			return o, fmt.Errorf("option %s: negative", d.name)
		}
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o, nil
}

func (o Options) checkEndpoint() error {
	u, err := url.Parse(o.Endpoint)
	if err != nil {
		return errors.New("not a URL") // the parser's own words repeat a password
	}
	switch {
	case u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return errors.New("want scheme and host only, such as " + DefaultEndpoint)
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("scheme %q is neither https nor http", u.Scheme)
	case !o.AllowHTTP && !loopback(u.Hostname()):
		return errors.New("plain http to another machine shows it the token; use https or set AllowHTTP")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func checkPrefix(p string) error {
	switch {
	case len(p) > MaxPrefix:
		return fmt.Errorf("%d bytes, at most %d are possible", len(p), MaxPrefix)
	case !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl):
		return errors.New("not UTF-8, or with control characters")
	case strings.HasPrefix(p, ".well-known/acme-challenge/"):
		return errors.New("GCS refuses names that begin so")
	}
	return nil
}

// sockets makes the connections.
func (o Options) sockets() (*http.Transport, error) {
	roots, err := o.roots()
	if err != nil {
		return nil, fmt.Errorf("option CAFile: %w", err)
	}
	return outbound.NewTransport(outbound.Sockets{
		Connect: o.ConnectTimeout, Header: o.ResponseHeaderTimeout, Idle: o.IdleTimeout,
		Kept: maxIdleConns, KeptFor: idleConnTime, Roots: roots, Buffer: socketBuffer,
	}), nil
}

// roots is nil for the system's own.
func (o Options) roots() (*x509.CertPool, error) {
	if o.CAFile == "" {
		return nil, nil
	}
	pem, err := plainfile.Read(o.CAFile, maxAuthorities)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM", o.CAFile)
	}
	return pool, nil
}

// suspect is the option that a failed first request points at.
func (o Options) suspect(err error) string {
	switch {
	case errors.Is(err, ErrNoBucket):
		return "Bucket"
	case errors.Is(err, backends.ErrDenied) && o.Anonymous:
		return "Anonymous"
	case errors.Is(err, backends.ErrDenied), errors.Is(err, errNoToken):
		return "CredentialsFile"
	}
	return "Endpoint"
}
