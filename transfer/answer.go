package transfer

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits of retries. They apply to each request that changes nothing, each
// object and each part.
const (
	// maxAttempts is the number of attempts before something counts as failed.
	maxAttempts = 6
	// firstPause doubles with each attempt, up to lastPause. The wait is a
	// random time below it (full jitter), so that many clients do not return at
	// once.
	// Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
	firstPause = 250 * time.Millisecond
	lastPause  = 20 * time.Second
	// maxRetryAfter bounds the wait that a server can demand.
	maxRetryAfter = time.Minute
	// maxWords bounds the text that is repeated from each field of a refusal,
	// in bytes.
	maxWords = 300
	// maxChanges is the number of times that an object may change during its
	// copy.
	maxChanges = 5
)

// answerError is an answer that refuses a request.
type answerError struct {
	role          string
	Status        int
	Code, Message string
	RequestID     string
	after         time.Duration // Retry-After
}

// Error ends with the request's id, which the server's operator can look up.
func (e *answerError) Error() string {
	text := fmt.Sprintf("%s: %d %s", e.role, e.Status, e.Code)
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// refusal reads an error document. The answer to HEAD has none, so only the
// status is known.
func (c *client) refusal(resp *http.Response, text []byte) *answerError {
	var doc struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string   `xml:"Code"`
		Message   string   `xml:"Message"`
		RequestID string   `xml:"RequestId"`
	}
	e := &answerError{role: c.role, Status: resp.StatusCode, RequestID: resp.Header.Get("X-Amz-Request-Id")}
	if xml.Unmarshal(text, &doc) == nil {
		e.Code, e.Message = doc.Code, doc.Message
		if doc.RequestID != "" {
			e.RequestID = doc.RequestID
		}
	}
	if e.Code == "" {
		e.Code = http.StatusText(resp.StatusCode)
	}
	for _, text := range []*string{&e.Code, &e.Message, &e.RequestID} {
		if len(*text) > maxWords {
			*text = strings.ToValidUTF8((*text)[:maxWords], "") + "…"
		}
	}
	// Servers answer a request for another region with a redirect, which is not
	// followed, or with this code.
	if region := resp.Header.Get("X-Amz-Bucket-Region"); resp.StatusCode/100 == 3 || e.Code == "AuthorizationHeaderMalformed" {
		e.Message += "; the bucket is in another region"
		if region != "" {
			e.Message += ": " + strconv.Quote(region)
		}
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.after = min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	return e
}

// refused returns the status of an answer of one side that err contains, or 0.
func refused(err error, role string) int {
	if e, ok := errors.AsType[*answerError](err); ok && e.role == role {
		return e.Status
	}
	return 0
}

// final is an error that another attempt would not cure.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// temporary reports whether another attempt may succeed. Errors that are no
// answer of a server are broken connections, stalls and damaged bytes: they may
// pass.
func temporary(err error) bool {
	if _, ok := errors.AsType[final](err); ok {
		return false
	}
	e, ok := errors.AsType[*answerError](err)
	if !ok {
		return true
	}
	switch e.Code {
	case "RequestTimeout", "SlowDown", "BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch",
		"ConditionalRequestConflict", "OperationAborted", "IncompleteBody":
		return true
	case "NotImplemented":
		return false
	}
	return e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout
}

// again calls f until it succeeds, fails permanently, or has been tried
// maxAttempts times.
func (c *client) again(ctx context.Context, f func() error) error {
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || attempt == maxAttempts || !temporary(err) || ctx.Err() != nil {
			return err
		}
		if c.wait(ctx, attempt, err) != nil {
			return err
		}
	}
}

// wait pauses before the next attempt. A server's Retry-After is added to the
// random time.
func (c *client) wait(ctx context.Context, attempt int, err error) error {
	most := min(c.pause<<(attempt-1), lastPause)
	n, randErr := rand.Int(rand.Reader, big.NewInt(int64(most)))
	if randErr != nil {
		return randErr
	}
	pause := time.Duration(n.Int64())
	if e, ok := errors.AsType[*answerError](err); ok {
		pause += e.after
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}
