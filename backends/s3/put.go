package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/weakhash"
)

// smallBody is the size up to which a body is buffered before it is sent: then its
// checksum and hash precede it, it needs no chunk framing, and a reader that fails
// costs no request.
const smallBody = 64 << 10

var smallBuffers = sync.Pool{New: func() any { return new([smallBody]byte) }}

// Put implements backends.Backend. Bodies of known size are streamed: one request
// up to the limit of a single PUT, parts above it. A body of unknown size is
// buffered, Dialect.MinPart bytes at a time.
func (b *Backend) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	if err := b.put(ctx, id, r, size); err != nil {
		return fmt.Errorf("put blob %s: %w", id, err)
	}
	return nil
}

func (b *Backend) put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	if err := b.gate.MayPut(ctx, id); err != nil {
		return err
	}
	key := b.key(id)
	if !b.dialect.Conditional && !b.opts.TrustIDs {
		if err := b.free(ctx, key); err != nil {
			return err
		}
	}
	switch {
	case size < 0:
		return b.putUnknown(ctx, key, r)
	case size <= smallBody:
		return b.putSmall(ctx, key, r, size)
	case size <= b.singleLimit:
		return b.putStream(ctx, key, r, size)
	}
	return b.putParts(ctx, key, r, size)
}

// free fails with ErrExists if the key is taken. Ids are random, so a wrong answer
// does no harm, except when a copy is repeated, which is read back.
func (b *Backend) free(ctx context.Context, key string) error {
	_, err := b.glance(ctx, key)
	switch {
	case err == nil:
		return backends.ErrExists
	case errors.Is(err, backends.ErrNotFound):
		return nil
	}
	return err
}

func (b *Backend) putSmall(ctx context.Context, key string, r io.Reader, size int64) error {
	buf := smallBuffers.Get().(*[smallBody]byte)
	defer smallBuffers.Put(buf)
	src := newBody(ctx, r, size)
	data := buf[:size]
	if _, err := io.ReadFull(src, data); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if size == 0 { // for other sizes, the last byte was withheld until the end
		if err := confirmEnd(ctx, src.src); err != nil {
			return fmt.Errorf("read body: %w", err)
		}
	}
	return b.putBytes(ctx, key, data)
}

// putBytes sends a body from memory. The caller may reuse its buffer afterwards.
func (b *Backend) putBytes(ctx context.Context, key string, data []byte) error {
	opts, h := b.putOptions(), b.leading(data, b.dialect.CRC32C)
	if h.sent.declared {
		opts.UserMetadata = map[string]string{crc32cHeader: encodeCRC(h.sent.crc32c)}
	}
	opts.DisableContentSha256 = true // the hash is given instead
	src := newBody(ctx, bytes.NewReader(data), int64(len(data)))
	rctx, x := observed(ctx)
	info, err := b.core.PutObject(rctx, b.opts.Bucket, key, src, int64(len(data)), h.md5, h.sha256, opts)
	_ = src.finish() // this makes net/http release the buffer; only ctx can have failed
	if err != nil {
		return b.refused(ctx, key, x, err)
	}
	return b.proven(ctx, key, x, info, h.sent, int64(len(data)))
}

// leading has the values that precede a known body, as the dialect and the
// connection need them.
type leading struct {
	sent   sums
	md5    string // base64
	sha256 string // hex
}

func (b *Backend) leading(data []byte, crc32c bool) (h leading) {
	h.sent = sums{crc32c: crc32.Checksum(data, castagnoli), declared: crc32c}
	if !crc32c {
		sum := weakhash.MD5(data)
		h.md5, h.sent.md5 = base64.StdEncoding.EncodeToString(sum[:]), hex.EncodeToString(sum[:])
	}
	if !b.secure {
		sum := sha256.Sum256(data)
		h.sha256 = hex.EncodeToString(sum[:])
	}
	return h
}

