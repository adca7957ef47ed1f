package gcpkms

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
	"github.com/sanctum-storage/gateway/internal/gcpkmsfake"
	"github.com/sanctum-storage/gateway/outbound/googleauth"
)

const testKey = gcpkmsfake.Key

func newFake(t *testing.T) *gcpkmsfake.Fake {
	t.Helper()
	f := gcpkmsfake.New()
	t.Cleanup(f.Close)
	return f
}

// options are those of a provider of the fake's key.
func options(t *testing.T, f *gcpkmsfake.Fake) Options {
	t.Helper()
	name := filepath.Join(t.TempDir(), "credentials.json")
	if err := f.WriteCredentials(name); err != nil {
		t.Fatal(err)
	}
	return Options{Key: testKey, Endpoint: f.URL, CredentialsFile: name, Timeout: 800 * time.Millisecond}
}

func open(t *testing.T, o Options) *Provider {
	t.Helper()
	p, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func TestContract(t *testing.T) {
	keytest.Run(t, func(t *testing.T) encrypt.Provider {
		f := newFake(t)
		return open(t, options(t, f))
	})
	keytest.RunService(t, func(t *testing.T) (encrypt.Provider, keytest.Service) {
		f := newFake(t)
		return open(t, options(t, f)), f
	})
	keytest.RunLogins(t, func(t *testing.T, observe func(error)) (encrypt.Provider, keytest.Logins) {
		f := gcpkmsfake.NewInMemory()
		o := options(t, f)
		o.Observe, o.transport = observe, keytest.InMemory(f)
		return open(t, o), f
	})
}

var testContext = encrypt.Context{Deployment: encrypt.Deployment{1}, Purpose: "bucket", ID: [16]byte{2}, Generation: 3}

var testSecret = []byte("hush-hush-hush-hush-hush-hush-32")

// wrapped is a good wrap.
func wrapped(t *testing.T, p *Provider) []byte {
	t.Helper()
	w, err := p.Wrap(t.Context(), testContext, testSecret)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Answers whose sums or names are wrong are asked for once more, and then refused.
func TestWrongAnswers(t *testing.T) {
	f := newFake(t)
	p := open(t, options(t, f))
	good := wrapped(t, p)
	other := bytes.Repeat([]byte("x"), len(testSecret))
	for name, c := range map[string]struct {
		wrap  bool
		twist func(map[string]any)
		want  error
		calls int
	}{
		"a ciphertext changed on the way": {true, func(a map[string]any) { a["ciphertext"] = []byte("something else") }, encrypt.ErrUnavailable, 2},
		"a request that was not checked":  {true, func(a map[string]any) { delete(a, "verifiedPlaintextCrc32c") }, encrypt.ErrUnavailable, 2},
		"a context that was not checked":  {true, func(a map[string]any) { a["verifiedAdditionalAuthenticatedDataCrc32c"] = false }, encrypt.ErrUnavailable, 2},
		"no sum of the ciphertext":        {true, func(a map[string]any) { delete(a, "ciphertextCrc32c") }, encrypt.ErrUnavailable, 2},
		"no ciphertext":                   {true, func(a map[string]any) { a["ciphertext"], a["ciphertextCrc32c"] = "", "0" }, encrypt.ErrUnavailable, 2},
		"another key": {true, func(a map[string]any) {
			a["name"] = strings.Replace(testKey, "seeds", "theirs", 1) + "/cryptoKeyVersions/1"
		}, encrypt.ErrUnavailable, 1},
		"another project's key": {true, func(a map[string]any) {
			a["name"] = strings.Replace(testKey, "acme", "evil", 1) + "/cryptoKeyVersions/1"
		}, encrypt.ErrUnavailable, 1},
		"a key without a version":                 {true, func(a map[string]any) { a["name"] = testKey }, encrypt.ErrUnavailable, 1},
		"a secret changed on the way":             {false, func(a map[string]any) { a["plaintext"] = other }, encrypt.ErrUnavailable, 2},
		"no sum of the secret":                    {false, func(a map[string]any) { delete(a, "plaintextCrc32c") }, encrypt.ErrUnavailable, 2},
		"no secret":                               {false, func(a map[string]any) { delete(a, "plaintext") }, encrypt.ErrUnavailable, 2},
		"another secret, with its sum":            {false, func(a map[string]any) { a["plaintext"], a["plaintextCrc32c"] = other, sumOf(other) }, encrypt.ErrCorrupt, 1},
		"the start of the secret, with its sum":   {false, func(a map[string]any) { a["plaintext"], a["plaintextCrc32c"] = testSecret[:16], sumOf(testSecret[:16]) }, encrypt.ErrCorrupt, 1},
		"less than any secret, with its sum":      {false, func(a map[string]any) { a["plaintext"], a["plaintextCrc32c"] = []byte("x"), sumOf([]byte("x")) }, encrypt.ErrCorrupt, 1},
		"a sum that is a number and not a string": {false, func(a map[string]any) { a["plaintextCrc32c"] = jsonNumber(sumOf(testSecret)) }, nil, 1},
		"the project's number in the key's name": {true, func(a map[string]any) {
			a["name"] = strings.Replace(testKey, "acme", "123456", 1) + "/cryptoKeyVersions/1"
		}, nil, 1},
	} {
		f.Twist(c.twist)
		f.Calls()
		var got []byte
		var err error
		if c.wrap {
			got, err = p.Wrap(t.Context(), testContext, testSecret)
		} else {
			got, err = p.Unwrap(t.Context(), testContext, good)
		}
		if !errors.Is(err, c.want) || (got == nil) != (c.want != nil) {
			t.Errorf("%s: %d bytes, %v; want %v", name, len(got), err, c.want)
		}
		if n := f.Calls(); n != c.calls {
			t.Errorf("%s: %d requests, want %d", name, n, c.calls)
		}
	}
}

// jsonNumber is a number in JSON.
type jsonNumber string

func (n jsonNumber) MarshalJSON() ([]byte, error) { return []byte(n), nil }

// Errors that keytest has no fault for.
func TestErrors(t *testing.T) {
	f := newFake(t)
	p := open(t, options(t, f))
	good := wrapped(t, p)
	for name, c := range map[string]struct {
		status int
		body   string
		want   error
		calls  int
		word   string
	}{
		"no such key":           {404, `{"error":{"code":404,"status":"NOT_FOUND","message":"CryptoKey x not found."}}`, encrypt.ErrKeyNotFound, 1, "not found"},
		"another server":        {404, `<!DOCTYPE html><title>404</title>`, encrypt.ErrUnavailable, 1, "without an error of Cloud KMS"},
		"a proxy refuses":       {403, `Forbidden by policy`, encrypt.ErrUnavailable, 1, "status 403"},
		"a redirect":            {307, ``, encrypt.ErrUnavailable, 1, "status 307"},
		"a broken server":       {500, `oops`, encrypt.ErrUnavailable, 2, "status 500"},
		"no page of the API":    {200, `{"plaintext":`, encrypt.ErrUnavailable, 2, "not one of Cloud KMS"},
		"the API is off":        {403, `{"error":{"code":403,"status":"PERMISSION_DENIED","message":"Cloud KMS API has not been used","details":[{"reason":"SERVICE_DISABLED"}]}}`, encrypt.ErrDenied, 1, "not enabled in the project"},
		"a key being imported":  {400, `{"error":{"code":400,"status":"FAILED_PRECONDITION","message":"x is not enabled, current state is: PENDING_IMPORT."}}`, encrypt.ErrUnavailable, 1, "PENDING_IMPORT"},
		"a state in words only": {400, `{"error":{"code":400,"status":"FAILED_PRECONDITION","message":"x is not enabled, current state is: DISABLED."}}`, encrypt.ErrKeyDisabled, 1, "DISABLED"},
		"a wrong sum":           {400, `{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"The CRC32C checksum does not match"}}`, encrypt.ErrUnavailable, 2, "checksum"},
		"a key to sign":         {400, `{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"The key has the purpose ASYMMETRIC_SIGN"}}`, encrypt.ErrWrongKey, 1, "ASYMMETRIC_SIGN"},
		"it repeats the secret": {400, `{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"bad ` + b64(testSecret) + `"}}`, encrypt.ErrWrongKey, 1, "repeats the request"},
		"in another field":      {400, `{"error":{"code":400,"status":"` + b64(testSecret) + `","message":"bad"}}`, encrypt.ErrUnavailable, 1, "repeats the request"},
	} {
		f.Instead(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status); io.WriteString(w, c.body) })
		f.Calls()
		_, err := p.Wrap(t.Context(), testContext, testSecret)
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.word) || strings.Contains(fmt.Sprint(err), b64(testSecret)) {
			t.Errorf("%s: Wrap: %v; want %v", name, err, c.want)
		}
		if n := f.Calls(); n != c.calls {
			t.Errorf("%s: %d requests, want %d", name, n, c.calls)
		}
		if got, err := p.Unwrap(t.Context(), testContext, good); got != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: Unwrap: %v; want %v", name, err, c.want)
		}
	}
}

