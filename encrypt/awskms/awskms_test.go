package awskms

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
)

// testTimeout makes a call end in less than a second, as keytest wants.
const testTimeout = 280 * time.Millisecond

// testSecret is a secret key as long as AWS's are. FIPS mode refuses much shorter ones.
const testSecret = "an-example-of-a-secret-key-of-40-letters"

// alone hides the AWS configuration of the machine.
func alone(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CA_BUNDLE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent/config")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// settings are those of a provider at an endpoint.
func settings(endpoint, region string) Options {
	return Options{Key: "alias/seeds", Region: region, Endpoint: endpoint, AccessKey: "AKIATEST", SecretKey: testSecret, Timeout: testTimeout}
}

// opened opens a provider for the test's life.
func opened(t *testing.T, o Options) *Provider {
	t.Helper()
	p, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestContract(t *testing.T) {
	alone(t)
	accounts := []string{fakeAccount, "444455556666"}
	keytest.Run(t, func(t *testing.T) encrypt.Provider {
		f := newFake(t, fakeRegion)
		f.account = accounts[0]
		slices.Reverse(accounts)
		o := settings(f.url, fakeRegion)
		o.Timeout = 10 * testTimeout
		return opened(t, o)
	})
	keytest.RunService(t, func(t *testing.T) (encrypt.Provider, keytest.Service) {
		f := newFake(t, fakeRegion)
		return opened(t, settings(f.url, fakeRegion)), f
	})
}

// sender is a function as a transport.
type sender func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (s sender) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

var seed = bytes.Repeat([]byte{0x5E}, 32)

func seedContext() encrypt.Context {
	return encrypt.Context{Deployment: encrypt.Deployment{0xAB}, Purpose: "bucket", ID: [16]byte{0xCD}, Generation: 7}
}

func wrapped(t *testing.T, p *Provider) []byte {
	t.Helper()
	w, err := p.Wrap(t.Context(), seedContext(), seed)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// opens checks that a provider opens a wrap of the seed.
func opens(t *testing.T, p *Provider, w []byte) {
	t.Helper()
	if got, err := p.Unwrap(t.Context(), seedContext(), w); err != nil || !bytes.Equal(got, seed) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// refuses checks that a provider neither opens nor rewraps a wrap, and counts its requests.
func refuses(t *testing.T, p *Provider, w []byte, want error) {
	t.Helper()
	if got, err := p.Unwrap(t.Context(), seedContext(), w); got != nil || !errors.Is(err, want) {
		t.Errorf("Unwrap: %d bytes, %v", len(got), err)
	}
	if got, err := p.Rewrap(t.Context(), seedContext(), w); got != nil || !errors.Is(err, want) {
		t.Errorf("Rewrap: %d bytes, %v", len(got), err)
	}
}

// KMS writes the encryption context to CloudTrail: it has ids and nothing else.
func TestEncryptionContext(t *testing.T) {
	alone(t)
	f := newFake(t, fakeRegion)
	wrapped(t, opened(t, settings(f.url, fakeRegion)))
	want := map[string]string{
		"sanctum:deployment": "ab000000000000000000000000000000", "sanctum:purpose": "bucket",
		"sanctum:id": "cd000000000000000000000000000000", "sanctum:generation": "7",
	}
	if len(f.contexts) != 1 || !maps.Equal(f.contexts[0], want) {
		t.Errorf("%v", f.contexts)
	}
}

// The key can be named in four ways. Its wraps name its ARN in each, and each opens them.
func TestKeyNames(t *testing.T) {
	alone(t)
	f := newFake(t, fakeRegion)
	arn := f.arn(f.alias)
	var wraps [][]byte
	var ps []*Provider
	for _, name := range []string{"alias/seeds", strings.Replace(arn, "key/"+f.alias, "alias/seeds", 1), f.alias, arn} {
		o := settings(f.url, fakeRegion)
		o.Key = name
		p := opened(t, o)
		w := wrapped(t, p)
		if id, err := p.KeyID(w); err != nil || id != arn {
			t.Errorf("%s: key %q, %v, want %s", name, id, err, arn)
		}
		wraps, ps = append(wraps, w), append(ps, p)
	}
	for _, p := range ps {
		for _, w := range wraps {
			opens(t, p, w)
		}
	}
}

// After a start nothing is known of an alias's account. The first wrap that is opened costs
// a request more.
func TestOpensBeforeItWraps(t *testing.T) {
	alone(t)
	f := newFake(t, fakeRegion)
	w := wrapped(t, opened(t, settings(f.url, fakeRegion)))
	p := opened(t, settings(f.url, fakeRegion))
	f.Calls()
	for _, want := range []int{2, 1} {
		if opens(t, p, w); f.Calls() != want {
			t.Errorf("not %d requests", want)
		}
	}
}

// A multi-Region key is one key under one name in every region, and a wrap with a changed
// region is refused nevertheless.
func TestMultiRegion(t *testing.T) {
	alone(t)
	const id = "mrk-1234abcd12ab34cd56ef1234567890ab"
	here, there := newFake(t, fakeRegion), newFake(t, "us-east-1")
	here.keys[id] = newFakeKey()
	there.keys[id] = here.keys[id]
	o := settings(here.url, "")
	o.Key = here.arn(id)
	p := opened(t, o)
	o.Endpoint, o.Region = there.url, "us-east-1" // and still the ARN of the other region
	q := opened(t, o)
	a, b := wrapped(t, p), wrapped(t, q)
	for _, w := range [][]byte{a, b} {
		opens(t, p, w)
		opens(t, q, w)
		if got, err := p.KeyID(w); err != nil || got != "arn:aws:kms::111122223333:key/"+id {
			t.Errorf("%q, %v", got, err)
		}
	}
	again, err := q.Rewrap(t.Context(), seedContext(), a)
	if err != nil {
		t.Fatal(err)
	}
	opens(t, p, again)
	k, ciphertext, err := unseal(a)
	if err != nil {
		t.Fatal(err)
	}
	k.region = "us-east-1"
	refuses(t, p, seal(k, ciphertext), encrypt.ErrCorrupt)
}

// A wrap with a right checksum that names another key than it is under is never opened, nor
// is a stranger's key asked, which would open what the stranger wrapped.
func TestForeignKeys(t *testing.T) {
	alone(t)
	f := newFake(t, fakeRegion)
	p := opened(t, settings(f.url, fakeRegion))
	w := wrapped(t, p)
	k, ciphertext, err := unseal(w)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		change func(*key)
		want   error
		calls  int
	}{
		"account":   {func(k *key) { k.account = "999999999999" }, encrypt.ErrKeyNotFound, 0},
		"partition": {func(k *key) { k.partition = "aws-cn" }, encrypt.ErrKeyNotFound, 0},
		"region":    {func(k *key) { k.region = "us-east-1" }, encrypt.ErrKeyNotFound, 0},
		"no key":    {func(k *key) { k.id = "nothing" }, encrypt.ErrKeyNotFound, 2},
		"other key": {func(k *key) { k.id = "other" }, encrypt.ErrWrongKey, 2},
	} {
		t.Run(what, func(t *testing.T) {
			f.keys["other"] = newFakeKey()
			other := k
			c.change(&other)
			f.Calls()
			refuses(t, p, seal(other, ciphertext), c.want)
			if n := f.Calls(); n != c.calls {
				t.Errorf("%d requests, want %d", n, c.calls)
			}
		})
	}
	f.Calls()
	w[len(w)-sumSize-1] ^= 1
	refuses(t, p, w, encrypt.ErrCorrupt)
	if n := f.Calls(); n != 0 {
		t.Errorf("damage costs %d requests", n)
	}
}

// Each place of the service has its own host. The dialler sees the host, and nothing is sent.
func TestEndpoints(t *testing.T) {
	alone(t)
	for want, change := range map[string]func(*Options){
		"https://kms.eu-central-2.amazonaws.com":       func(*Options) {},
		"https://kms-fips.us-gov-west-1.amazonaws.com": func(o *Options) { o.Region, o.FIPS = "us-gov-west-1", true },
		"https://kms-fips.ca-central-1.amazonaws.com":  func(o *Options) { o.Region, o.FIPS = "ca-central-1", true },
		"https://kms.cn-north-1.amazonaws.com.cn":      func(o *Options) { o.Region = "cn-north-1" },
		"https://kms.us-west-2.amazonaws.com": func(o *Options) {
			o.Region, o.Key = "", "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
		},
		"https://vpce-1.kms.eu-central-2.vpce.amazonaws.com": func(o *Options) { o.Endpoint = "https://vpce-1.kms.eu-central-2.vpce.amazonaws.com" },
		"https://from-environment:444":                       func(*Options) { t.Setenv("AWS_ENDPOINT_URL_KMS", "https://from-environment:444") },
		"":                                                   func(*Options) { t.Setenv("AWS_ENDPOINT_URL_KMS", "http://192.0.2.1") },
	} {
		t.Run(want, func(t *testing.T) {
			t.Setenv("AWS_ENDPOINT_URL_KMS", "")
			o := settings("", fakeRegion)
			change(&o)
			asked := make(chan string, maxAttempts)
			o.transport = sender(func(r *http.Request) (*http.Response, error) {
				asked <- r.URL.Scheme + "://" + r.URL.Host
				return nil, errors.New("not today")
			})
			p := opened(t, o)
			err := p.Check(t.Context())
			if !errors.Is(err, encrypt.ErrUnavailable) || errors.Is(err, encrypt.ErrDenied) {
				t.Error(err)
			}
			got := ""
			select {
			case got = <-asked:
			default:
				if !strings.Contains(err.Error(), errClear.Error()) {
					t.Error(err)
				}
			}
			if got != want {
				t.Errorf("%q was asked", got)
			}
		})
	}
}
