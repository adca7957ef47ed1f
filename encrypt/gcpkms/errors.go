package gcpkms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/outbound/googleauth"
)

// maxErrorText bounds the bytes of a service's message that are repeated.
const maxErrorText = 300

var (
	// errForm: the answer is not one of the documented form.
	errForm = errors.New("its answer is not one of Cloud KMS")
	// errRefusedToken: the service refuses each token of the credential.
	errRefusedToken = fmt.Errorf("%w: the service refuses the credential's token", encrypt.ErrDenied)
)

// repeatable is an error after which the call is sent once more.
type repeatable struct{ kind, err error }

// Error implements error.
func (r *repeatable) Error() string { return fmt.Sprintf("%v: %v", r.kind, r.err) }

// Unwrap returns the kind alone: the causes are net/http's, and one of them must not look
// like the end of the caller's context.
func (r *repeatable) Unwrap() error { return r.kind }

// tokenError returns the contract's error of a request that could not get a token.
func tokenError(err error) error {
	var refusal *googleauth.Refusal
	switch {
	case !errors.Is(err, googleauth.ErrNoToken): // the call's context ended
		return fmt.Errorf("%w: %v", encrypt.ErrUnavailable, err)
	case errors.As(err, &refusal) && refusal.Status < 500 && refusal.Status != http.StatusTooManyRequests && refusal.Status != http.StatusRequestTimeout:
		return fmt.Errorf("%w: %w", encrypt.ErrDenied, err)
	}
	return fmt.Errorf("%w: %w", encrypt.ErrUnavailable, err)
}

// withoutURL removes the prefix that net/http adds to an error.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// apiError is https://cloud.google.com/apis/design/errors#http_mapping.
type apiError struct {
	Code    int
	Message string
	Status  string
	Details []struct {
		Reason     string // of google.rpc.ErrorInfo
		Violations []struct {
			Type string // of google.rpc.PreconditionFailure
		}
	}
}

// reason returns the first reason in the details.
func (e *apiError) reason() string {
	for _, d := range e.Details {
		if d.Reason != "" {
			return d.Reason
		}
	}
	return ""
}

// stateText finds the state of a key's version in the message of a failed precondition:
// "projects/… is not enabled, current state is: DESTROY_SCHEDULED."
var stateText = regexp.MustCompile(`current state is: ([A-Z_]+)`)

// state returns the state of the key's version that made the call fail, or nothing.
func (e *apiError) state() string {
	for _, d := range e.Details {
		for _, v := range d.Violations {
			if s, ok := strings.CutPrefix(v.Type, "KEY_"); ok {
				return s
			}
		}
	}
	if m := stateText.FindStringSubmatch(e.Message); m != nil {
		return m[1]
	}
	return ""
}

// failure turns an answer that is an error into one of the contract. It repeats neither
// the token nor what the call hides, even if the answer does.
func (p *Provider) failure(c call, status int, body []byte, token string) error {
	var answer struct{ Error apiError }
	if err := json.Unmarshal(body, &answer); err != nil || answer.Error.Status == "" {
		// A proxy's page, or the answer of something else under the endpoint.
		err := fmt.Errorf("status %d without an error of Cloud KMS", status)
		if status >= 500 || status == http.StatusTooManyRequests {
			return &repeatable{encrypt.ErrUnavailable, err}
		}
		return fmt.Errorf("%w: %w", encrypt.ErrUnavailable, err)
	}
	e := &answer.Error
	for _, secret := range append(c.hidden, []byte(token)) {
		for _, text := range []*string{&e.Status, &e.Message} {
			if bytes.Contains([]byte(*text), secret) {
				*text = "(a text that repeats the request)"
			}
		}
	}
	text := fmt.Errorf("status %d %s, %s", status, printable(e.Status), printable(e.Message))
	if status == http.StatusUnauthorized {
		if p.tokens.Refused(token) {
			return &repeatable{errRefusedToken, text}
		}
		return fmt.Errorf("%w: %w", errRefusedToken, text)
	}
	kind, again := e.kind(status)
	switch {
	case again:
		return &repeatable{kind, text}
	case kind == encrypt.ErrDenied && e.reason() == "SERVICE_DISABLED":
		return fmt.Errorf("%w: the Cloud KMS API is not enabled in the project: %w", kind, text)
	case kind == encrypt.ErrDenied:
		return fmt.Errorf("%w: the credential needs the permission %s on %s: %w", kind, c.permission, p.key, text)
	}
	return fmt.Errorf("%w: %w", kind, text)
}

// sumText matches the refusal of a request whose CRC32C is wrong. The documentation asks
// to repeat it.
var sumText = regexp.MustCompile(`(?i)crc32c|checksum`)

// kind returns the contract's error for the service's, and whether to repeat the call.
func (e *apiError) kind(status int) (kind error, again bool) {
	switch {
	case e.Status == "RESOURCE_EXHAUSTED" || status == http.StatusTooManyRequests || e.reason() == "RATE_LIMIT_EXCEEDED", status >= 500:
		return encrypt.ErrUnavailable, true
	case e.Status == "PERMISSION_DENIED":
		return encrypt.ErrDenied, false
	case e.Status == "NOT_FOUND":
		return encrypt.ErrKeyNotFound, false
	case e.Status == "FAILED_PRECONDITION":
		switch e.state() {
		case "DISABLED":
			return encrypt.ErrKeyDisabled, false
		case "DESTROYED", "DESTROY_SCHEDULED":
			return encrypt.ErrKeyNotFound, false
		}
		return encrypt.ErrUnavailable, false // still made or imported, or an external key's manager is away
	case e.Status == "INVALID_ARGUMENT" && sumText.MatchString(e.Message):
		return encrypt.ErrUnavailable, true
	case e.Status == "INVALID_ARGUMENT":
		return encrypt.ErrWrongKey, false // another key, context or ciphertext, or a key for another purpose
	}
	return encrypt.ErrUnavailable, false
}

// printable cuts foreign text to one short line.
func printable(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s))
	if len(s) > maxErrorText {
		s = strings.ToValidUTF8(s[:maxErrorText], "") + "…"
	}
	return s
}
