package s3

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// Values of Options.Addressing.
const (
	AddressingAuto    = "auto"
	AddressingPath    = "path"
	AddressingVirtual = "virtual"
)

// Values of Options.Credentials.
const (
	CredentialsAuto        = "auto"
	CredentialsStatic      = "static"
	CredentialsEnv         = "env"
	CredentialsFile        = "file"
	CredentialsIMDS        = "imds"
	CredentialsWebIdentity = "web_identity"
)

// Defaults of Options, and the limit of a prefix.
const (
	DefaultPartSize       = 512 << 20 // bytes
	DefaultConnectTimeout = 5 * time.Second
	DefaultHeaderTimeout  = 60 * time.Second // the response to Complete of a large upload is late
	DefaultIdleTimeout    = 30 * time.Second
	DefaultAnswerTimeout  = 2 * time.Minute // some servers send blanks until a large upload is completed
	MaxPrefixLen          = 512             // bytes; S3 keys end at 1,024
)

// Options say where the bucket is and how to reach it. AWS only needs Bucket. Open
// checks them; its errors name the wrong field.
type Options struct {
	// Endpoint is the URL of the service, http or https, with no path: the
	// bucket is not part of it. Empty: AWS, by region.
	Endpoint string
	// Bucket must exist: Open does not create it.
	Bucket string
	// Prefix precedes a blob's id in the name of its object. It should be for the
	// gateway only. Slashes at both ends are optional; Open adds one at the end of
	// a non-empty prefix.
	Prefix string
	// Region is the signing region. Empty: Open asks the server.
	Region string
	// Addressing is "path" (host/bucket/key), "virtual" (bucket.host/key), or
	// "auto" (also ""), the preference of the dialect's provider.
	Addressing string
	// Dialect names a row of the table in this package (see Dialects), which Open
	// then trusts. "auto" (also ""): chosen by the host name where that is enough,
	// otherwise probed at Open by writing a few small objects.
	Dialect string

	// Credentials is the source of the key: "static" (AccessKey, SecretKey,
	// SessionToken), "env" (AWS_ACCESS_KEY_ID and so on), "file" (AWS's credential
	// and configuration files), "web_identity" (a token file, as in Kubernetes),
	// "imds" (the role of an EC2 instance or ECS task). "auto" (also "") is static
	// where AccessKey is set, and otherwise the first of the others, in the order
	// env, file, web_identity, imds, that has a key; it is then kept.
	Credentials  string
	AccessKey    string
	SecretKey    string
	SessionToken string
	// CredentialsFile replaces AWS's default files; Profile is the section in it.
	// Empty: AWS_PROFILE, or "default".
	CredentialsFile string
	Profile         string

	// CAFile is a PEM file with authorities that are trusted in addition to the
	// system's. Empty: none.
	CAFile string
	// StorageClass is the class of new blobs. Empty: the bucket's default.
	StorageClass string
	// PartSize is the size in bytes of the parts of a blob above the limit of a
	// single PUT. 0: DefaultPartSize, within the dialect's limits. Parts are
	// streamed and need no memory.
	PartSize int64
	// SingleLimit lowers the limit of a single PUT, in bytes, for proxies with
	// their own limit. 0: the dialect's.
	SingleLimit int64
	// TrustIDs omits the HEAD before a PUT where the dialect has no conditional
	// writes. Blob ids are random and used once, so a PUT can only meet another
	// blob by a fault of the caller.
	TrustIDs bool

	// ConnectTimeout bounds each TCP and TLS handshake. HeaderTimeout bounds the
	// wait for a response after a request is sent. IdleTimeout bounds pauses of a
	// body in either direction, and how far a blob falls behind outbound.MinPace.
	// AnswerTimeout bounds a whole response other than a blob, from its headers on.
	// 0: the defaults.
	ConnectTimeout time.Duration
	HeaderTimeout  time.Duration
	IdleTimeout    time.Duration
	AnswerTimeout  time.Duration

	// ReadOnly makes Put and Delete fail with backends.ErrReadOnly. Open then
	// probes nothing, and Check only lists.
	ReadOnly bool
}

// invalid is an error about one field.
func invalid(field, format string, args ...any) error {
	return fmt.Errorf("%s %s", field, fmt.Sprintf(format, args...))
}

