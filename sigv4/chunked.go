package sigv4

import (
	"bufio"
	"bytes"
	"errors"
	"hash"
	"io"
	"net/http"

	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// MinChunkSize is the least size of every chunk except the last, in bytes.
	MinChunkSize = 8 << 10
	// MaxBufferedChunk is the size up to which a signed chunk is held back
	// until its signature was checked. SDKs send 64 KiB.
	//
	// A larger chunk is passed on while it is hashed, and only its last piece
	// is held back. So memory stays bounded, and a wrong signature is still
	// reported before the chunk, and the body, was read completely.
	MaxBufferedChunk = 256 << 10

	maxChunkLine = 128 // hexadecimal size, extension with its signature, CRLF
	maxSizeHex   = 16
	// readAhead is the size of the buffer that lines are returned from, so it
	// exceeds every limit of a line.
	readAhead = 4 << 10

	chunkExtension = "chunk-signature="
)

// chunked decodes the aws-chunked encoding. The stated length bounds the body
// before anything is read:
//
//	size in hex [";chunk-signature=" 64 hex] CRLF  bytes CRLF   … repeated
//	"0"         [";chunk-signature=" 64 hex] CRLF  [trailers] CRLF
//
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
type chunked struct {
	in    *bufio.Reader
	mode  PayloadMode
	chain *chain    // nil: unsigned
	sum   hash.Hash // of the current chunk; nil: unsigned

	left   int64 // decoded bytes that are still due
	rest   int64 // of those, the bytes of the chunk that is being passed on
	number int   // of the current chunk, from 1
	size   int64 // of the current chunk
	given  [signatureLength]byte

	buffer  []byte // a verified chunk
	pending []byte // its bytes that are still to be returned
	done    bool   // the end was verified

	declared []string
	trailer  http.Header
}

// newChunked decodes length bytes from r. The caller sets chain and sum for
// signed modes.
func newChunked(r io.Reader, mode PayloadMode, length int64, declared []string, trailer http.Header) *chunked {
	if r == nil {
		r = http.NoBody
	}
	return &chunked{in: bufio.NewReaderSize(r, readAhead), mode: mode, left: length, declared: declared, trailer: trailer}
}

