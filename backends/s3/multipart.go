package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/backends"
)

// abortTimeout bounds the removal of the parts of a failed upload, which also
// happens after the caller's context has ended.
const abortTimeout = 10 * time.Second

// maxUploadID bounds an upload's id in bytes, because it is part of URLs.
const maxUploadID = 2 << 10

// upload is a multipart upload in progress. It is invisible until it is completed.
type upload struct {
	b     *Backend
	key   string
	id    string
	parts []minio.CompletePart
	crcs  []byte // of the parts, big-endian, concatenated
	size  int64  // of all parts together
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

// partSize returns the setting, or the size that keeps the number of parts within
// the limit.
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

// putUnknown buffers one part at a time, because S3 requires the length of each
// part before its first byte.
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

// fill reads until buf is full, without an error, or r ends, with io.EOF.
func fill(ctx context.Context, r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		if err := backends.Ended(ctx); err != nil {
			return n, err
		}
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	if cause := backends.Ended(ctx); cause != nil {
		return n, cause
	}
	return n, err
}

// upload begins an upload, calls feed for its parts and completes it. After any
// failure it removes the parts.
func (b *Backend) upload(ctx context.Context, key string, feed func(*upload) error) (err error) {
	if !b.dialect.ConditionalComplete && b.dialect.Conditional {
		if err := b.free(ctx, key); err != nil { // otherwise put has checked the key already
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
	if u.id == "" || len(u.id) > maxUploadID {
		return fmt.Errorf("%w: its upload id has %d bytes", backends.ErrCorrupt, len(u.id))
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
	return u.took(x, got, sent, size)
}

// bytes sends a part from memory.
func (u *upload) bytes(ctx context.Context, data []byte) error {
	h := u.b.leading(data, u.b.dialect.Trailers) // with the checksum that the upload was begun with
	opts := minio.PutObjectPartOptions{Md5Base64: h.md5, Sha256Hex: h.sha256, DisableContentSha256: true, CustomHeader: http.Header{}}
	if h.sent.declared {
		opts.CustomHeader.Set(crc32cHeader, encodeCRC(h.sent.crc32c))
	}
	src := newBody(ctx, bytes.NewReader(data), int64(len(data)))
	rctx, x := observed(ctx)
	got, err := u.b.core.PutObjectPart(rctx, u.b.opts.Bucket, u.key, u.id, len(u.parts)+1, src, int64(len(data)), opts)
	_ = src.finish() // this makes net/http release the buffer; only ctx can have failed
	if err != nil {
		return u.b.failed(ctx, x, err)
	}
	return u.took(x, got, h.sent, int64(len(data)))
}

// took checks and records the response to a part.
func (u *upload) took(x *exchange, got minio.ObjectPart, sent sums, size int64) error {
	if _, err := u.b.confirmed(x, got.ChecksumCRC32C, got.ETag, sent); err != nil {
		return err // an unproven part is covered by the length of the whole
	}
	part := minio.CompletePart{PartNumber: got.PartNumber, ETag: got.ETag}
	if sent.declared {
		part.ChecksumCRC32C = encodeCRC(sent.crc32c)
	}
	u.parts = append(u.parts, part)
	u.crcs = binary.BigEndian.AppendUint32(u.crcs, sent.crc32c)
	u.size += size
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
	if !plainETag.MatchString(info.ETag) {
		return fmt.Errorf("%w: its answer has no valid ETag", backends.ErrCorrupt)
	}
	if err := u.whole(info.ChecksumCRC32C); err != nil {
		return err
	}
	return u.b.stored(ctx, u.key, u.size)
}

// whole checks the checksum of the blob if the response has one: the checksum of
// the parts' checksums, a dash, and their number.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
func (u *upload) whole(got string) error {
	sum, _, composite := strings.Cut(got, "-")
	if !u.b.dialect.Trailers || !composite {
		return nil // each part has been confirmed
	}
	want := encodeCRC(crc32.Checksum(u.crcs, castagnoli))
	if _, err := base64.StdEncoding.DecodeString(sum); err != nil || sum != want {
		return fmt.Errorf("%w: its CRC32C of the parts differs from that of the sent parts", backends.ErrCorrupt)
	}
	return nil
}

// abort removes the parts. A missing upload is no error: the failure may have been
// a lost response to its completion.
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

// Sweep implements backends.Sweeper: it aborts uploads that began before the given
// time and were never completed, because a gateway died or could not abort them. It
// considers only names of blobs. A lifecycle rule of the bucket
// (AbortIncompleteMultipartUpload) does the same.
func (b *Backend) Sweep(ctx context.Context, before time.Time) (removed int, err error) {
	if err := b.gate.Writable(ctx); err != nil {
		return 0, fmt.Errorf("abort uploads: %w", err)
	}
	var failed error // the first error
	query := url.Values{"uploads": {""}, "encoding-type": {"url"}, "prefix": {b.opts.Prefix}, "max-uploads": {strconv.Itoa(pageSize)}}
	for pages := 0; ; pages++ {
		var p uploads
		if err := b.ask(ctx, http.MethodGet, query, nil, &p); err != nil {
			return removed, fmt.Errorf("abort uploads: %w", err)
		}
		for _, u := range p.Uploads {
			key, err := p.name(u.Key)
			if _, ours := b.blob(key); err != nil || !ours || !u.Initiated.Before(before) {
				continue
			}
			switch err := b.abort(ctx, key, u.UploadID); {
			case err == nil:
				removed++
			case errors.Is(err, backends.ErrUnavailable) || backends.Ended(ctx) != nil:
				return removed, err
			case failed == nil:
				failed = err
			}
		}
		if !p.IsTruncated {
			return removed, failed
		}
		next, err := p.name(p.NextKey)
		same := next == query.Get("key-marker") && p.NextUpload == query.Get("upload-id-marker")
		if err != nil || next == "" || same || pages == backends.MaxForeignPages {
			return removed, fmt.Errorf("abort uploads: %w: the listing does not advance", backends.ErrCorrupt)
		}
		query.Set("key-marker", next)
		query.Set("upload-id-marker", p.NextUpload)
	}
}

// uploads is the used part of a response of ListMultipartUploads.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
type uploads struct {
	XMLName      xml.Name `xml:"ListMultipartUploadsResult"`
	EncodingType string   `xml:"EncodingType"`
	IsTruncated  bool     `xml:"IsTruncated"`
	NextKey      string   `xml:"NextKeyMarker"`
	NextUpload   string   `xml:"NextUploadIdMarker"`
	Uploads      []struct {
		Key       string    `xml:"Key"`
		UploadID  string    `xml:"UploadId"`
		Initiated time.Time `xml:"Initiated"`
	} `xml:"Upload"`
}

// name decodes a key if the server says that it is encoded.
func (u *uploads) name(key string) (string, error) {
	if u.EncodingType != "url" {
		return key, nil
	}
	return url.QueryUnescape(key)
}
