package s3

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/outbound"
)

// Get implements backends.Backend. It sends one request, and a second one only
// where a range begins at or beyond the end of the blob.
func (b *Backend) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	r, err := b.get(ctx, id, off, n)
	if err != nil {
		return nil, fmt.Errorf("get blob %s: %w", id, err)
	}
	return r, nil
}

func (b *Backend) get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	if err := backends.CheckRange(off, n); err != nil {
		return nil, err
	}
	if err := b.gate.Usable(ctx); err != nil {
		return nil, err
	}
	key := b.key(id)
	if n == 0 { // HTTP cannot request zero bytes
		return b.empty(ctx, key, off)
	}
	rctx, x := observed(outbound.Stream(ctx, n))
	opts, ranged := getOptions(off, n, b.dialect.CRC32C)
	content, _, header, err := b.core.GetObject(rctx, b.opts.Bucket, key, opts)
	if err != nil {
		if _, status := code(err); status == http.StatusRequestedRangeNotSatisfiable {
			return b.beyond(ctx, key, off, n)
		}
		return nil, b.failed(ctx, x, err)
	}
	r := &reader{ctx: ctx, body: content}
	if err := r.begin(x, header, off, n, ranged); err != nil {
		r.Close()
		return nil, err
	}
	if n < 0 {
		n = r.left
	}
	return backends.Exactly(r, n), nil
}

// getOptions requests the range, and the checksum if the range is the whole blob.
func getOptions(off, n int64, crc32c bool) (opts minio.GetObjectOptions, ranged bool) {
	switch {
	case n > 0:
		opts.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	case off > 0:
		opts.Set("Range", fmt.Sprintf("bytes=%d-", off))
	case crc32c:
		opts.Set(modeHeader, "ENABLED")
	}
	return opts, n > 0 || off > 0
}

// empty returns an empty range of a blob that must reach to off.
func (b *Backend) empty(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	info, err := b.head(ctx, key)
	if err != nil {
		return nil, err
	}
	if off > info.Size {
		return nil, fmt.Errorf("0 bytes from %d of %d: %w", off, info.Size, io.ErrUnexpectedEOF)
	}
	return http.NoBody, nil
}

// beyond interprets a response that a range begins at or after the end of a blob.
// The blob's length must confirm that.
func (b *Backend) beyond(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	info, err := b.head(ctx, key)
	switch {
	case err != nil:
		return nil, err
	case off < info.Size || off == 0 && n < 0:
		return nil, fmt.Errorf("%w: it has no bytes from %d of an object of %d", backends.ErrUnavailable, off, info.Size)
	case n > 0 || off > info.Size:
		return nil, fmt.Errorf("%d bytes from %d of %d: %w", n, off, info.Size, io.ErrUnexpectedEOF)
	}
	return http.NoBody, nil
}

// reader is the body of a response.
type reader struct {
	ctx  context.Context
	body io.ReadCloser
	left int64       // remaining bytes of the response
	crc  hash.Hash32 // nil: the response has no checksum
	want string
}

// plainCodings change no bytes. Some servers repeat the framing of the upload.
var plainCodings = []string{"identity", "aws-chunked"}