// complete checks o and fills in its defaults.
func (o *Options) complete() error {
	o.Prefix = strings.Trim(o.Prefix, "/")
	if o.Prefix != "" {
		o.Prefix += "/"
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		unset time.Duration
	}{
		{"connect timeout", &o.ConnectTimeout, DefaultConnectTimeout},
		{"header timeout", &o.HeaderTimeout, DefaultHeaderTimeout},
		{"idle timeout", &o.IdleTimeout, DefaultIdleTimeout},
		{"answer timeout", &o.AnswerTimeout, DefaultAnswerTimeout},
	} {
		if *d.value < 0 {
			return invalid(d.name, "%v: want a positive duration", *d.value)
		}
		if *d.value == 0 {
			*d.value = d.unset
		}
	}
	if o.PartSize < 0 {
		return invalid("part size", "%d: want a positive number of bytes", o.PartSize)
	}
	if o.SingleLimit < 0 {
		return invalid("single limit", "%d: want a positive number of bytes", o.SingleLimit)
	}
	if err := oneOf("addressing", &o.Addressing, AddressingAuto, AddressingPath, AddressingVirtual); err != nil {
		return err
	}
	if err := oneOf("dialect", &o.Dialect, append([]string{DialectAuto}, Dialects()...)...); err != nil {
		return err
	}
	if err := s3utils.CheckValidBucketNameStrict(o.Bucket); err != nil {
		return invalid("bucket", "%q: %v", o.Bucket, err)
	}
	if err := checkPrefix(o.Prefix); err != nil {
		return err
	}
	return o.completeCredentials()
}

func (o *Options) completeCredentials() error {
	if err := oneOf("credentials", &o.Credentials, CredentialsAuto, CredentialsStatic, CredentialsEnv,
		CredentialsFile, CredentialsIMDS, CredentialsWebIdentity); err != nil {
		return err
	}
	static := o.AccessKey != "" || o.SecretKey != "" || o.SessionToken != ""
	if o.Credentials == CredentialsAuto && static {
		o.Credentials = CredentialsStatic
	}
	switch {
	case o.Credentials == CredentialsStatic && o.AccessKey == "":
		return invalid("access key", "is missing")
	case o.Credentials == CredentialsStatic && o.SecretKey == "":
		return invalid("secret key", "is missing")
	case o.Credentials != CredentialsStatic && static:
		return invalid("credentials", "%q: contradicts the access key, which is also set", o.Credentials)
	}
	return nil
}

// oneOf checks a value. It replaces an empty one by the first of wanted.
func oneOf(field string, value *string, wanted ...string) error {
	if *value == "" {
		*value = wanted[0]
	}
	if slices.Contains(wanted, *value) {
		return nil
	}
	last := len(wanted) - 1
	return invalid(field, "%q: want %s or %s", *value, strings.Join(wanted[:last], ", "), wanted[last])
}

// checkPrefix refuses prefixes that some client, proxy or provider would rewrite.
func checkPrefix(prefix string) error {
	if len(prefix) > MaxPrefixLen {
		return invalid("prefix", "has %d bytes: want at most %d", len(prefix), MaxPrefixLen)
	}
	for _, part := range strings.Split(strings.TrimSuffix(prefix, "/"), "/") {
		if part == "." || part == ".." || (part == "" && prefix != "") {
			return invalid("prefix", "%q: has an empty part, \".\" or \"..\"", prefix)
		}
	}
	for _, c := range prefix {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./", c) {
			return invalid("prefix", "%q: want letters, digits, \"-\", \"_\", \".\" and \"/\"", prefix)
		}
	}
	return nil
}

// awsEndpoint serves every region. It finds the region of a bucket.
const awsEndpoint = "https://s3.amazonaws.com"

// endpoint reads Options.Endpoint.
func (o *Options) endpoint() (*url.URL, error) {
	text := o.Endpoint
	if text == "" {
		text = awsEndpoint
	}
	u, err := url.Parse(text)
	switch {
	case err != nil: // the parser's error could repeat a password in the URL
		return nil, invalid("endpoint", "is not a URL")
	case u.User != nil:
		return nil, invalid("endpoint", "has a user name: put the key into access key and secret key")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, invalid("endpoint", "%q: want a URL that begins with http:// or https://", text)
	case u.Hostname() == "":
		return nil, invalid("endpoint", "%q: has no host", text)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, invalid("endpoint", "%q: want scheme, host and port only; the bucket has a field of its own", text)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
