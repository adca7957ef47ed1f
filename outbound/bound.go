package outbound

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Budget is the time that answers may take.
type Budget struct {
	Idle   time.Duration // how far a stream may fall behind MinPace
	Answer time.Duration // from the headers of any other answer to its end
}

// wantedKey is the context key of wanted.
type wantedKey struct{}

// wanted is the kind of answer that a caller expects, if it is not a small one.
type wanted struct {
	page   bool
	stream bool
	most   int64
}

// Page marks a request that is answered by a list.
func Page(ctx context.Context) context.Context {
	return context.WithValue(ctx, wantedKey{}, wanted{page: true})
}

// Stream marks a request whose body is passed on as it comes if its status is
// 200 or 206: at most most bytes of it, or with -1 as many as it announces.
// With any other status it is an ordinary answer.
func Stream(ctx context.Context, most int64) context.Context {
	return context.WithValue(ctx, wantedKey{}, wanted{stream: true, most: most})
}

// Bound holds the answers of next to the limits of this package. Except for
// streams, bodies are in memory when RoundTrip returns. The body of an error
// beyond the limits is dropped, because the status suffices.
func Bound(next http.RoundTripper, b Budget) http.RoundTripper { return &bound{next, b} }

type bound struct {
	next   http.RoundTripper
	budget Budget
}

// RoundTrip implements http.RoundTripper.
func (b *bound) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	resp, err := b.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel(nil)
		return nil, err
	}
	resp.Header.Del("Set-Cookie")
	want, _ := ctx.Value(wantedKey{}).(wanted)
	opened := resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent
	if want.stream && opened && req.Method != http.MethodHead {
		return b.stream(ctx, cancel, resp, want.most)
	}
	defer cancel(nil)
	if err := b.answer(ctx, cancel, resp, want, req.Method); err != nil {
		return nil, err
	}
	return resp, nil
}

// stream returns the body to be read by the caller. It needs an announced end,
// because a broken connection would look like one.
func (b *bound) stream(ctx context.Context, cancel context.CancelCauseFunc, resp *http.Response, most int64) (*http.Response, error) {
	chunked := len(resp.TransferEncoding) > 0
	if resp.ContentLength < 0 && !chunked {
		resp.Body.Close()
		cancel(nil)
		return nil, ErrNoLength
	}
	resp.Body = &stream{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, idle: b.budget.Idle, left: most}
	return resp, nil
}

// answer reads the body and replaces it by the accepted part.
func (b *bound) answer(ctx context.Context, cancel context.CancelCauseFunc, resp *http.Response, want wanted, method string) error {
	defer resp.Body.Close()
	if resp.StatusCode < http.StatusOK {
		return fmt.Errorf("%w: %d", ErrStatus, resp.StatusCode)
	}
	success := resp.StatusCode < http.StatusMultipleChoices
	limit := int64(MaxAnswer)
	if want.page && success {
		limit = MaxPage
	}
	document, err := b.read(ctx, cancel, resp.Body, limit)
	if err != nil {
		return err
	}
	excess := int64(len(document)) > limit || !modest(document)
	switch {
	case excess && success:
		return fmt.Errorf("%w: HTTP %d, %d bytes or more", ErrExcessive, resp.StatusCode, len(document))
	case excess:
		document = nil
	case success && isError(document):
		// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
		resp.StatusCode = http.StatusInternalServerError
		resp.Status = "500 " + http.StatusText(http.StatusInternalServerError)
	}
	resp.Body = http.NoBody
	if len(document) > 0 {
		resp.Body = io.NopCloser(bytes.NewReader(document))
	}
	if method != http.MethodHead { // there it is the length of the object
		resp.ContentLength = int64(len(document))
	}
	return nil
}

// read reads to the end, or one byte beyond the limit.
func (b *bound) read(ctx context.Context, cancel context.CancelCauseFunc, body io.Reader, limit int64) ([]byte, error) {
	timer := time.AfterFunc(b.budget.Answer, func() { cancel(ErrSlow) })
	defer timer.Stop()
	document, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil && context.Cause(ctx) == ErrSlow {
		return nil, ErrSlow
	}
	return document, err
}

// stream is a body of bounded length. It is given up when it falls behind
// MinPace by more than idle. Time between two Reads does not count, because it
// is the caller's.
type stream struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	idle   time.Duration
	left   int64         // -1: no bound
	behind time.Duration // time waited beyond what MinPace allows for the bytes so far
	timer  *time.Timer   // runs during a Read; nil before the first
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	if s.left > 0 && int64(len(p)) > s.left {
		p = p[:s.left]
	}
	if s.timer == nil {
		s.timer = time.AfterFunc(s.idle, func() { s.cancel(ErrSlow) })
	} else {
		s.timer.Reset(s.idle - s.behind)
	}
	began := time.Now()
	n, err := s.ReadCloser.Read(p)
	s.timer.Stop()
	s.behind = max(0, s.behind+time.Since(began)-time.Duration(n)*(time.Second/MinPace))
	if s.left > 0 {
		s.left -= int64(n)
	}
	if err != nil && err != io.EOF && s.ctx.Err() != nil {
		err = context.Cause(s.ctx)
	}
	return n, err
}

// Close implements io.Closer.
func (s *stream) Close() error {
	err := s.ReadCloser.Close()
	s.cancel(nil)
	return err
}
