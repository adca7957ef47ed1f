package awskms

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
)

// Each code of an error becomes one of the contract's errors, with the setting that is to be
// looked at, and with nothing that the service said.
func TestErrorCodes(t *testing.T) {
	alone(t)
	f := newFake(t, fakeRegion)
	p := opened(t, settings(f.url, fakeRegion))
	w := wrapped(t, p)
	const said = "canary"
	for _, c := range []struct {
		status     int
		code, text string
		want       error
		words      string
	}{
		{400, "DisabledException", "", encrypt.ErrKeyDisabled, "key: "},
		{400, "NotFoundException", "", encrypt.ErrKeyNotFound, "key: KMS in " + fakeRegion + " has no "},
		{400, "KMSInvalidStateException", "is pending deletion.", encrypt.ErrKeyNotFound, "key: the deletion of "},
		{400, "KMSInvalidStateException", "is PendingReplicaDeletion", encrypt.ErrKeyNotFound, "key: the deletion of "},
		{400, "KMSInvalidStateException", "is pending import.", encrypt.ErrUnavailable, "key: "},
		{400, "IncorrectKeyException", "", encrypt.ErrWrongKey, "key: "},
		{400, "InvalidCiphertextException", "", encrypt.ErrWrongKey, "key: "},
		{400, "AccessDeniedException", "", encrypt.ErrDenied, "credentials: the permission kms:"},
		{400, "UnrecognizedClientException", "", encrypt.ErrDenied, "credentials: "},
		{400, "InvalidSignatureException", "", encrypt.ErrDenied, "clock"},
		{400, "ExpiredTokenException", "", encrypt.ErrDenied, "credentials: "},
		{400, "InvalidKeyUsageException", "", encrypt.ErrDenied, "symmetric encryption key"},
		{400, "ValidationException", "", encrypt.ErrDenied, "key: "},
		{400, "ThrottlingException", "", encrypt.ErrUnavailable, "ThrottlingException"},
		{400, "LimitExceededException", "", encrypt.ErrUnavailable, "LimitExceededException"},
		{500, "KMSInternalException", "", encrypt.ErrUnavailable, "KMSInternalException"},
		{500, "KeyUnavailableException", "", encrypt.ErrUnavailable, "KeyUnavailableException"},
		{500, "DependencyTimeoutException", "", encrypt.ErrUnavailable, "DependencyTimeoutException"},
		{400, "NobodyKnowsException", "", encrypt.ErrUnavailable, "NobodyKnowsException, request 7d9a4e9c-"},
		{400, "No code\nat all", "", encrypt.ErrUnavailable, "an unknown code"},
	} {
		t.Run(c.code+c.text, func(t *testing.T) {
			f.override = func(string, map[string]any) (int, any) {
				return c.status, map[string]string{"__type": c.code, "message": said + " " + c.text}
			}
			for name, call := range map[string]func() ([]byte, error){
				"kms:Encrypt":       func() ([]byte, error) { return p.Wrap(t.Context(), seedContext(), seed) },
				"kms:Decrypt":       func() ([]byte, error) { return p.Unwrap(t.Context(), seedContext(), w) },
				"kms:ReEncryptFrom": func() ([]byte, error) { return p.Rewrap(t.Context(), seedContext(), w) },
			} {
				got, err := call()
				if got != nil || !errors.Is(err, c.want) || errors.Is(err, encrypt.ErrDenied) != (c.want == encrypt.ErrDenied) {
					t.Fatalf("%s: %d bytes, %v", name, len(got), err)
				}
				if text := err.Error(); !strings.Contains(text, c.words) || strings.Contains(text, said) || strings.Contains(text, "\n") {
					t.Errorf("%s: %v", name, err)
				}
				if c.code == "AccessDeniedException" && !strings.Contains(err.Error(), name) {
					t.Errorf("%s is not named: %v", name, err)
				}
			}
		})
	}
}