// putStream sends a body in one request while it is read.
func (b *Backend) putStream(ctx context.Context, key string, r io.Reader, size int64) error {
	src := newBody(ctx, r, size)
	p := newPart(src, size, b.wantMD5())
	opts := b.putOptions()
	if b.dialect.Trailers {
		opts.Checksum = minio.ChecksumCRC32C
	}
	rctx, x := observed(ctx)
	info, err := b.core.PutObject(rctx, b.opts.Bucket, key, p, size, "", "", opts)
	if err := src.finish(); err != nil {
		return err
	}
	sent, unread := p.sums(b.dialect.Trailers)
	if err != nil && unread != nil && b.dialect.Conditional && noAnswer(err) {
		// A server that refuses early may close the connection before its response
		// can be read. The blob under the key cannot be this one, because its end
		// was not sent.
		if err := b.free(ctx, key); errors.Is(err, backends.ErrExists) {
			return err
		}
	}
	if err != nil {
		return b.refused(ctx, key, x, err)
	}
	if unread != nil {
		return unread
	}
	return b.proven(ctx, key, x, info, sent, size)
}

// noAnswer reports whether err comes from the connection.
func noAnswer(err error) bool {
	var answer minio.ErrorResponse
	return !errors.As(err, &answer)
}

// wantMD5 reports whether only the ETag can prove the bytes of a streamed body.
// Over plain HTTP the signature of each chunk proves them, and a HEAD of the object
// costs far less than a second digest of every byte.
func (b *Backend) wantMD5() bool { return b.secure && !b.dialect.Trailers && b.dialect.MD5ETag }

func (b *Backend) putOptions() minio.PutObjectOptions {
	opts := minio.PutObjectOptions{StorageClass: b.opts.StorageClass}
	if b.dialect.Conditional {
		opts.SetMatchETagExcept("*")
	}
	return opts
}

// refused tells a taken key from other errors.
func (b *Backend) refused(ctx context.Context, key string, x *exchange, err error) error {
	switch name, status := code(err); {
	case backends.Ended(ctx) != nil:
	case status == http.StatusPreconditionFailed || name == "PreconditionFailed":
		return backends.ErrExists
	case name == "ConditionalRequestConflict":
		// Another write of the key was in progress: AWS demands another look.
		if err := b.free(ctx, key); err != nil {
			return err
		}
		return fmt.Errorf("%w: another write of the blob was in progress", backends.ErrUnavailable)
	}
	return b.failed(ctx, x, err)
}

// plainETag is the form of entity tags, without their quotes.
var plainETag = regexp.MustCompile(`^[!#-~]{1,256}$`)

// confirmed compares a response about the stored bytes with the sent ones. A
// success always has an ETag. The bytes are proven if the response has a checksum
// of them.
func (b *Backend) confirmed(x *exchange, crc, etag string, sent sums) (proven bool, err error) {
	md5 := sent.md5 != "" && b.dialect.MD5ETag && !kmsKey(x)
	switch {
	case crc != "" && crc != encodeCRC(sent.crc32c):
		return false, fmt.Errorf("%w: its CRC32C of the stored bytes differs from that of the sent bytes", backends.ErrCorrupt)
	case crc == "" && sent.declared && b.dialect.Echo:
		return false, fmt.Errorf("%w: it does not confirm the checksum", backends.ErrCorrupt)
	case !plainETag.MatchString(etag):
		return false, fmt.Errorf("%w: its answer has no valid ETag", backends.ErrCorrupt)
	case md5 && !strings.EqualFold(etag, sent.md5):
		return false, fmt.Errorf("%w: its MD5 of the stored bytes differs from that of the sent bytes", backends.ErrCorrupt)
	}
	return crc != "" || md5, nil
}

// proven is confirmed for a whole blob. If the response proves nothing, it checks
// the object itself.
func (b *Backend) proven(ctx context.Context, key string, x *exchange, info minio.UploadInfo, sent sums, size int64) error {
	proven, err := b.confirmed(x, info.ChecksumCRC32C, info.ETag, sent)
	if err != nil || proven {
		return err
	}
	return b.stored(ctx, key, size)
}

// stored checks that the object exists and has the right length.
func (b *Backend) stored(ctx context.Context, key string, size int64) error {
	info, err := b.head(ctx, key)
	switch {
	case errors.Is(err, backends.ErrNotFound):
		return fmt.Errorf("%w: it does not have the object that it has just confirmed", backends.ErrCorrupt)
	case err == nil && info.Size != size:
		return fmt.Errorf("%w: it has %d of the %d sent bytes", backends.ErrCorrupt, info.Size, size)
	}
	return err
}

// kmsKey reports whether the ETag of a response is by design no MD5:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
func kmsKey(x *exchange) bool {
	return strings.HasPrefix(x.header.Get("X-Amz-Server-Side-Encryption"), "aws:kms")
}
