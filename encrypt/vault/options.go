package vault

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/outbound"
)

const (
	// DefaultMount is the path of the secrets engine.
	DefaultMount = "transit"
	// DefaultTimeout bounds each request, with its connection and its answer.
	DefaultTimeout = 5 * time.Second
	// maxPath bounds mounts, namespaces and names of keys, in bytes.
	maxPath = 128
	// maxCertificate bounds the files of the client certificate, in bytes.
	maxCertificate = 1 << 20
	// maxIdleConns is the number of idle connections that are kept, and idleConnTime for
	// how long.
	maxIdleConns = 4
	idleConnTime = 90 * time.Second
)

// Options say which key to use and how to reach it. Address, Key and Login are required.
type Options struct {
	// Address is scheme and host, such as "https://vault.example.com:8200".
	Address string
	// AllowHTTP permits an Address of plain http on another machine. Seeds and the token
	// are then visible on the network.
	AllowHTTP bool
	Namespace string
	// Mount is the path of the Transit engine; empty: DefaultMount.
	Mount string
	// Key is the name of the Transit key.
	Key   string
	Login Login
	// CAFile has certificates in PEM that are trusted in addition to the system's.
	CAFile string
	// Timeout is zero for DefaultTimeout.
	Timeout time.Duration
	// Observe is told of each login and renewal, with the error of one that failed; nil:
	// nobody is. It must be safe for concurrent use, and must not wait.
	Observe func(Outcome, error)

	transport http.RoundTripper // instead of sockets; for tests
}

var (
	// keyName is what Transit takes as the name of a key.
	keyName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,126}[A-Za-z0-9_])?$`)
	// mountPath is stricter than the service, because it becomes part of a URL.
	mountPath = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$`)
)

// complete checks the options and fills in defaults.
func (o Options) complete() (Options, error) {
	o.Address = strings.TrimSuffix(o.Address, "/")
	if err := o.checkAddress(); err != nil {
		return o, fmt.Errorf("address: %w", err)
	}
	if o.Mount == "" {
		o.Mount = DefaultMount
	}
	o.Namespace = strings.Trim(o.Namespace, "/")
	switch {
	case !isPath(o.Mount):
		return o, fmt.Errorf("mount: %q is not the path of a secrets engine", o.Mount)
	case o.Namespace != "" && !isPath(o.Namespace):
		return o, fmt.Errorf("namespace: %q is not the path of a namespace", o.Namespace)
	case !keyName.MatchString(o.Key):
		return o, fmt.Errorf("key: %q is not the name of a transit key", o.Key)
	case o.Timeout < 0:
		return o, errors.New("timeout: negative")
	case o.Timeout == 0:
		o.Timeout = DefaultTimeout
	}
	if o.Observe == nil {
		o.Observe = func(Outcome, error) {}
	}
	var err error
	o.Login, err = o.Login.complete()
	return o, err
}

func isPath(s string) bool { return len(s) <= maxPath && mountPath.MatchString(s) }

func (o Options) checkAddress() error {
	u, err := outbound.ParseEndpoint(o.Address, "https://vault.example.com:8200")
	switch {
	case err != nil:
		return err
	case u.Scheme == "https":
		return nil
	case !o.AllowHTTP && !outbound.Loopback(u.Hostname()):
		return errors.New("plain http to another machine reveals seeds and the token; use https or set allow_http")
	case o.Login.Method == LoginCertificate:
		return errors.New("a login by certificate needs https")
	}
	return nil
}

// keyPath is the path of a verb's endpoint for the key.
func (o Options) keyPath(verb string) string { return o.Mount + "/" + verb + "/" + o.Key }

// sockets creates the transport, and the function that closes its idle connections.
func (o Options) sockets() (http.RoundTripper, func(), error) {
	if o.transport != nil {
		return o.transport, func() {}, nil
	}
	roots, err := outbound.Authorities(o.CAFile)
	if err != nil {
		return nil, nil, fmt.Errorf("ca_file: %w", err)
	}
	t := outbound.NewTransport(outbound.Sockets{
		Connect: o.Timeout, Header: o.Timeout, Idle: o.Timeout, Kept: maxIdleConns, KeptFor: idleConnTime, Roots: roots,
	})
	if o.Login.Method == LoginCertificate {
		if _, err := o.Login.certificate(); err != nil {
			return nil, nil, fmt.Errorf("certificate_path: %w", err)
		}
		t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return o.Login.certificate()
		}
	}
	return t, t.CloseIdleConnections, nil
}
