package gcs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/outbound/googleauth"
)

const (
	// maxErrorBody bounds the bytes that are read of an error response, and
	// maxErrorText the bytes that are repeated of its message.
	maxErrorBody = 16 << 10
	maxErrorText = 300
)

// errNoProof: only a status says that an object does not exist. A misconfigured
// proxy sends the same status.
var errNoProof = fmt.Errorf("%w: status 404 without an error of the API: check the endpoint and the proxies in front of it", backends.ErrUnavailable)

// rateReasons come with status 403 or 503, and mean 429.
// https://cloud.google.com/storage/docs/json_api/v1/status-codes
var rateReasons = map[string]bool{
	"rateLimitExceeded": true, "userRateLimitExceeded": true, "usageLimits": true, "quotaExceeded": true,
}

// noBucket matches GCS's message for a missing bucket. A missing object has the
// same status 404 and reason notFound.
var noBucket = regexp.MustCompile(`(?i)bucket does not exist`)

// wrongSum matches GCS's refusal of an upload with another checksum: 400 with the
// reason invalid.
var wrongSum = regexp.MustCompile(`(?i)provided (CRC32C|MD5)`)

// failure turns an error response into an error of the contract. It never contains
// token, even if the response repeats it.
func (b *Backend) failure(resp *http.Response, token string) error {
	if resp.StatusCode < 300 {
		return fmt.Errorf("%w: unexpected status %d", backends.ErrCorrupt, resp.StatusCode)
	}
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // as much as was received
	reason, message, known := details(raw)
	if resp.StatusCode == http.StatusNotFound && !known {
		return errNoProof
	}
	text := fmt.Sprintf("status %d", resp.StatusCode)
	for _, s := range []string{reason, message} {
		if s != "" && (token == "" || !strings.Contains(s, token)) {
			text += ", " + s
		}
	}
	what := errors.New(text)
	switch kind := sentinel(resp.StatusCode, reason, string(raw)); {
	case kind == backends.ErrThrottled || kind == backends.ErrUnavailable && resp.Header.Get("Retry-After") != "":
		return throttled(resp.Header, what)
	case kind != nil:
		return fmt.Errorf("%w: %w", kind, what)
	}
	return what
}

// sentinel returns the contract's error for a response, or nil.
func sentinel(status int, reason, text string) error {
	switch {
	case status == http.StatusTooManyRequests || rateReasons[reason]:
		return backends.ErrThrottled
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return backends.ErrDenied
	case status == http.StatusNotFound && noBucket.MatchString(text):
		return ErrNoBucket
	case status == http.StatusNotFound:
		return backends.ErrNotFound
	case status == http.StatusPreconditionFailed:
		return backends.ErrExists
	case status == http.StatusBadRequest && wrongSum.MatchString(text):
		return backends.ErrCorrupt
	case status == http.StatusRequestEntityTooLarge:
		return backends.ErrFull
	case status == http.StatusNotImplemented:
		return nil
	case status == http.StatusRequestTimeout || status >= 500:
		return backends.ErrUnavailable
	}
	return nil
}

// noSuchBucket is for requests that need no existing object: if they find something
// missing, it is the bucket.
func noSuchBucket(err error) error {
	if errors.Is(err, backends.ErrNotFound) {
		return fmt.Errorf("%w: %v", ErrNoBucket, err)
	}
	return err
}

// tokenError returns the contract's error of a request that could not get a token.
func tokenError(err error) error {
	var refusal *googleauth.Refusal
	switch {
	case !errors.Is(err, googleauth.ErrNoToken): // the caller's context ended
		return err
	case !errors.As(err, &refusal) || refusal.Status >= 500 || refusal.Status == http.StatusRequestTimeout:
		return fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
	case refusal.Status == http.StatusTooManyRequests:
		return throttled(refusal.Header, err)
	}
	return fmt.Errorf("%w: %w", backends.ErrDenied, err)
}

func throttled(h http.Header, what error) error {
	return &backends.Throttled{After: backends.ParseRetryAfter(h.Get("Retry-After"), time.Now()), Err: what}
}

// details returns reason and message of an API error. Other text, such as a proxy's
// page, is the message, and known is false.
func details(raw []byte) (reason, message string, known bool) {
	var e struct {
		Error struct {
			Code    int
			Message string
			Errors  []struct{ Reason string }
		}
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return "", printable(string(raw)), false
	}
	if len(e.Error.Errors) > 0 {
		reason = printable(e.Error.Errors[0].Reason)
	}
	return reason, printable(e.Error.Message), e.Error.Code > 0 || e.Error.Message != ""
}

// printable cuts foreign text to one short line.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) > maxErrorText {
		s = strings.ToValidUTF8(s[:maxErrorText], "") + "…"
	}
	return s
}