// A wrap names a version of the key. A foreign key is never asked for, and another
// version of the own key is noticed although the service ignores the name.
func TestNameIsBound(t *testing.T) {
	f := newFake(t)
	p := open(t, options(t, f))
	f.Rotate()
	good := wrapped(t, p)
	if id, err := p.KeyID(good); id != testKey+"/cryptoKeyVersions/2" || err != nil {
		t.Errorf("the key is %q, %v", id, err)
	}
	f.Calls()
	for name, c := range map[string]struct {
		old, new string
		want     error
		calls    int
	}{
		"another key":     {"/seeds/", "/sEeds/", encrypt.ErrWrongKey, 0},
		"another project": {"/acme/", "/evil/", encrypt.ErrWrongKey, 0},
		"another version": {"Versions/2", "Versions/1", encrypt.ErrCorrupt, 1},
		"no name":         {"projects", "Projects", encrypt.ErrCorrupt, 0},
	} {
		got, err := p.Unwrap(t.Context(), testContext, bytes.Replace(good, []byte(c.old), []byte(c.new), 1))
		if got != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
		if n := f.Calls(); n != c.calls {
			t.Errorf("%s: %d requests, want %d", name, n, c.calls)
		}
	}
	o := options(t, f)
	o.Key += "/cryptoKeyVersions/1"
	pinned := open(t, o)
	if id, err := encrypt.CurrentKeyID(t.Context(), pinned); id != o.Key || err != nil {
		t.Errorf("with a version in the setting the key is %q, %v", id, err)
	}
	if got, err := pinned.Unwrap(t.Context(), testContext, good); !bytes.Equal(got, testSecret) || err != nil {
		t.Errorf("with another version in the setting: %v", err)
	}
}

