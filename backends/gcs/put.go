package gcs

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

const (
	// MaxBuffered is the size in bytes up to which a body is buffered before its
	// upload. Then its checksum precedes it and the service refuses other bytes.
	// For larger bodies the checksum is compared afterwards.
	MaxBuffered = 128 << 10
	// MaxObject is GCS's limit for one object in bytes, and for one request.
	// https://cloud.google.com/storage/quotas#objects
	MaxObject = 5 << 40
	// undoTimeout bounds the removal of an object that was stored wrongly.
	undoTimeout = 30 * time.Second
)

// noTransform keeps caches and Google's front ends from compressing or
// decompressing the bytes in transit.
// https://cloud.google.com/storage/docs/transcoding
const noTransform = "private, no-transform"

// buffers have one byte more than MaxBuffered, to detect the end of a body.
var buffers = sync.Pool{New: func() any { return new([MaxBuffered + 1]byte) }}

// Put implements backends.Backend. A body of any size takes one request, and
// MaxBuffered bytes of memory beside the connection's buffers. There are no
// resumable uploads, because r cannot be read twice. A body above MaxBuffered that
// arrives with another checksum is visible until Put removes it and returns
// ErrCorrupt.
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
	if size > MaxObject {
		return fmt.Errorf("%w: %d bytes, want at most %d for one object", backends.ErrFull, size, int64(MaxObject))
	}
	return b.insert(ctx, b.name(id), backends.Sized(r, size), size)
}

// insert creates an object from r with size bytes, or -1 for an unknown length.
func (b *Backend) insert(ctx context.Context, name string, r io.Reader, size int64) error {
	if size > MaxBuffered {
		return b.stream(ctx, name, r, size)
	}
	buf := buffers.Get().(*[MaxBuffered + 1]byte)
	defer buffers.Put(buf)
	n, whole, err := fill(buf[:], r)
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if err := backends.Ended(ctx); err != nil {
		return err
	}
	if whole {
		return b.whole(ctx, name, buf[:n])
	}
	return b.stream(ctx, name, io.MultiReader(bytes.NewReader(buf[:n]), r), -1)
}

// fill reads until p is full or r has ended. Unlike io.ReadFull it tells r's own
// io.ErrUnexpectedEOF, which is a failure, from r's end.
func fill(p []byte, r io.Reader) (n int, whole bool, err error) {
	for n < len(p) {
		m, err := r.Read(p[n:])
		n += m
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}

// whole uploads a body from memory.
func (b *Backend) whole(ctx context.Context, name string, data []byte) error {
	head, tail, header := b.frame(name, encodeSum(crc32.Checksum(data, castagnoli)))
	var last *upload
	resp, err := b.send(ctx, call{
		method: http.MethodPost, url: b.insertURL(), header: header, ok: []int{http.StatusOK},
		body: func() (io.Reader, int64) {
			if last != nil {
				last.stop() // data now belongs to the new one
			}
			last = &upload{ctx: ctx, head: head, r: bytes.NewReader(data), tail: tail}
			return last, int64(len(head) + len(data) + len(tail))
		},
	})
	return b.finish(ctx, name, last, resp, err)
}

// stream uploads a body while it is read.
func (b *Backend) stream(ctx context.Context, name string, r io.Reader, size int64) error {
	head, tail, header := b.frame(name, "")
	u := &upload{ctx: ctx, head: head, r: r, tail: tail}
	length := int64(-1)
	if size >= 0 {
		length = int64(len(head)) + size + int64(len(tail))
	}
	resp, err := b.send(ctx, call{
		method: http.MethodPost, url: b.insertURL(), header: header, ok: []int{http.StatusOK}, once: true,
		body: func() (io.Reader, int64) { return u, length },
	})
	return b.finish(ctx, name, u, resp, err)
}

func (b *Backend) insertURL() string {
	q := url.Values{"uploadType": {"multipart"}, "ifGenerationMatch": {"0"}, "fields": {"size,crc32c,generation"}}
	return b.opts.Endpoint + "/upload/storage/v1/b/" + url.PathEscape(b.opts.Bucket) + "/o?" + q.Encode()
}

// frame returns the bytes before and after the body of a multipart/related upload.
// https://cloud.google.com/storage/docs/uploading-objects#rest-upload-objects
func (b *Backend) frame(name, sum string) (head, tail []byte, _ http.Header) {
	meta, err := json.Marshal(struct {
		Name         string `json:"name"`
		CacheControl string `json:"cacheControl"`
		StorageClass string `json:"storageClass,omitempty"`
		Sum          string `json:"crc32c,omitempty"`
	}{name, noTransform, b.opts.StorageClass, sum})
	if err != nil {
		panic(err) // strings always marshal
	}
	boundary := rand.Text() // 128 random bits, which no body contains except by chance
	head = fmt.Appendf(nil, "--%s\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n%s\r\n--%[1]s\r\nContent-Type: application/octet-stream\r\n\r\n", boundary, meta)
	tail = fmt.Appendf(nil, "\r\n--%s--\r\n", boundary)
	return head, tail, http.Header{"Content-Type": {"multipart/related; boundary=" + boundary}}
}

// stored is the response to an upload.
type stored struct {
	Size       int64  `json:"size,string"`
	Sum        string `json:"crc32c"`
	Generation string `json:"generation"`
}

// finish ends an upload and compares the stored object with the sent bytes. u is
// nil if the request could not begin.
func (b *Backend) finish(ctx context.Context, name string, u *upload, resp *http.Response, err error) error {
	if u == nil {
		return err
	}
	failed, whole := u.stop()
	if resp != nil {
		defer resp.Body.Close()
	}
	switch {
	case failed != nil:
		return fmt.Errorf("read body: %w", failed)
	case err != nil:
		return noSuchBucket(err)
	}
	var s stored
	if err := answer(ctx, resp, &s); err != nil {
		return err
	}
	if whole && s.Size == u.size && s.Sum == encodeSum(u.sum) {
		return nil
	}
	err = fmt.Errorf("%w: it stored %d bytes with crc32c %.20q, but %d with %s were sent", backends.ErrCorrupt, s.Size, s.Sum, u.size, encodeSum(u.sum))
	return errors.Join(err, b.undo(ctx, name, s.Generation))
}

// undo removes exactly the generation that was stored wrongly.
func (b *Backend) undo(ctx context.Context, name, generation string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if _, err := strconv.ParseInt(generation, 10, 64); err != nil {
		return errors.New("the object was not removed: the answer has no generation")
	}
	if err := b.remove(ctx, name, url.Values{"generation": {generation}}); err != nil {
		return fmt.Errorf("the object was not removed: %w", err)
	}
	return nil
}

// encodeSum formats a CRC32C as the API does: base64 of four bytes, the highest
// first.
func encodeSum(sum uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}
