package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/backends"
)

// abortTimeout bounds the removal of the parts of a failed upload, which also
// happens when the caller's context has ended.
const abortTimeout = 10 * time.Second

// upload is a multipart upload under way. It is visible to nobody before it is
// completed.
type upload struct {
	b     *Backend
	key   string
	id    string
	parts []minio.CompletePart
	crcs  []byte // of the parts, big-endian, one after the other
}

// putParts streams a body above the limit of a single PUT.
func (b *Backend) putParts(ctx context.Context, key string, r io.Reader, size int64) error {
	partSize, err := b.partSize(size)
	if err != nil {
		return err
	}
	src := newBody(ctx, r, size)
	return b.upload(ctx, key, func(u *upload) error {
		defer func() { _ = src.finish() }() // its error has been returned
		for left := size; left > 0; left -= partSize {
			if err := u.stream(ctx, src, min(partSize, left)); err != nil {
				return err
			}
		}
		return nil
	})
}

// partSize is the setting, or what it takes to have few enough parts.
func (b *Backend) partSize(size int64) (int64, error) {
	d := &b.dialect
	parts := int64(d.MaxParts)
	n := max(b.opts.PartSize, (size+parts-1)/parts, d.MinPart)
	n = min(n, d.MaxPart)
	if (size+n-1)/n > parts {
		return 0, fmt.Errorf("%w: a blob of %d bytes is above the provider's limits", backends.ErrFull, size)
	}
	return n, nil
}

// putUnknown gathers a part at a time: S3 wants the length of each before its
// first byte.
func (b *Backend) putUnknown(ctx context.Context, key string, r io.Reader) error {
	buf := make([]byte, b.dialect.MinPart)
	n, err := fill(ctx, r, buf)
	if err == io.EOF {
		return b.putBytes(ctx, key, buf[:n])
	}
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	return b.upload(ctx, key, func(u *upload) error {
		for last := false; !last; {
			if len(u.parts) == b.dialect.MaxParts {
				return fmt.Errorf("%w: a body of unknown length has more than %d parts", backends.ErrFull, len(u.parts))
			}
			if err := u.bytes(ctx, buf[:n]); err != nil {
				return err
			}
			n, err = fill(ctx, r, buf)
			if err != nil && err != io.EOF {
				return fmt.Errorf("read body: %w", err)
			}
			last = n == 0
		}
		return nil
	})
}

// fill reads until buf is full, which is no error, or r ends, which is io.EOF.
func fill(ctx context.Context, r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		if err := ended(ctx); err != nil {
			return n, err
		}
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	if cause := ended(ctx); cause != nil {
		return n, cause
	}
	return n, err
}

// upload begins an upload, has it fed and completes it. Whatever fails, its
// parts are removed.
func (b *Backend) upload(ctx context.Context, key string, feed func(*upload) error) (err error) {
	if !b.dialect.ConditionalComplete && b.dialect.Conditional {
		if err := b.free(ctx, key); err != nil { // else put has asked already
			return err
		}
	}
	opts := minio.PutObjectOptions{StorageClass: b.opts.StorageClass}
	if b.dialect.Trailers {
		opts.UserMetadata = map[string]string{algorithmHeader: "CRC32C"}
	}
	rctx, x := observed(ctx)
	u := &upload{b: b, key: key}
	if u.id, err = b.core.NewMultipartUpload(rctx, b.opts.Bucket, key, opts); err != nil {
		return b.failed(ctx, x, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, u.abort(ctx))
		}
	}()
	if err := feed(u); err != nil {
		return err
	}
	return u.complete(ctx)
}

// stream sends the next size bytes of src as a part.
func (u *upload) stream(ctx context.Context, src *body, size int64) error {
	p := newPart(src, size, u.b.wantMD5())
	opts := minio.PutObjectPartOptions{}
	if u.b.dialect.Trailers {
		opts.Trailer = p.trailer
	}
	rctx, x := observed(ctx)
	got, err := u.b.core.PutObjectPart(rctx, u.b.opts.Bucket, u.key, u.id, len(u.parts)+1, p, size, opts)
	if err != nil {
		if err := src.finish(); err != nil {
			return err
		}
		return u.b.failed(ctx, x, err)
	}
	sent, err := p.sums(u.b.dialect.Trailers)
	if err != nil {
		return err
	}
	return u.took(x, got, sent)
}