// read returns verified bytes of a buffered chunk, or passes a large one on.
func (c *chunked) read(p []byte) (int, error) {
	if len(c.pending) == 0 && c.rest == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if c.rest > 0 {
		return c.pass(p)
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	if len(c.pending) == 0 && c.done {
		return n, io.EOF
	}
	return n, nil
}

// next starts a chunk: it buffers and verifies it, or leaves it to pass. It
// returns io.EOF for an empty body.
func (c *chunked) next() error {
	if c.left == 0 {
		if err := c.finish(); err != nil {
			return err
		}
		return io.EOF
	}
	if err := c.header(); err != nil {
		return err
	}
	if c.size == 0 || c.size > c.left {
		return broken("the chunks do not add up to the stated length")
	}
	// An unsigned chunk has no signature to wait for.
	if c.chain == nil || c.size > MaxBufferedChunk {
		c.rest = c.size
		return nil
	}
	if int64(cap(c.buffer)) < c.size {
		c.buffer = make([]byte, c.size)
	}
	c.buffer = c.buffer[:c.size]
	if _, err := io.ReadFull(c.in, c.buffer); err != nil {
		return early(err)
	}
	c.sum.Write(c.buffer)
	// Before endChunk, which sees by it whether this was the last chunk.
	c.left -= c.size
	if err := c.endChunk(); err != nil {
		return err
	}
	c.pending = c.buffer
	return nil
}

// pass returns bytes of a large chunk. It returns the last ones after
// verification.
func (c *chunked) pass(p []byte) (int, error) {
	n, err := c.in.Read(p[:min(int64(len(p)), c.rest)])
	if c.sum != nil {
		c.sum.Write(p[:n])
	}
	c.rest -= int64(n)
	c.left -= int64(n)
	if c.rest > 0 {
		return n, early(err)
	}
	// The last piece is in p, but after an error the caller is told of none of it.
	if err := c.endChunk(); err != nil {
		return 0, err
	}
	if c.done {
		return n, io.EOF
	}
	return n, nil
}

// endChunk checks the end of a chunk and, after the last one, of the body.
func (c *chunked) endChunk() error {
	if err := c.crlf(); err != nil {
		return err
	}
	if err := c.verifyChunk(); err != nil {
		return err
	}
	if c.left > 0 {
		return nil
	}
	return c.finish()
}

// finish checks everything after the last byte: the empty chunk, the trailers
// and the absence of further bytes.
func (c *chunked) finish() error {
	// In signed modes, the empty chunk has a signature too, so that a body cannot
	// be cut between two chunks.
	if err := c.header(); err != nil {
		return err
	}
	if c.size != 0 {
		return broken("the chunks do not add up to the stated length")
	}
	if err := c.verifyChunk(); err != nil {
		return err
	}
	end := c.crlf
	if c.mode.Trailing() {
		end = c.readTrailers
	}
	if err := end(); err != nil {
		return err
	}
	if _, err := c.in.ReadByte(); err != io.EOF {
		if err == nil {
			return broken("bytes after the end of the body")
		}
		return early(err)
	}
	c.done = true
	return nil
}

// header reads the first line of a chunk.
func (c *chunked) header() error {
	line, err := c.line(maxChunkLine)
	if err != nil {
		return err
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return broken("a chunk's line does not end in CRLF")
	}
	hexSize, extension, extended := bytes.Cut(line, []byte(";"))
	size, ok := parseSize(hexSize)
	if !ok {
		return broken("a chunk's size is not a number")
	}
	if extended != (c.chain != nil) {
		return broken("a chunk has a signature although the mode is unsigned, or has none although it is signed")
	}
	if extended {
		given, ok := bytes.CutPrefix(extension, []byte(chunkExtension))
		if !ok || len(given) != signatureLength {
			return broken("a chunk's signature is malformed")
		}
		copy(c.given[:], given)
	}
	c.number++
	// c.size is still that of the chunk before. Only now is it known not to have
	// been the last.
	if size > 0 && c.number > 1 && c.size < MinChunkSize {
		return tooSmall(c.number, c.size)
	}
	c.size = size
	return nil
}

// verifyChunk checks the signature of the chunk that was written to sum.
func (c *chunked) verifyChunk() error {
	if c.chain == nil {
		return nil
	}
	c.chain.chunk(c.sum)
	c.sum.Reset()
	if !c.chain.equals(c.given[:]) {
		return s3err.SignatureDoesNotMatch
	}
	return nil
}

// line reads up to and including a line feed. The result is valid until the
// next read.
func (c *chunked) line(limit int) ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull || err == nil && len(line) > limit:
		return nil, broken("a line is too long")
	case err != nil:
		return nil, early(err)
	}
	return line, nil
}

// crlf demands a line end.
func (c *chunked) crlf() error {
	for _, want := range [...]byte{'\r', '\n'} {
		got, err := c.in.ReadByte()
		if err != nil {
			return early(err)
		}
		if got != want {
			return broken("a chunk does not end in CRLF")
		}
	}
	return nil
}

// parseSize parses a hexadecimal size. It accepts no sign, no prefix and no
// overflow.
func parseSize(digits []byte) (int64, bool) {
	if len(digits) == 0 || len(digits) > maxSizeHex {
		return 0, false
	}
	var n uint64
	for _, d := range digits {
		v := unhex(d)
		if v < 0 {
			return 0, false
		}
		n = n<<4 | uint64(v)
	}
	return int64(n), n>>63 == 0
}

// broken refuses a malformed encoding. S3 calls it incomplete.
func broken(why string) error { return s3err.Wrap(s3err.IncompleteBody, errors.New(why)) }
