package awskms

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/outbound"
)

// Options say which key wraps and how to reach it. Only Key is needed on a machine that
// has a region and a credential. Open checks them; its errors begin with the name of the
// setting.
type Options struct {
	// Key is the id of a symmetric encryption key, its ARN, alias/NAME, or an alias's ARN.
	// A multi-Region key is used in Region, whatever region its ARN names.
	Key string
	// Region is the region that is asked. Empty: that of Key, if it is an ARN, then that of
	// the environment or the profile.
	Region string
	// Endpoint is the URL of the service. Empty: AWS's for the region. Plain HTTP is for
	// this machine alone, because seeds pass there in the clear.
	Endpoint string
	// FIPS selects the endpoint with FIPS 140 validated cryptography.
	FIPS bool

	// AccessKey and SecretKey are the credential, with SessionToken if it is temporary.
	// Empty: the first that has one of the environment, a web identity, the profile, the
	// container or EKS pod, and the instance, as in AWS's own tools.
	AccessKey    string
	SecretKey    string
	SessionToken string
	// Profile is the profile in AWS's shared files. Empty: AWS_PROFILE, else default.
	Profile string

	// Timeout bounds each wait for an answer; zero: DefaultTimeout. A call with its three
	// attempts ends within three and a half times Timeout.
	Timeout time.Duration

	// Observe is told of each request to the source of credentials, with the error of one
	// that failed; nil: nobody is. A fixed credential has no source. It must be safe for
	// concurrent use, and must not wait.
	Observe func(error)

	transport http.RoundTripper // instead of sockets; for tests
}

// DefaultTimeout is the wait for an answer. With its attempts a call ends within 10.5 seconds.
const DefaultTimeout = 3 * time.Second

// maxAttempts is how often one request is sent, also while KMS throttles.
const maxAttempts = 3

// backoff bounds the random pause before each further attempt.
func (o *Options) backoff() time.Duration { return o.Timeout / 4 }

// whole bounds a call with its attempts.
func (o *Options) whole() time.Duration {
	return maxAttempts*o.Timeout + (maxAttempts-1)*o.backoff()
}

var (
	aliasName  = regexp.MustCompile(`^alias/[A-Za-z0-9/_-]{1,250}$`)
	aliasARN   = regexp.MustCompile(`^arn:(aws[a-z-]{0,20}):kms:([a-z0-9-]{1,64}):([0-9]{12}):(alias/[A-Za-z0-9/_-]{1,250})$`)
	keyID      = regexp.MustCompile(`^[A-Za-z0-9-]{1,128}$`)
	regionName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
)

// wrong is an error about a setting.
func wrong(setting, format string, args ...any) error {
	return fmt.Errorf("%s: %s", setting, fmt.Sprintf(format, args...))
}

// complete checks the options and fills in what follows from others.
func (o *Options) complete() error {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Region != "" && !regionName.MatchString(o.Region) {
		return wrong("region", "%q is no region", o.Region)
	}
	if err := o.completeKey(); err != nil {
		return err
	}
	if (o.AccessKey == "") != (o.SecretKey == "") {
		return errors.New("access_key and secret_key: set both or none")
	}
	if o.SessionToken != "" && o.AccessKey == "" {
		return wrong("session_token", "needs access_key and secret_key")
	}
	if o.Profile != "" && o.AccessKey != "" {
		return wrong("profile", "set it or access_key, not both")
	}
	if o.Endpoint != "" && o.FIPS {
		return wrong("fips", "set it or endpoint, not both: an endpoint of your own is what it is")
	}
	return o.checkEndpoint()
}

// completeKey checks the key, and moves a multi-Region key to the region.
func (o *Options) completeKey() error {
	part := keyARN.FindStringSubmatch(o.Key)
	if part == nil {
		part = aliasARN.FindStringSubmatch(o.Key)
	}
	switch {
	case o.Key == "":
		return wrong("key", "is missing: want the id or ARN of a KMS key, or an alias")
	case part == nil && !keyID.MatchString(o.Key) && !aliasName.MatchString(o.Key):
		return wrong("key", "%q is no id, ARN or alias of a KMS key", o.Key)
	case part == nil:
	case o.Region == "":
		o.Region = part[2]
	case o.Region != part[2] && !strings.HasPrefix(part[4], multiRegion):
		return wrong("region", "%s, and the key is in %s", o.Region, part[2])
	case o.Region != part[2]:
		k, _ := keyOf(o.Key)
		o.Key = k.arn(o.Region)
	}
	return nil
}

// checkEndpoint refuses URLs that the service cannot have.
func (o *Options) checkEndpoint() error {
	if o.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(o.Endpoint)
	switch {
	case err != nil || u.User != nil: // the parser's error could repeat a password
		return wrong("endpoint", "is no URL without a user name")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return wrong("endpoint", "%q: want a URL that begins with https://", o.Endpoint)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return wrong("endpoint", "%q: want scheme, host and port only", o.Endpoint)
	case u.Scheme == "http" && !outbound.Loopback(u.Hostname()):
		return wrong("endpoint", "%q: want https, because keys pass there in the clear", o.Endpoint)
	}
	return nil
}
