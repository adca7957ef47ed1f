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
	// MaxBuffered is up to how many bytes a body is gathered before its upload,
	// so that its checksum goes ahead of it and the service itself refuses other
	// bytes. Of larger ones the checksum is compared afterwards.
	MaxBuffered = 128 << 10
	// MaxObject is GCS's limit for one object in bytes, which one request may
	// carry. https://cloud.google.com/storage/quotas#objects
	MaxObject = 5 << 40
	// undoTimeout bounds the removal of an object that was stored wrong.
	undoTimeout = 30 * time.Second
)

// noTransform keeps caches and Google's front ends from compressing or
// decompressing the bytes on their way.
// https://cloud.google.com/storage/docs/transcoding
const noTransform = "private, no-transform"

// buffers have one byte more than MaxBuffered, to see a body's end.
var buffers = sync.Pool{New: func() any { return new([MaxBuffered + 1]byte) }}

// Put implements backends.Backend. A body of any size is one request, and takes
// MaxBuffered bytes of memory beside the connection's buffers; there is no
// resumable upload, since what r yields cannot be had twice. Of bodies above
// MaxBuffered, one that arrives with another checksum is visible until it is
// removed, before Put returns ErrCorrupt.
func (b *Backend) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	if err := b.put(ctx, id, r, size); err != nil {
		return fmt.Errorf("put blob %s: %w", id, err)
	}
	return nil
}

func (b *Backend) put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	if err := b.writable(ctx); err != nil {
		return err
	}
	if id.IsZero() {
		return errors.New("the zero id names no blob")
	}
	if size > MaxObject {
		return fmt.Errorf("%w: %d bytes, one object holds at most %d", backends.ErrFull, size, int64(MaxObject))
	}
	return b.insert(ctx, b.name(id), backends.Sized(r, size), size)
}

// insert creates an object from r, whose length is size or, if that is -1,
// unknown.
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
	if err := ended(ctx); err != nil {
		return err
	}
	if whole {
		return b.whole(ctx, name, buf[:n])
	}
	return b.stream(ctx, name, io.MultiReader(bytes.NewReader(buf[:n]), r), -1)
}

// fill reads until p is full or r has ended. Unlike io.ReadFull it keeps r's own
// io.ErrUnexpectedEOF, a failure, apart from r's end.
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

// whole uploads a body that is all there.
func (b *Backend) whole(ctx context.Context, name string, data []byte) error {
	head, tail, header := b.frame(name, encodeSum(crc32.Checksum(data, castagnoli)))
	var last *upload
	resp, err := b.send(ctx, call{
		method: http.MethodPost, url: b.insertURL(), header: header, ok: []int{http.StatusOK},
		body: func() (io.Reader, int64) {
			if last != nil {
				last.stop() // data is the new one's
			}
			last = &upload{ctx: ctx, head: head, r: bytes.NewReader(data), tail: tail}
			return last, int64(len(head) + len(data) + len(tail))
		},
	})
	return b.finish(ctx, name, last, resp, err)
}

// stream uploads a body as it comes.
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

// frame makes what goes before and after the bytes of a multipart/related upload.
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
	boundary := rand.Text() // 128 random bits: no body has them but by chance
	head = fmt.Appendf(nil, "--%s\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n%s\r\n--%[1]s\r\nContent-Type: application/octet-stream\r\n\r\n", boundary, meta)
	tail = fmt.Appendf(nil, "\r\n--%s--\r\n", boundary)
	return head, tail, http.Header{"Content-Type": {"multipart/related; boundary=" + boundary}}
}

// stored is the answer to an upload.
type stored struct {
	Size       int64  `json:"size,string"`
	Sum        string `json:"crc32c"`
	Generation string `json:"generation"`
}

// finish ends an upload and compares what was stored with what was sent. u is
// nil where the request could not even begin.
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
	err = fmt.Errorf("%w: sent %d bytes with crc32c %s, stored were %d with %.20q", backends.ErrCorrupt, u.size, encodeSum(u.sum), s.Size, s.Sum)
	return errors.Join(err, b.undo(ctx, name, s.Generation))
}

// undo removes what was stored wrong, and only that.
func (b *Backend) undo(ctx context.Context, name, generation string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if _, err := strconv.ParseInt(generation, 10, 64); err != nil {
		return errors.New("it was left there: the answer names no generation")
	}
	if err := b.remove(ctx, name, url.Values{"generation": {generation}}); err != nil {
		return fmt.Errorf("it was left there: %w", err)
	}
	return nil
}

// encodeSum is a CRC32C as the API has it: base64 of four bytes, the highest
// first.
func encodeSum(sum uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}
