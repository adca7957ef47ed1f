package sigv4

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultChunkSize is the size of SignChunked's chunks, in bytes.
const DefaultChunkSize = 64 << 10

// Chunked is a body to be sent in the aws-chunked encoding.
type Chunked struct {
	Mode      PayloadMode // one of the streaming modes
	Body      io.Reader
	Length    int64       // of Body; sending fails for another length
	ChunkSize int         // at least MinChunkSize; 0: DefaultChunkSize
	Trailer   http.Header // one value each; only in the trailing modes
}

// SignChunked signs a client's request like Sign and replaces its body by the
// encoding of c. The values of c.Trailer are read at the end of c.Body. Until
// then they may be replaced by values of the same length. The caller keeps
// ownership of c.Body, which is never closed.
func SignChunked(r *http.Request, accessKey, secret, region, service string, c Chunked, t time.Time) error {
	if !c.Mode.Chunked() || len(c.Trailer) > 0 && !c.Mode.Trailing() {
		return fmt.Errorf("sigv4: mode %v cannot carry this body", c.Mode)
	}
	if c.ChunkSize == 0 {
		c.ChunkSize = DefaultChunkSize
	}
	if c.ChunkSize < MinChunkSize || c.Length < 0 {
		return fmt.Errorf("sigv4: a body of %d bytes in chunks of %d", c.Length, c.ChunkSize)
	}
	e := &encoder{in: c.Body, left: c.Length, mode: c.Mode, trailer: c.Trailer, sum: sha256.New(), chunk: make([]byte, c.ChunkSize)}
	for name := range c.Trailer {
		e.names = append(e.names, strings.ToLower(name))
	}
	slices.Sort(e.names)
	encoding := "aws-chunked"
	if given := r.Header.Get("Content-Encoding"); given != "" {
		encoding += "," + given
	}
	r.Header.Set("Content-Encoding", encoding)
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(c.Length, 10))
	if len(e.names) > 0 {
		r.Header.Set("X-Amz-Trailer", strings.Join(e.names, ","))
	}
	s, err := sign(r, accessKey, secret, region, service, c.Mode.String(), t)
	if err != nil {
		return err
	}
	if c.Mode != StreamingUnsignedTrailer {
		e.chain = newChain(s, newClaim(inHeader, accessKey, region, service, t).scope)
	}
	r.ContentLength = e.encodedLength()
	r.Body = io.NopCloser(e)
	return nil
}

// encoder is the counterpart of chunked.
type encoder struct {
	in      io.Reader
	left    int64
	mode    PayloadMode
	chain   *chain // nil: unsigned
	sum     hash.Hash
	chunk   []byte
	out     bytes.Buffer
	names   []string
	trailer http.Header
	done    bool
}

// Read returns encoded bytes.
func (e *encoder) Read(p []byte) (int, error) {
	for e.out.Len() == 0 {
		if e.done {
			return 0, io.EOF
		}
		if err := e.next(); err != nil {
			return 0, err
		}
	}
	return e.out.Read(p)
}

// next encodes one chunk, or the end of the body.
func (e *encoder) next() error {
	data := e.chunk[:min(int64(len(e.chunk)), e.left)]
	if _, err := io.ReadFull(e.in, data); err != nil && len(data) > 0 {
		return fmt.Errorf("sigv4: encoding a body: %w", err)
	}
	e.left -= int64(len(data))
	e.line(data)
	if len(data) > 0 {
		e.out.Write(data)
		e.out.WriteString("\r\n")
		return nil
	}
	// The stated length is encoded. Further bytes would be lost without an
	// error.
	if n, _ := io.ReadFull(e.in, e.chunk[:1]); n > 0 {
		return errors.New("sigv4: encoding a body: it is longer than stated")
	}
	e.done = true
	if e.mode.Trailing() {
		e.writeTrailers()
	}
	e.out.WriteString("\r\n")
	return nil
}

// line writes the first line of a chunk, with its signature in signed modes.
func (e *encoder) line(data []byte) {
	e.out.WriteString(strconv.FormatInt(int64(len(data)), 16))
	if e.chain != nil {
		e.sum.Reset()
		e.sum.Write(data)
		e.chain.chunk(e.sum)
		e.out.WriteString(";" + chunkExtension)
		e.out.Write(e.chain.prev[:])
	}
	e.out.WriteString("\r\n")
}

// writeTrailers writes the trailers in the order of x-amz-trailer, and their
// signature.
func (e *encoder) writeTrailers() {
	e.sum.Reset()
	for _, name := range e.names {
		value := e.trailer.Get(name)
		e.out.WriteString(name + ":" + value + "\r\n")
		e.sum.Write([]byte(name + ":" + value + "\n"))
	}
	if e.chain != nil {
		e.chain.trailers(e.sum)
		e.out.WriteString(trailerSignature + ":")
		e.out.Write(e.chain.prev[:])
		e.out.WriteString("\r\n")
	}
}

// encodedLength is the number of bytes that Read will return.
func (e *encoder) encodedLength() int64 {
	extension := 0
	if e.chain != nil {
		extension = len(";"+chunkExtension) + signatureLength
	}
	overhead := func(size int64) int64 {
		return int64(len(strconv.FormatInt(size, 16)) + extension + len("\r\n"))
	}
	size := int64(len(e.chunk))
	// Each 2 is the CRLF after the bytes of a chunk, or at the end of the body.
	n := e.left/size*(overhead(size)+size+2) + overhead(0) + 2
	if last := e.left % size; last > 0 {
		n += overhead(last) + last + 2
	}
	for name := range maps.Keys(e.trailer) {
		n += int64(len(name) + len(":") + len(e.trailer.Get(name)) + len("\r\n"))
	}
	if e.mode == StreamingSignedTrailer {
		n += int64(len(trailerSignature) + len(":") + signatureLength + len("\r\n"))
	}
	return n
}
