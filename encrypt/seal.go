package encrypt

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
)

var errClosed = errors.New("encrypt: used after Close")

// SealReader makes a blob from segments of plaintext while it is read: header
// first, then each segment. It reads one segment of its source at a time, without
// allocations.
//
// One goroutine reads. Close may come from another one, so that an HTTP transport
// that still holds the body finds it closed and not reused.
type SealReader struct {
	mu    sync.Mutex
	src   Segments
	c     segmentCipher
	seal  BlobSeal
	buf   *buffer
	out   []byte // sealed, in buf, not yet returned
	next  uint64
	plain int64
	err   error // lasting; io.EOF once the last segment is sealed
}

// NewSealReader starts a new blob under a key that has sealed nothing else. If src
// fails, Read returns its error and never the final segment.
func NewSealReader(src Segments, key DataKey, aad []byte) (*SealReader, error) {
	return newSealReader(blobSuite, src, key, aad)
}

func newSealReader(s suite, src Segments, key DataKey, aad []byte) (*SealReader, error) {
	if src == nil {
		return nil, errors.New("encrypt: no segments to seal")
	}
	m := s.newMessage(key, aad)
	return &SealReader{src: src, c: segmentCipher{m: m}, seal: m.seal(), buf: getBuffer()}, nil
}

// newMessage starts a message with a random IV.
func (s suite) newMessage(key DataKey, aad []byte) *message {
	var iv [floeIV]byte
	rand.Read(iv[:])
	return s.start(&key, &iv, aad)
}

func (m *message) seal() (s BlobSeal) {
	copy(s.IV[:], m.prefix[floeParams:])
	s.Tag = m.tag
	return s
}

// Seal returns the part of the header for the manifest. It is known from the start.
func (r *SealReader) Seal() BlobSeal { return r.seal }

// PlainSize returns the number of plaintext bytes sealed. It is final after Read or
// WriteTo has reached the end.
func (r *SealReader) PlainSize() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.plain
}

// Read implements io.Reader.
func (r *SealReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: one Write for each segment.
func (r *SealReader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		n, err := r.writeSegment(w)
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// writeSegment holds the lock for one Write only, so that Close can interrupt.
func (r *SealReader) writeSegment(w io.Writer) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fill(); err != nil {
		return 0, err
	}
	n, err := w.Write(r.out)
	if err == nil && n < len(r.out) {
		err = io.ErrShortWrite
	}
	r.out = r.out[n:]
	if err != nil {
		r.out, r.err = nil, err
	}
	return n, err
}

// fill ensures that there are bytes to return.
func (r *SealReader) fill() error {
	if len(r.out) > 0 {
		return nil
	}
	if r.err != nil {
		return r.err
	}
	plain, last, err := r.src.Next()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // a source must end with a last segment
	}
	if err == nil {
		err = r.c.m.suite.check(plain, last, r.next)
	}
	if err != nil {
		r.err = err
		return err
	}
	r.out = r.buf[:0]
	if r.next == 0 {
		h := r.c.m.header()
		r.out = append(r.out, h[:]...)
	}
	r.out = r.c.seal(r.out, r.next, last, plain)
	r.next++
	r.plain += int64(len(plain))
	if last {
		r.err = io.EOF
	}
	return nil
}

// check validates a source's segment against the contract of Segments.
func (s suite) check(plain []byte, last bool, i uint64) error {
	full := len(plain) == s.plain()
	short := last && len(plain) < s.plain() && (len(plain) > 0 || i == 0)
	if !full && !short || i >= floeSegments-1 && !last || i >= floeSegments {
		return fmt.Errorf("encrypt: a source yielded %d bytes as segment %d (last: %v)", len(plain), i, last)
	}
	return nil
}

// Close releases buffers, including those of SegmentsOf. It waits for a Read in
// progress; later ones fail. It may be called more than once and returns nil.
func (r *SealReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.buf == nil {
		return nil
	}
	putBuffer(&r.buf)
	r.out, r.err = nil, errClosed
	if s, ok := r.src.(releaser); ok {
		s.release()
	}
	return nil
}

// SealWriter makes a blob from the bytes written to it. Not for concurrent use.
type SealWriter struct {
	dst     io.Writer
	c       segmentCipher
	seal    BlobSeal
	in, out *buffer
	held    int // bytes in in
	next    uint64
	err     error
}

// NewSealWriter starts a new blob under a key that has sealed nothing else. Only
// Close writes the last segment.
func NewSealWriter(dst io.Writer, key DataKey, aad []byte) (*SealWriter, error) {
	return newSealWriter(blobSuite, dst, key, aad)
}

func newSealWriter(s suite, dst io.Writer, key DataKey, aad []byte) (*SealWriter, error) {
	if dst == nil {
		return nil, errors.New("encrypt: nowhere to seal to")
	}
	m := s.newMessage(key, aad)
	return &SealWriter{dst: dst, c: segmentCipher{m: m}, seal: m.seal(), in: getBuffer(), out: getBuffer()}, nil
}

// Seal returns the part of the header for the manifest. It is known from the start.
func (w *SealWriter) Seal() BlobSeal { return w.seal }

// Write implements io.Writer. After an error every later call fails with it.
func (w *SealWriter) Write(p []byte) (n int, err error) {
	if w.err != nil {
		return 0, w.err
	}
	size := w.c.m.suite.plain()
	for len(p) > 0 {
		// A full buffer can be sealed as an inner segment only when another byte
		// follows.
		if w.held == size {
			if err := w.flush(w.in[:size], false); err != nil {
				return n, err
			}
			w.held = 0
		}
		if w.held == 0 && len(p) > size {
			if err := w.flush(p[:size], false); err != nil {
				return n, err
			}
			n, p = n+size, p[size:]
			continue
		}
		m := copy(w.in[w.held:size], p)
		w.held += m
		n, p = n+m, p[m:]
	}
	return n, nil
}

func (w *SealWriter) flush(plain []byte, last bool) error {
	if err := w.c.m.suite.check(plain, last, w.next); err != nil {
		w.err = err
		return err
	}
	out := w.out[:0]
	if w.next == 0 {
		h := w.c.m.header()
		out = append(out, h[:]...)
	}
	out = w.c.seal(out, w.next, last, plain)
	w.next++
	if _, err := w.dst.Write(out); err != nil {
		w.err = err
		return err
	}
	return nil
}

// Close seals the last segment and releases the buffers. After a failed Write it
// writes nothing and returns that error. A second Close fails.
func (w *SealWriter) Close() error {
	if w.err == nil {
		w.err = w.flush(w.in[:w.held], true)
	}
	err := w.err
	w.Release()
	return err
}

// Release releases the buffers without completing the blob, which can then never be
// opened to its end. After Close it does nothing.
func (w *SealWriter) Release() {
	putBuffer(&w.in)
	putBuffer(&w.out)
	w.err = errClosed
}
