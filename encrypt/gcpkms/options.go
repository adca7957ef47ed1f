package gcpkms

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/outbound"
)

const (
	// DefaultEndpoint is Google's own.
	DefaultEndpoint = "https://cloudkms.googleapis.com"
	// DefaultTimeout bounds a call with its token and its retry. It is less than the
	// time in which a client gives up.
	DefaultTimeout = 5 * time.Second
	// maxIdleConns is the number of idle connections that are kept, and idleConnTime for
	// how long.
	maxIdleConns = 16
	idleConnTime = 90 * time.Second
)

// Options say which key to use and how to reach it. Key is required. Errors name an option
// by its setting, such as ca_file.
type Options struct {
	// Key is the resource name of a symmetric key,
	// "projects/P/locations/L/keyRings/R/cryptoKeys/K". New seeds are wrapped with its
	// primary version, or with the one that "/cryptoKeyVersions/N" at its end names.
	Key string
	// Endpoint is scheme and host of the API, such as that of a location; empty:
	// DefaultEndpoint. Plain http is for this machine only.
	Endpoint string
	// CredentialsFile is JSON of a service account, an external account (workload
	// identity federation) or another type that Google's libraries read. Empty:
	// application default credentials.
	CredentialsFile string
	// CAFile has certificates in PEM that are trusted in addition to the system's, also
	// for the token endpoint.
	CAFile string
	// Timeout bounds each call; zero: DefaultTimeout.
	Timeout time.Duration
	// Observe is told of each request for a token, with the error of one that failed; nil:
	// nobody is. It must be safe for concurrent use, and must not wait.
	Observe func(error)

	transport http.RoundTripper // instead of sockets; for tests
}

// complete checks the options and fills in defaults.
func (o Options) complete() (Options, error) {
	if o.Endpoint == "" {
		o.Endpoint = DefaultEndpoint
	}
	o.Endpoint = strings.TrimSuffix(o.Endpoint, "/")
	if err := checkKey(o.Key); err != nil {
		return o, fmt.Errorf("key: %w", err)
	}
	if err := o.checkEndpoint(); err != nil {
		return o, fmt.Errorf("endpoint: %w", err)
	}
	if o.Timeout < 0 {
		return o, errors.New("timeout: negative")
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	return o, nil
}

// checkKey checks the form of Options.Key.
func checkKey(key string) error {
	if !keyForm.MatchString(key) {
		return fmt.Errorf("%q is not the resource name of a key, such as projects/P/locations/L/keyRings/R/cryptoKeys/K", key)
	}
	return nil
}

// split returns the key, and its version if Key names one.
func (o Options) split() (keyName, string) {
	m := keyForm.FindStringSubmatch(o.Key)
	return keyName{project: m[1], rest: m[2]}, m[3]
}

func (o Options) checkEndpoint() error {
	u, err := outbound.ParseEndpoint(o.Endpoint, DefaultEndpoint)
	switch {
	case err != nil:
		return err
	case u.Scheme == "http" && !outbound.Loopback(u.Hostname()):
		return errors.New("plain http to another machine reveals seeds and the token; use https")
	}
	return nil
}

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
	return t, t.CloseIdleConnections, nil
}
