package gcs

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/outbound"
)

// Get implements backends.Backend. If the range is the whole blob, its CRC32C is
// checked at the end; a part cannot be checked here.
func (b *Backend) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	rc, err := b.get(ctx, id, off, n)
	if err != nil {
		return nil, fmt.Errorf("get blob %s: %w", id, err)
	}
	return rc, nil
}

func (b *Backend) get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	if err := backends.CheckRange(off, n); err != nil {
		return nil, err
	}
	if err := b.gate.Usable(ctx); err != nil {
		return nil, err
	}
	if n == 0 { // a Range header cannot request zero bytes
		return b.nothing(ctx, b.name(id), off)
	}
	return b.fetch(ctx, b.name(id), off, n)
}

// nothing returns an empty range of an object that must reach to off.
func (b *Backend) nothing(ctx context.Context, name string, off int64) (io.ReadCloser, error) {
	o, err := b.describe(ctx, name)
	if err != nil {
		return nil, err
	}
	return empty(off, o.Size)
}

func empty(off, size int64) (io.ReadCloser, error) {
	if off > size {
		return nil, fmt.Errorf("from %d of %d: %w", off, size, io.ErrUnexpectedEOF)
	}
	return http.NoBody, nil
}

// fetch reads a non-empty range; n -1 is to the end.
func (b *Backend) fetch(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	// GCS does not decompress when gzip is accepted: it then sends an object as it
	// is stored, whatever its Content-Encoding says.
	c := call{
		method: http.MethodGet, url: b.object(name, url.Values{"alt": {"media"}}),
		header: http.Header{"Accept-Encoding": {"gzip"}},
		ok:     []int{http.StatusOK},
	}
	if off > 0 || n > 0 {
		c.ok = []int{http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable}
		c.header.Set("Range", rangeHeader(off, n))
	}
	resp, err := b.send(outbound.Stream(ctx, n), c)
	if errors.Is(err, errNoProof) { // for media, GCS sends this as plain text, which any server could send
		if _, err = b.describe(ctx, name); err == nil {
			err = errNoProof
		}
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		defer resp.Body.Close()
		return b.beyond(ctx, name, off, n)
	}
	r, err := newReader(ctx, resp, off, n)
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return r, nil
}

func rangeHeader(off, n int64) string {
	if n < 0 {
		return fmt.Sprintf("bytes=%d-", off)
	}
	return fmt.Sprintf("bytes=%d-%d", off, off+n-1)
}

// beyond interprets a response that a range begins at or after the object's end.
// The object's length must confirm that.
func (b *Backend) beyond(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	o, err := b.describe(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case off < o.Size:
		return nil, fmt.Errorf("%w: it has no bytes from %d of an object of %d", backends.ErrUnavailable, off, o.Size)
	case n > 0:
		return nil, fmt.Errorf("%d bytes from %d of %d: %w", n, off, o.Size, io.ErrUnexpectedEOF)
	}
	return empty(off, o.Size)
}

// reader is the body of a response. It tells a blob that is too short for the range
// (io.ErrUnexpectedEOF) from a broken connection (backends.ErrUnavailable).
type reader struct {
	ctx     context.Context
	body    io.ReadCloser
	left    int64  // remaining bytes; -1: until the body ends
	short   bool   // the blob ends before the range
	sum     uint32 // CRC32C of the bytes so far
	wantSum string // of the whole blob; empty for a part
	err     error  // the final error
}

func newReader(ctx context.Context, resp *http.Response, off, n int64) (*reader, error) {
	coding := resp.Header.Get("Content-Encoding")
	if coding != "" && coding != "identity" && coding != resp.Header.Get("X-Goog-Stored-Content-Encoding") {
		return nil, fmt.Errorf("%w: it sent the object with Content-Encoding %.20q, which was not stored", backends.ErrCorrupt, coding)
	}
	r := &reader{ctx: ctx, body: resp.Body, left: resp.ContentLength}
	whole := true
	if resp.StatusCode == http.StatusPartialContent {
		first, last, size, err := outbound.ParseContentRange(resp.Header.Get("Content-Range"))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", backends.ErrCorrupt, err)
		}
		end := size
		if n > 0 && n < size-off {
			end = off + n
		}
		served := last - first + 1
		if first != off || last != end-1 || resp.ContentLength >= 0 && resp.ContentLength != served {
			return nil, fmt.Errorf("%w: the request was for %d bytes from %d, but it sends %d from %d of %d", backends.ErrCorrupt, n, off, served, first, size)
		}
		r.left, r.short = served, n > served
		whole = served == size
	}
	if whole {
		if r.wantSum = sentSum(resp.Header); r.wantSum == "" {
			return nil, fmt.Errorf("%w: its answer has no checksum of the whole object", backends.ErrCorrupt)
		}
	}
	return r, nil
}

// sentSum returns crc32c of "x-goog-hash: crc32c=AAAAAA==,md5=…", which may be
// split into several headers.
func sentSum(h http.Header) string {
	for _, line := range h.Values("X-Goog-Hash") {
		for part := range strings.SplitSeq(line, ",") {
			if sum, ok := strings.CutPrefix(strings.TrimSpace(part), "crc32c="); ok {
				return sum
			}
		}
	}
	return ""
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.err == nil {
		r.err = backends.Ended(r.ctx)
	}
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if r.left == 0 {
		r.err = r.end()
		return 0, r.err
	}
	if r.left > 0 && int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.body.Read(p)
	r.sum = crc32.Update(r.sum, castagnoli, p[:n])
	if r.left > 0 {
		r.left -= int64(n)
	}
	switch {
	case err == nil:
	case err == io.EOF && r.left <= 0:
		r.err = r.end()
	case err == io.EOF:
		r.err = broken(r.ctx, errors.New("the answer ends early"))
	default:
		r.err = broken(r.ctx, err)
	}
	return n, r.err
}

// end returns the result after the last byte.
func (r *reader) end() error {
	switch {
	case r.wantSum != "" && r.wantSum != encodeSum(r.sum):
		return fmt.Errorf("%w: crc32c is %s, the backend says %.20q", backends.ErrCorrupt, encodeSum(r.sum), r.wantSum)
	case r.short:
		return io.ErrUnexpectedEOF
	}
	return io.EOF
}

// Close implements io.Closer. The connection of a fully read body is reused.
func (r *reader) Close() error {
	if r.err == nil {
		r.err = errors.New("read after close")
	}
	return r.body.Close()
}