// bytes sends a part that is in memory.
func (u *upload) bytes(ctx context.Context, data []byte) error {
	h := u.b.leading(data, u.b.dialect.Trailers) // as the upload was begun
	opts := minio.PutObjectPartOptions{Md5Base64: h.md5, Sha256Hex: h.sha256, DisableContentSha256: true, CustomHeader: http.Header{}}
	if h.sent.declared {
		opts.CustomHeader.Set(crc32cHeader, encodeCRC(h.sent.crc32c))
	}
	src := newBody(ctx, bytes.NewReader(data), int64(len(data)))
	rctx, x := observed(ctx)
	got, err := u.b.core.PutObjectPart(rctx, u.b.opts.Bucket, u.key, u.id, len(u.parts)+1, src, int64(len(data)), opts)
	_ = src.finish() // net/http lets go of the buffer; only ctx can have failed
	if err != nil {
		return u.b.failed(ctx, x, err)
	}
	return u.took(x, got, h.sent)
}

// took checks and notes the answer to a part.
func (u *upload) took(x *exchange, got minio.ObjectPart, sent sums) error {
	if err := u.b.confirmed(x, got.ChecksumCRC32C, got.ETag, sent); err != nil {
		return err
	}
	part := minio.CompletePart{PartNumber: got.PartNumber, ETag: got.ETag}
	if sent.declared {
		part.ChecksumCRC32C = encodeCRC(sent.crc32c)
	}
	u.parts = append(u.parts, part)
	u.crcs = binary.BigEndian.AppendUint32(u.crcs, sent.crc32c)
	return nil
}

// complete makes the blob visible.
func (u *upload) complete(ctx context.Context) error {
	opts := minio.PutObjectOptions{}
	if u.b.dialect.ConditionalComplete {
		opts.SetMatchETagExcept("*")
	}
	rctx, x := observed(ctx)
	info, err := u.b.core.CompleteMultipartUpload(rctx, u.b.opts.Bucket, u.key, u.id, u.parts, opts)
	if err != nil {
		return u.b.refused(ctx, u.key, x, err)
	}
	return u.whole(info.ChecksumCRC32C)
}

// whole checks the checksum of the blob, where the answer has it: that of the
// parts' checksums, then a dash and their number.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
func (u *upload) whole(got string) error {
	sum, _, composite := strings.Cut(got, "-")
	if !u.b.dialect.Trailers || !composite {
		return nil // each part has been confirmed
	}
	want := encodeCRC(crc32.Checksum(u.crcs, castagnoli))
	if _, err := base64.StdEncoding.DecodeString(sum); err != nil || sum != want {
		return fmt.Errorf("%w: its CRC32C of the parts differs from that of those sent", backends.ErrCorrupt)
	}
	return nil
}

// abort removes the parts. An upload that is no longer there is no error: what
// failed may have been the answer to its completion.
func (u *upload) abort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	return u.b.abort(ctx, u.key, u.id)
}

func (b *Backend) abort(ctx context.Context, key, uploadID string) error {
	rctx, x := observed(ctx)
	err := b.core.AbortMultipartUpload(rctx, b.opts.Bucket, key, uploadID)
	if name, _ := code(err); err == nil || name == "NoSuchUpload" {
		return nil
	}
	return fmt.Errorf("abort upload: %w", b.failed(ctx, x, err))
}

// AbortUploads removes what is left of uploads that began before the given time
// and were never completed, by gateways that died. It looks at blobs' names
// only. An upload under way that is older fails, and nothing is lost: choose a
// time that no upload takes, such as a day. It returns how many it removed. A
// lifecycle rule of the bucket (AbortIncompleteMultipartUpload) does the same.
func (b *Backend) AbortUploads(ctx context.Context, before time.Time) (removed int, err error) {
	if err := b.writable(ctx); err != nil {
		return 0, fmt.Errorf("abort uploads: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends minio-go's goroutine
	rctx, x := observed(ctx)
	for u := range b.core.ListIncompleteUploads(rctx, b.opts.Bucket, b.opts.Prefix, true) {
		if u.Err != nil {
			return removed, fmt.Errorf("abort uploads: %w", b.failed(ctx, x, u.Err))
		}
		if _, ours := b.blob(u.Key); !ours || !u.Initiated.Before(before) {
			continue
		}
		if err := b.abort(ctx, u.Key, u.UploadID); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
