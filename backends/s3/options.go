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

// Defaults of Options, and what a prefix may have.
const (
	DefaultPartSize       = 512 << 20 // bytes
	DefaultConnectTimeout = 5 * time.Second
	DefaultHeaderTimeout  = 60 * time.Second // Complete of a large upload answers late
	DefaultIdleTimeout    = 30 * time.Second
	DefaultAnswerTimeout  = 2 * time.Minute // some send blanks until a large upload is completed
	MaxPrefixLen          = 512             // bytes; S3 keys end at 1,024
)

// Options say where the bucket is and how to reach it. Only Bucket is needed
// for AWS. Open checks them and names the field that is wrong.
type Options struct {
	// Endpoint is the URL of the service, http or https, with no path: the
	// bucket is not part of it. Empty: AWS, by region.
	Endpoint string
	// Bucket must exist: Open does not make it.
	Bucket string
	// Prefix is put before the text of a blob's id. It should be for the
	// gateway's use alone. Slashes at its ends are no matter; a prefix that is
	// not empty ends in one.
	Prefix string
	// Region is the one that requests are signed for. Empty: asked for at Open.
	Region string
	// Addressing is "path" (host/bucket/key), "virtual" (bucket.host/key), or
	// "auto" (also ""), which is what the dialect's provider prefers.
	Addressing string
	// Dialect names a row of the table in this package (see Dialects), which is
	// then believed. "auto" (also ""): known from the host name where that is
	// enough, and found out at Open by writing a few small objects otherwise.
	Dialect string

	// Credentials is where the key comes from: "static" (AccessKey, SecretKey,
	// SessionToken), "env" (AWS_ACCESS_KEY_ID and so on), "file" (AWS's
	// credential and configuration files), "web_identity" (a token file, as in
	// Kubernetes), "imds" (the role of an EC2 instance or ECS task). "auto"
	// (also ""): static where AccessKey is set, and else the first of the
	// others, in this order, that has one; it is kept from then on.
	Credentials  string
	AccessKey    string
	SecretKey    string
	SessionToken string
	// CredentialsFile is read instead of AWS's default files; Profile is the
	// section in it. Empty: AWS_PROFILE, or "default".
	CredentialsFile string
	Profile         string

	// CAFile is a PEM file with authorities that are trusted beside the
	// system's. Empty: none.
	CAFile string
	// StorageClass of new blobs. Empty: the bucket's default.
	StorageClass string
	// PartSize is how many bytes the parts of a blob above the limit of a
	// single PUT have. 0: DefaultPartSize, within the dialect's limits. Parts
	// are streamed: it costs no memory.
	PartSize int64
	// SingleLimit lowers the size up to which a blob is sent as one PUT, for
	// proxies with a limit of their own, in bytes. 0: the dialect's.
	SingleLimit int64
	// TrustIDs drops the HEAD that precedes a PUT where the dialect has no
	// conditional writes. Blob ids are random and used once, so a PUT cannot
	// meet another blob but by a fault of the caller.
	TrustIDs bool

	// ConnectTimeout bounds TCP and TLS handshakes each, HeaderTimeout the wait
	// for an answer once a request is sent, IdleTimeout how long a body may
	// stand still in either direction, and a blob's fall behind
	// outbound.MinPace, AnswerTimeout all of an answer that is no blob, from its
	// headers on. 0: the defaults.
	ConnectTimeout time.Duration
	HeaderTimeout  time.Duration
	IdleTimeout    time.Duration
	AnswerTimeout  time.Duration

	// ReadOnly makes Put and Delete fail with backends.ErrReadOnly. Then
	// nothing is probed at Open, and Check only lists.
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
		return invalid("credentials", "%q: contradicts the access key that is given too", o.Credentials)
	}
	return nil
}

// oneOf makes an empty value the first of those wanted.
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

// checkPrefix refuses what some client, proxy or provider would rewrite.
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

// awsEndpoint serves every region: it is where a bucket is looked for whose
// region is not known.
const awsEndpoint = "https://s3.amazonaws.com"

// endpoint reads Options.Endpoint.
func (o *Options) endpoint() (*url.URL, error) {
	text := o.Endpoint
	if text == "" {
		text = awsEndpoint
	}
	u, err := url.Parse(text)
	switch {
	case err != nil: // its text would repeat a password in the URL
		return nil, invalid("endpoint", "is not a URL")
	case u.User != nil:
		return nil, invalid("endpoint", "holds a user name: want the key in access key and secret key")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, invalid("endpoint", "%q: want a URL that begins with http:// or https://", text)
	case u.Hostname() == "":
		return nil, invalid("endpoint", "%q: has no host", text)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, invalid("endpoint", "%q: want scheme, host and port only; the bucket has a field of its own", text)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
