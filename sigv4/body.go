package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// Body is a request body that is decoded and checked while it is read. Its last
// byte is returned only after the whole body was verified: length, digest,
// every signature, the trailers, and the absence of further bytes. A caller
// that stops reading earlier must not rely on any of it.
//
// After an error, or io.EOF, every Read returns the same. It is not safe for
// concurrent use and never closes its source.
type Body struct {
	src interface {
		read(p []byte) (int, error)
	}
	length  int64
	trailer http.Header
	err     error
}

// Body returns the decoded body of the request that id signed. r is the body as
// it arrives and contentLength its length. decodedLength is the length of the
// object in an aws-chunked body (x-amz-decoded-content-length), -1 if unstated.
// declaredTrailers are the names in x-amz-trailer.
//
// A length that is needed and missing is a MissingContentLength. Reading fails
// with IncompleteBody for more or fewer bytes than stated or broken framing,
// XAmzContentSHA256Mismatch, SignatureDoesNotMatch, InvalidChunkSizeError or
// MalformedTrailerError. Errors of r itself are wrapped.
func (id *Identity) Body(r io.Reader, contentLength, decodedLength int64, declaredTrailers []string) (*Body, error) {
	if len(declaredTrailers) > 0 && !id.Payload.Trailing() {
		return nil, s3err.New(s3err.MalformedTrailer, "x-amz-trailer requires an x-amz-content-sha256 that ends in -TRAILER.")
	}
	if !id.Payload.Chunked() {
		if contentLength < 0 {
			return nil, s3err.MissingContentLength
		}
		return id.plainBody(r, contentLength)
	}
	if decodedLength < 0 {
		return nil, s3err.MissingContentLength
	}
	names, err := declared(declaredTrailers)
	if err != nil {
		return nil, err
	}
	b := &Body{length: decodedLength, trailer: make(http.Header)}
	c := newChunked(r, id.Payload, decodedLength, names, b.trailer)
	if id.Payload != StreamingUnsignedTrailer {
		if id.seed == nil {
			return nil, errors.New("sigv4: signed chunks without a signed request")
		}
		c.chain = newChain(id.seed, id.Scope)
		c.sum = sha256.New()
	}
	b.src = c
	return b, nil
}

// RequestBody is Body for r, with the lengths and trailers in its headers. A
// length that is not a number counts as missing: MissingContentLength.
func (id *Identity) RequestBody(r *http.Request) (*Body, error) {
	decoded := int64(-1)
	if values := r.Header["X-Amz-Decoded-Content-Length"]; len(values) > 0 {
		n, ok := strict.Number(values[0], math.MaxInt64)
		if !ok || len(values) > 1 {
			return nil, s3err.MissingContentLength
		}
		decoded = n
	}
	var trailers []string
	for _, v := range r.Header["X-Amz-Trailer"] {
		trailers = append(trailers, strings.Split(v, ",")...)
	}
	return id.Body(r.Body, r.ContentLength, decoded, trailers)
}

// StripChunked removes aws-chunked from a Content-Encoding, because it
// describes the transfer and is not stored with the object. The rest stays as
// it was sent.
func StripChunked(contentEncoding string) string {
	if contentEncoding == "" {
		return ""
	}
	parts := strings.Split(contentEncoding, ",")
	kept := slices.DeleteFunc(slices.Clone(parts), func(part string) bool {
		return strings.EqualFold(strings.TrimSpace(part), "aws-chunked")
	})
	if len(kept) == len(parts) {
		return contentEncoding
	}
	return strings.Trim(strings.Join(kept, ","), ", \t")
}

// Length is the stated number of decoded bytes.
func (b *Body) Length() int64 { return b.length }

// Trailers are the trailing headers, in canonical form. They are complete only
// after Read returned io.EOF.
func (b *Body) Trailers() http.Header { return b.trailer }

// Read returns decoded bytes. See Body for the moment of verification.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.src.read(p)
	b.err = err
	if n > 0 && err == io.EOF {
		err = nil // the next call returns it
	}
	return n, err
}

// plain is a body without chunks.
type plain struct {
	r      io.Reader
	left   int64
	sum    hash.Hash // nil: unsigned
	digest string
	one    [1]byte
}

// plainBody reads exactly length bytes and verifies their digest, if it is
// signed.
func (id *Identity) plainBody(r io.Reader, length int64) (*Body, error) {
	p := &plain{r: r, left: length, digest: id.digest}
	switch id.Payload {
	case Signed:
		p.sum = sha256.New()
	case Unsigned:
	default:
		return nil, errors.New("sigv4: an identity without a payload mode")
	}
	if r == nil {
		p.r = http.NoBody
	}
	return &Body{src: p, length: length, trailer: http.Header{}}, nil
}

// read holds back the last bytes until finish has verified the whole.
func (p *plain) read(b []byte) (int, error) {
	// Only an empty body comes here. Any other ends in the call that reads its
	// last byte.
	if p.left == 0 {
		return 0, p.finish()
	}
	n, err := p.r.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	if p.sum != nil {
		p.sum.Write(b[:n])
	}
	if p.left > 0 {
		return n, early(err)
	}
	if err != nil && err != io.EOF {
		return 0, early(err)
	}
	// The last bytes are in b, but the caller is told of none.
	if err := p.finish(); err != io.EOF {
		return 0, err
	}
	return n, io.EOF
}

// finish returns io.EOF when the digest is right and no byte follows.
func (p *plain) finish() error {
	if p.sum != nil {
		if got := hex.EncodeToString(p.sum.Sum(nil)); got != p.digest {
			return s3err.New(s3err.ContentSHA256Mismatch, "").
				With("ClientComputedContentSHA256", p.digest).
				With("S3ComputedContentSHA256", got)
		}
	}
	return atEnd(io.ReadFull(p.r, p.one[:]))
}

// atEnd turns the result of reading one byte into io.EOF if there was none.
func atEnd(n int, err error) error {
	if n > 0 {
		return s3err.Wrap(s3err.IncompleteBody, errors.New("bytes after the end of the body"))
	}
	if err == io.EOF {
		return io.EOF
	}
	return early(err)
}

// early is the error for a body that ends or fails too early.
func early(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return s3err.IncompleteBody
	}
	return fmt.Errorf("sigv4: reading the body: %w", err)
}