// An answer that KMS cannot give is an outage of the service: no bytes of it are used, and
// none are shown.
func TestWrongAnswers(t *testing.T) {
	alone(t)
	f := newFake(t, fakeRegion)
	o := settings(f.url, fakeRegion)
	o.Key = f.arn(f.alias)
	p := opened(t, o)
	w := wrapped(t, p)
	f.keys["other"] = newFakeKey()
	with := func(field string, value any) func(map[string]any) any {
		return func(answer map[string]any) any {
			answer[field] = value
			return answer
		}
	}
	for name, change := range map[string]func(map[string]any) any{
		"nothing":       func(map[string]any) any { return "" },
		"empty":         func(map[string]any) any { return "{}" },
		"text":          func(map[string]any) any { return "canary" },
		"list":          func(map[string]any) any { return "[1]" },
		"number as key": with("KeyId", 1),
		"other key":     with("KeyId", f.arn("other")),
		"other region":  with("KeyId", "arn:aws:kms:us-east-1:"+fakeAccount+":key/"+f.alias),
		"other account": with("KeyId", "arn:aws:kms:"+fakeRegion+":999999999999:key/"+f.alias),
		"no ARN":        with("KeyId", f.alias),
		"a line":        with("KeyId", f.arn(f.alias)+"\n"),
		"no key":        with("KeyId", nil),
		"no base64":     func(a map[string]any) any { a["Plaintext"], a["CiphertextBlob"] = "canary!", "canary!"; return a },
		"no bytes":      func(a map[string]any) any { a["Plaintext"], a["CiphertextBlob"] = "", ""; return a },
		"many bytes": func(a map[string]any) any {
			many := make([]byte, 7000)
			a["Plaintext"], a["CiphertextBlob"] = many, many
			return a
		},
		"one byte too many": func(a map[string]any) any {
			a["Plaintext"] = make([]byte, encrypt.MaxSecret+1)
			a["CiphertextBlob"] = nil
			return a
		},
	} {
		t.Run(name, func(t *testing.T) {
			f.override = func(_ string, answer map[string]any) (int, any) { return 200, change(answer) }
			for call, do := range map[string]func() ([]byte, error){
				"Wrap":   func() ([]byte, error) { return p.Wrap(t.Context(), seedContext(), seed) },
				"Unwrap": func() ([]byte, error) { return p.Unwrap(t.Context(), seedContext(), w) },
				"Rewrap": func() ([]byte, error) { return p.Rewrap(t.Context(), seedContext(), w) },
			} {
				got, err := do()
				if got != nil || !errors.Is(err, encrypt.ErrUnavailable) || errors.Is(err, encrypt.ErrDenied) {
					t.Errorf("%s: %d bytes, %v", call, len(got), err)
				}
				if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString(seed))) {
					t.Errorf("%s shows the answer: %v", call, err)
				}
			}
		})
	}
	f.override = func(_ string, answer map[string]any) (int, any) {
		answer["SourceKeyId"] = f.arn("other")
		return 200, answer
	}
	if got, err := p.Rewrap(t.Context(), seedContext(), w); got != nil || !errors.Is(err, encrypt.ErrUnavailable) {
		t.Errorf("ReEncrypt from another key: %d bytes, %v", len(got), err)
	}
	f.override = func(_ string, answer map[string]any) (int, any) {
		answer["Plaintext"] = []byte("another secret of this length...")
		return 200, answer
	}
	if err := p.Check(t.Context()); !errors.Is(err, encrypt.ErrWrongKey) {
		t.Errorf("Check of a service that returns another secret: %v", err)
	}
	f.override = func(operation string, answer map[string]any) (int, any) {
		if _, ciphertext, err := unseal(w); operation == "ReEncrypt" && err == nil {
			answer["CiphertextBlob"] = ciphertext
		}
		return 200, answer
	}
	if got, err := p.Rewrap(t.Context(), seedContext(), w); got != nil || !errors.Is(err, encrypt.ErrUnavailable) {
		t.Errorf("ReEncrypt returns what it was given: %d bytes, %v", len(got), err)
	}
}

// Every byte of a wrap counts, and so does the form below a right checksum.
func TestWrappedForm(t *testing.T) {
	const arn = "arn:aws:kms:eu-central-2:111122223333:key/a"
	k, ok := keyOf(arn)
	if !ok {
		t.Fatal(arn)
	}
	good := seal(k, []byte("ciphertext"))
	if got, ciphertext, err := unseal(good); err != nil || got != k || string(ciphertext) != "ciphertext" || got.name() != arn {
		t.Errorf("%v, %q, %v", got, ciphertext, err)
	}
	summed := func(body []byte) []byte { return append(body, checksum(body)...) }
	many := k
	many.id = strings.Repeat("a", 129)
	for what, bad := range map[string][]byte{
		"no ciphertext":    seal(k, nil),
		"long ciphertext":  seal(k, make([]byte, maxCiphertext+1)),
		"long id":          seal(many, []byte("ciphertext")),
		"no key":           seal(key{}, []byte("ciphertext")),
		"no region":        seal(key{"aws", "", fakeAccount, "a"}, []byte("ciphertext")),
		"region of mrk":    seal(key{"aws", fakeRegion, fakeAccount, "mrk-a"}, []byte("ciphertext")),
		"length too large": summed([]byte("\x01\xFF\xFFarn:aws:kms")),
		"version":          summed([]byte("\x03\x00\x00a")),
		"short":            summed([]byte("\x01")),
	} {
		if _, _, err := unseal(bad); !errors.Is(err, encrypt.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
