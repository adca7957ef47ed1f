package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"sync"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/weakhash"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Headers of S3's checksums.
const (
	crc32cHeader    = "X-Amz-Checksum-Crc32c"
	algorithmHeader = "X-Amz-Checksum-Algorithm"
	modeHeader      = "X-Amz-Checksum-Mode"
	crc32cBase64Len = 8
)

var errFinished = errors.New("the upload has ended")

// body yields the bytes of a Put to HTTP requests. It withholds the last byte until
// the source has confirmed its end: before that, no server can have received the
// whole body, whatever it makes of a broken request. net/http may read on after its
// request has returned, so each Read takes a lock, and finish ends them.
type body struct {
	ctx  context.Context
	src  io.Reader // yields exactly left bytes and io.EOF, or fails
	left int64

	mu       sync.Mutex
	err      error // the first error of src or ctx, which every later Read repeats
	finished bool
}

// newBody reads size bytes from r.
func newBody(ctx context.Context, r io.Reader, size int64) *body {
	return &body{ctx: ctx, src: backends.Sized(r, size), left: size}
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.finished {
		return 0, errFinished
	}
	if b.err == nil {
		b.err = backends.Ended(b.ctx)
	}
	switch {
	case b.err != nil:
		return 0, b.err
	case b.left == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	case b.left == 1:
		return b.last(p)
	}
	if int64(len(p)) > b.left-1 {
		p = p[:b.left-1]
	}
	n, err := b.src.Read(p)
	b.left -= int64(n)
	b.err = err
	return n, err
}

// last reads the last byte and the end, and yields the byte if both are good.
func (b *body) last(p []byte) (int, error) {
	if _, b.err = io.ReadFull(b.src, p[:1]); b.err != nil {
		return 0, b.err
	}
	if b.err = confirmEnd(b.ctx, b.src); b.err != nil {
		return 0, b.err
	}
	b.left = 0
	return 1, nil
}

// confirmEnd reads from r, and returns nil if the result is io.EOF.
func confirmEnd(ctx context.Context, r io.Reader) error {
	var none [1]byte
	for {
		n, err := r.Read(none[:])
		switch {
		case n > 0:
			return fmt.Errorf("%w: more than announced", backends.ErrSize)
		case err == io.EOF:
			return backends.Ended(ctx) // the last chance to cancel
		case err != nil:
			return err
		}
	}
}

// finish waits for a Read in progress and ends all others. It returns the error of
// the source, if there was one.
func (b *body) finish() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finished = true
	if b.err != nil {
		return fmt.Errorf("read body: %w", b.err)
	}
	return nil
}

// part is a run of a body for one request, hashed as it is sent.
type part struct {
	from io.Reader

	mu   sync.Mutex // a response may arrive while net/http still reads
	left int64
	crc  hash.Hash32
	md5  hash.Hash // nil: not needed
	// trailer receives the checksum when the last byte has been read. Before that,
	// it has a placeholder of the same length.
	trailer http.Header
}

func newPart(from io.Reader, size int64, withMD5 bool) *part {
	p := &part{from: from, left: size, crc: crc32.New(castagnoli),
		trailer: http.Header{crc32cHeader: {encodeCRC(0)}}}
	if withMD5 {
		p.md5 = weakhash.NewMD5()
	}
	return p
}

// Read implements io.Reader.
func (p *part) Read(buf []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == 0 {
		return 0, io.EOF
	}
	if int64(len(buf)) > p.left {
		buf = buf[:p.left]
	}
	n, err := p.from.Read(buf)
	p.left -= int64(n)
	p.crc.Write(buf[:n])
	if p.md5 != nil {
		p.md5.Write(buf[:n])
	}
	if p.left == 0 {
		p.trailer.Set(crc32cHeader, encodeCRC(p.crc.Sum32()))
	}
	return n, err
}

// sums are the checksums of bytes sent, for comparison with an answer.
type sums struct {
	crc32c   uint32
	declared bool   // crc32c was sent with the bytes
	md5      string // hex; empty: unknown
}

// sums returns the checksums. It fails unless the whole part has been read.
func (p *part) sums(declared bool) (sums, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left > 0 {
		return sums{}, errUnread
	}
	s := sums{crc32c: p.crc.Sum32(), declared: declared}
	if p.md5 != nil {
		s.md5 = hex.EncodeToString(p.md5.Sum(nil))
	}
	return s, nil
}

// errUnread: the server reported success before the last byte was sent.
var errUnread = fmt.Errorf("%w: it reports success before it has received the whole body", backends.ErrCorrupt)

// encodeCRC returns the base64 of the big-endian sum, as in S3's headers.
func encodeCRC(sum uint32) string {
	return base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
}
