package gcs

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/outbound"
	"github.com/sanctum-storage/gateway/outbound/googleauth"
)

const (
	// DefaultEndpoint is Google's own.
	DefaultEndpoint = "https://storage.googleapis.com"
	// DefaultConnectTimeout bounds dialling, and again the TLS handshake.
	DefaultConnectTimeout = 10 * time.Second
	// DefaultResponseHeaderTimeout bounds the wait for a response after the request
	// is sent: the service needs time after a large upload.
	DefaultResponseHeaderTimeout = 60 * time.Second
	// MaxPrefix is the longest Prefix in bytes: names of objects have up to 1,024.
	MaxPrefix = 900
	// DefaultIdleTimeout bounds pauses of a body in either direction, and how far a
	// blob falls behind outbound.MinPace.
	DefaultIdleTimeout = 30 * time.Second
	// DefaultAnswerTimeout bounds a whole response other than a blob, from its
	// headers on.
	DefaultAnswerTimeout = time.Minute
	// maxIdleConns is the number of idle connections that are kept, and
	// idleConnTime for how long.
	maxIdleConns = 64
	idleConnTime = 90 * time.Second
	// socketBuffer is the transport's buffer for each direction of a
	// connection, in bytes.
	socketBuffer = 64 << 10
)

// Options say which bucket to use and how to reach it. Bucket is required.
type Options struct {
	// Endpoint is scheme and host of the JSON API; empty: DefaultEndpoint.
	Endpoint string
	// AllowHTTP permits an Endpoint of plain http on another machine. The token is
	// then visible on the network.
	AllowHTTP bool
	Bucket    string
	// Prefix precedes each blob id, for example "gateway/"; it may be empty.
	Prefix string
	// CredentialsFile is JSON of a service account, an external account (workload
	// identity federation) or another type that Google's libraries read. Empty:
	// application default credentials, which are the file of
	// GOOGLE_APPLICATION_CREDENTIALS, gcloud's own, or the metadata server.
	CredentialsFile string
	// Anonymous sends no credential: for emulators.
	Anonymous bool
	// CAFile has certificates in PEM that are trusted in addition to the system's,
	// also for the token endpoint.
	CAFile string
	// StorageClass is the class of new objects, such as "NEARLINE"; empty: the
	// bucket's.
	StorageClass string
	// ReadOnly makes Put and Delete return ErrReadOnly, and requests a token that
	// cannot write.
	ReadOnly bool
	// Zero means the defaults above.
	ConnectTimeout        time.Duration
	ResponseHeaderTimeout time.Duration
	IdleTimeout           time.Duration
	AnswerTimeout         time.Duration
}

var (
	// bucketName is looser than Google's rules, which have changed, but strict
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
		return o, fmt.Errorf("option Bucket: %q is not a valid bucket name", o.Bucket)
	}
	if err := checkPrefix(o.Prefix); err != nil {
		return o, fmt.Errorf("option Prefix: %w", err)
	}
	if !storageClass.MatchString(o.StorageClass) {
		return o, fmt.Errorf("option StorageClass: %q is not a valid storage class", o.StorageClass)
	}
	if o.Anonymous && o.CredentialsFile != "" {
		return o, errors.New("option Anonymous: CredentialsFile must not be set too")
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
	u, err := outbound.ParseEndpoint(o.Endpoint, DefaultEndpoint)
	switch {
	case err != nil:
		return err
	case u.Scheme == "http" && !o.AllowHTTP && !outbound.Loopback(u.Hostname()):
		return errors.New("plain http to another machine reveals the token; use https or set AllowHTTP")
	}
	return nil
}

func checkPrefix(p string) error {
	switch {
	case len(p) > MaxPrefix:
		return fmt.Errorf("%d bytes, want at most %d", len(p), MaxPrefix)
	case !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl):
		return errors.New("it is not UTF-8, or has control characters")
	case strings.HasPrefix(p, ".well-known/acme-challenge/"):
		return errors.New("GCS refuses names that begin with .well-known/acme-challenge/")
	}
	return nil
}

// sockets creates the transport.
func (o Options) sockets() (*http.Transport, error) {
	roots, err := outbound.Authorities(o.CAFile)
	if err != nil {
		return nil, fmt.Errorf("option CAFile: %w", err)
	}
	return outbound.NewTransport(outbound.Sockets{
		Connect: o.ConnectTimeout, Header: o.ResponseHeaderTimeout, Idle: o.IdleTimeout,
		Kept: maxIdleConns, KeptFor: idleConnTime, Roots: roots, Buffer: socketBuffer,
	}), nil
}

// suspect returns the option that a failed first request suggests to check.
func (o Options) suspect(err error) string {
	switch {
	case errors.Is(err, ErrNoBucket):
		return "Bucket"
	case errors.Is(err, backends.ErrDenied) && o.Anonymous:
		return "Anonymous"
	case errors.Is(err, backends.ErrDenied), errors.Is(err, googleauth.ErrNoToken):
		return "CredentialsFile"
	}
	return "Endpoint"
}
