package api

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
	"github.com/sanctum-storage/gateway/weakhash"
)

// wire is a request's body as it arrives. It extends the connection's read
// deadline while bytes come, cuts clients that send none, and keeps the state
// of the connection. Its first Read makes net/http answer Expect: 100-continue.
type wire struct {
	body   io.ReadCloser
	conn   *http.ResponseController
	limits Limits
	read   int64
	ended  bool            // io.EOF was seen
	failed bool            // another error ended it
	rates  []*rateOf       // whose limits slow the body down
	ctx    context.Context // of the request
	gone   bool            // the client cut the connection
	until  time.Time       // deadline of the whole body; zero: none while bytes come
}

// Read extends the deadline, reads, and waits as the limits of bandwidth
// demand.
func (w *wire) Read(p []byte) (int, error) {
	// Deadlines are the kernel's and need the real time, not the Server's
	// clock.
	deadline := time.Now().Add(w.limits.Idle)
	if !w.until.IsZero() && w.until.Before(deadline) {
		deadline = w.until
	}
	w.conn.SetReadDeadline(deadline) // if it is not supported, the server's own timeouts apply
	n, err := w.body.Read(p)
	w.read += int64(n)
	if err == nil && !w.until.IsZero() && time.Now().After(w.until) {
		err = s3err.RequestTimeout
	}
	if len(w.rates) > 0 && (err == nil || err == io.EOF) {
		paced := time.Now()
		if held := pace(w.ctx, w.rates, uploadOf, n); held != nil {
			err = held
		}
		if !w.until.IsZero() {
			w.until = w.until.Add(time.Since(paced)) // time spent on limits is not the client's delay
		}
	}
	w.failed = err != nil && err != io.EOF
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF:
		w.ended = true
	case errors.Is(err, s3err.RequestTimeout):
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = s3err.Wrap(s3err.RequestTimeout, err)
	case !errors.Is(err, io.ErrUnexpectedEOF):
		w.gone = true
		err = s3err.Wrap(s3err.IncompleteBody, err)
	}
	// An old deadline would look like a client that went away while the engine
	// still works.
	w.conn.SetReadDeadline(time.Time{})
	return n, err
}

// Close implements io.Closer.
func (w *wire) Close() error { return w.body.Close() }

// prepareBody prepares the body as the operation's kind demands. It is called
// for authorized requests only: nothing was read before.
func (r *Request) prepareBody(id *sigv4.Identity, in *wire) error {
	if r.Op.Body == FormBody {
		return r.prepareForm()
	}
	length := r.HTTP.ContentLength
	if r.Op.Body == NoBody && length != 0 {
		return nil // ignored, unread
	}
	arrived := *r.HTTP
	arrived.Body = in
	decoded, err := id.RequestBody(&arrived)
	if err != nil {
		return err
	}
	// The announced length is checked before the first read. So a body that is
	// too large is refused before the client is told to send it.
	if max := r.Op.MaxBody; r.Op.Body != NoBody && decoded.Length() > max {
		code := s3err.EntityTooLarge
		if r.Op.Body == XMLBody {
			code = s3err.MaxMessageLengthExceeded
		}
		return s3err.New(code, "").With("ProposedSize", decimal(decoded.Length())).With("MaxSizeAllowed", decimal(max))
	}
	sum, err := contentMD5(r.HTTP.Header)
	if err != nil {
		return err
	}
	switch r.Op.Body {
	case DataBody:
		r.Body = &Body{
			Body:      engine.Body{Reader: decoded, Size: decoded.Length(), MD5: sum},
			Announced: announced(r.HTTP.Header), Trailers: decoded.Trailers,
		}
		return nil
	case XMLBody:
		return r.readDocument(decoded, sum)
	}
	// No body came: the digest that it claims must be that of nothing.
	_, err = io.Copy(io.Discard, decoded)
	return err
}

// prepareForm makes the form's file the request's body.
func (r *Request) prepareForm() error {
	f := r.form
	if f == nil {
		return s3err.New(s3err.InvalidRequest, "The signature of a form upload must be in the form's fields.")
	}
	r.Body = &Body{
		Body:     engine.Body{Reader: f, Size: f.most, Open: true},
		Trailers: func() http.Header { return http.Header{} },
	}
	return nil
}

// readDocument reads a body of at most MaxBody bytes and checks its digests.
func (r *Request) readDocument(body *sigv4.Body, sum []byte) error {
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(body, r.Op.MaxBody+1)); err != nil {
		return err
	}
	r.XML = b.Bytes()
	// The copy stops one byte after the limit, so a body that is longer than
	// announced is noticed too.
	if int64(len(r.XML)) != body.Length() {
		return s3err.IncompleteBody
	}
	if got := weakhash.MD5(r.XML); sum != nil && subtle.ConstantTimeCompare(sum, got[:]) != 1 {
		return s3err.BadDigest
	}
	// The x-amz-checksum-* of such an operation is about the object, not about
	// the document.
	if r.Op.ObjectChecksum {
		return nil
	}
	return r.checkDocumentSum(body)
}

// checkDocumentSum checks the x-amz-checksum-* of a document.
func (r *Request) checkDocumentSum(body *sigv4.Body) error {
	claimed, err := r.claimedSum(announced(r.HTTP.Header), body.Trailers)
	if err != nil || claimed.algorithm == "" {
		return err
	}
	want := claimed.value
	if claimed.late != nil {
		if want, err = claimed.late(); err != nil {
			return err
		}
	}
	sum := engine.NewChecksumHash(claimed.algorithm)
	sum.Write(r.XML)
	if subtle.ConstantTimeCompare(want, sum.Sum(nil)) != 1 {
		return s3err.New(s3err.BadDigest, "The %s you specified did not match the calculated checksum.", claimed.algorithm)
	}
	return nil
}

// contentMD5 reads Content-MD5; nil when it was not sent.
func contentMD5(h http.Header) ([]byte, error) {
	values := h.Values("Content-Md5")
	if len(values) == 0 {
		return nil, nil
	}
	sum, err := base64.StdEncoding.DecodeString(values[0])
	if err != nil || len(sum) != weakhash.SizeMD5 {
		return nil, s3err.New(s3err.InvalidDigest, "The Content-MD5 you specified was invalid.").With("Content-MD5", values[0])
	}
	return sum, nil
}

// announced returns the names in x-amz-trailer, in lower case.
func announced(h http.Header) []string {
	var names []string
	for _, v := range h.Values("X-Amz-Trailer") {
		for name := range strings.SplitSeq(v, ",") {
			names = append(names, strings.ToLower(strings.TrimSpace(name)))
		}
	}
	return names
}