// begin compares the response with the request.
func (r *reader) begin(x *exchange, header http.Header, off, n int64, ranged bool) error {
	length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	if err != nil || length < 0 {
		return fmt.Errorf("%w: its answer has no Content-Length", backends.ErrUnavailable)
	}
	r.left = length
	if coding := header.Get("Content-Encoding"); coding != "" && !slices.Contains(plainCodings, coding) {
		return fmt.Errorf("%w: it sent the object with Content-Encoding %.20q, which was not stored", backends.ErrCorrupt, coding)
	}
	switch {
	case ranged && x.status == http.StatusPartialContent:
		first, last, size, err := outbound.ParseContentRange(header.Get("Content-Range"))
		end := size
		if n > 0 && n < size-off {
			end = off + n
		}
		if err != nil || first != off || last != end-1 || length != last-first+1 {
			return fmt.Errorf("%w: the request was for %d bytes from %d, but it sends %d of %.80q", backends.ErrCorrupt, n, off, length, header.Get("Content-Range"))
		}
	case ranged && off > 0:
		return fmt.Errorf("the request was for bytes from %d, but it sends the whole object: it does not support ranges", off)
	case !ranged && x.status == http.StatusPartialContent:
		return fmt.Errorf("%w: the request was for the whole object, but it sends a part", backends.ErrCorrupt)
	}
	if n > length {
		return fmt.Errorf("%d bytes from %d, of which there are %d: %w", n, off, length, io.ErrUnexpectedEOF)
	}
	if want := header.Get(crc32cHeader); !ranged && len(want) == crc32cBase64Len { // not a composite one, such as "…-3"
		r.crc, r.want = crc32.New(castagnoli), want
	}
	return nil
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if err := backends.Ended(r.ctx); err != nil {
		return 0, err
	}
	n, err := r.body.Read(p)
	r.left -= int64(n)
	if r.crc != nil {
		r.crc.Write(p[:n])
		if r.left == 0 && encodeCRC(r.crc.Sum32()) != r.want {
			return n, fmt.Errorf("%w: the bytes differ from its own CRC32C", backends.ErrCorrupt)
		}
	}
	switch {
	case err == nil || (err == io.EOF && r.left == 0):
		return n, err
	case backends.Ended(r.ctx) != nil:
		return n, context.Cause(r.ctx)
	}
	return n, unreached(err)
}

// Close implements io.Closer.
func (r *reader) Close() error { return r.body.Close() }

// Stat implements backends.Backend.
func (b *Backend) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	info, err := b.stat(ctx, id)
	if err != nil {
		return backends.Info{}, fmt.Errorf("stat blob %s: %w", id, err)
	}
	return info, nil
}

func (b *Backend) stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	if err := b.gate.Usable(ctx); err != nil {
		return backends.Info{}, err
	}
	info, err := b.head(ctx, b.key(id))
	if err != nil {
		return backends.Info{}, err
	}
	return backends.Info{ID: id, Size: info.Size, Modified: info.LastModified}, nil
}

// head describes an object. The response to HEAD has no document that could name
// the missing resource. So if its status says that the object is missing, a GET of
// one byte must confirm it.
func (b *Backend) head(ctx context.Context, key string) (minio.ObjectInfo, error) {
	info, err := b.glance(ctx, key)
	if errors.Is(err, backends.ErrNotFound) {
		err = b.provenAbsent(ctx, key)
	}
	return info, err
}

// glance sends a HEAD request and trusts its status. It is for callers that lose
// nothing by a wrong one.
func (b *Backend) glance(ctx context.Context, key string) (minio.ObjectInfo, error) {
	rctx, x := observed(ctx)
	info, err := b.core.StatObject(rctx, b.opts.Bucket, key, minio.StatObjectOptions{})
	if err == nil && info.Size < 0 {
		return info, fmt.Errorf("%w: its answer has no length of the object", backends.ErrCorrupt)
	}
	if err = b.failed(ctx, x, err); errors.Is(err, errNoProof) {
		err = backends.ErrNotFound
	}
	return info, err
}

// provenAbsent returns backends.ErrNotFound if a GET confirms that the object does
// not exist. Otherwise it returns why that is unknown.
func (b *Backend) provenAbsent(ctx context.Context, key string) error {
	rctx, x := observed(outbound.Stream(ctx, 1))
	opts, _ := getOptions(0, 1, false)
	content, _, _, err := b.core.GetObject(rctx, b.opts.Bucket, key, opts)
	if err == nil {
		content.Close()
	}
	if _, status := code(err); err == nil || status == http.StatusRequestedRangeNotSatisfiable {
		return fmt.Errorf("%w: HEAD says that the object does not exist, but GET finds it", backends.ErrUnavailable)
	}
	return b.failed(ctx, x, err)
}