// A token that is refused is replaced once, and a credential that is refused is named.
func TestTokens(t *testing.T) {
	f := newFake(t)
	p := open(t, options(t, f))
	good := wrapped(t, p)
	later := time.Duration(0)
	p.tokens.Now = func() time.Time { return time.Now().Add(later) }
	f.Revoke()
	later += googleauth.Rest
	if got, err := p.Unwrap(t.Context(), testContext, good); !bytes.Equal(got, testSecret) || err != nil {
		t.Errorf("after the token was revoked: %v", err)
	}
	f.RefuseAll(true)
	for range 3 {
		err := p.Check(t.Context())
		if !errors.Is(err, encrypt.ErrDenied) || !strings.HasPrefix(err.Error(), "credentials_file: ") || strings.Contains(err.Error(), "ya29") {
			t.Errorf("every token is refused: %v", err)
		}
	}
	if n := f.Issued(); n != 2 {
		t.Errorf("%d tokens were fetched, want 2", n)
	}
}

func TestOptions(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no key":            {func(o *Options) { o.Key = "" }, "key: "},
		"half a key":        {func(o *Options) { o.Key = "projects/p/locations/l/keyRings/r" }, "key: "},
		"a key with a path": {func(o *Options) { o.Key = testKey + "/../x" }, "key: "},
		"a URL":             {func(o *Options) { o.Key = "https://cloudkms.googleapis.com/v1/" + testKey }, "key: "},
		"http":              {func(o *Options) { o.Endpoint = "http://10.0.0.1" }, "endpoint: plain http"},
		"a path":            {func(o *Options) { o.Endpoint = "https://a/v1" }, "endpoint: "},
		"a password":        {func(o *Options) { o.Endpoint = "https://hush:hush@a" }, "endpoint: "},
		"no file":           {func(o *Options) { o.CredentialsFile = "/nowhere/x" }, "credentials_file: "},
		"no authorities":    {func(o *Options) { o.CAFile = o.CredentialsFile }, "ca_file: "},
	} {
		o := options(t, newFake(t))
		c.change(&o)
		p, err := Open(o)
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v; want %s…", name, err, c.want)
		}
	}
}
