package encrypt

import (
	"crypto/subtle"
	"fmt"
	"io"
)

// Opener opens one blob, whole or in ranges. It verifies each segment before it
// yields a byte of it. Algorithms, IV, header tag and length come from the
// manifest; the backend's bytes can only match or fail.
type Opener struct {
	c    segmentCipher // of epoch 0; each reader uses a copy
	size int64
}

// NewOpener checks key and aad against the manifest's seal, in constant time. It
// returns ErrWrongKey if they do not match. plainSize is the length of the whole
// blob's plaintext.
func NewOpener(key DataKey, aad []byte, seal BlobSeal, plainSize int64) (*Opener, error) {
	return newOpener(blobSuite, key, aad, seal, plainSize)
}

func newOpener(s suite, key DataKey, aad []byte, seal BlobSeal, plainSize int64) (*Opener, error) {
	if plainSize < 0 || s.count(plainSize) > floeSegments {
		return nil, fmt.Errorf("%w: no blob has %d bytes of plaintext", ErrCorrupt, plainSize)
	}
	m := s.start(&key, &seal.IV, aad)
	if subtle.ConstantTimeCompare(m.tag[:], seal.Tag[:]) != 1 {
		return nil, fmt.Errorf("%w: header tag of the blob differs", ErrWrongKey)
	}
	return &Opener{c: segmentCipher{m: m, aead: m.aead(0)}, size: plainSize}, nil
}

// CheckHeader compares a blob's first HeaderSize bytes with the manifest, and
// returns ErrCorrupt if they differ. Range reads need no header.
func (o *Opener) CheckHeader(h []byte) error {
	want := o.c.m.header()
	if subtle.ConstantTimeCompare(h, want[:]) != 1 {
		return fmt.Errorf("%w: blob header differs from the manifest", ErrCorrupt)
	}
	return nil
}

// SealedRange returns the range of the blob with the segments that cover plaintext
// [off, off+n); the header is never in it. sealedLen is 0 for n == 0 and for a
// range outside the blob (whose reader will fail).
func (o *Opener) SealedRange(off, n int64) (sealedOff, sealedLen int64) {
	if !o.within(off, n) || n == 0 {
		return 0, 0
	}
	s := o.c.m.suite
	first, last := off/int64(s.plain()), (off+n-1)/int64(s.plain())
	sealedOff = HeaderSize + first*int64(s.segment)
	return sealedOff, (last-first)*int64(s.segment) + int64(o.sealedLen(last))
}

func (o *Opener) within(off, n int64) bool {
	return off >= 0 && n >= 0 && off <= o.size && n <= o.size-off
}

// sealedLen returns the length of segment i in the blob.
func (o *Opener) sealedLen(i int64) int {
	s := o.c.m.suite
	if !o.final(i) {
		return s.segment
	}
	return int(o.size-i*int64(s.plain())) + floeOverhead
}

func (o *Opener) final(i int64) bool { return i == o.c.m.suite.count(o.size)-1 }

// NewReader returns plaintext [off, off+n) from sealed, which must yield the bytes
// of SealedRange(off, n); bytes after them are not read.
func (o *Opener) NewReader(sealed io.Reader, off, n int64) *OpenReader {
	r := &OpenReader{o: o, src: sealed, c: o.c, left: n}
	if !o.within(off, n) {
		r.err = fmt.Errorf("encrypt: range %d+%d is not within a blob of %d bytes", off, n, o.size)
		return r
	}
	size := int64(o.c.m.suite.plain())
	r.next, r.skip = off/size, int(off%size)
	return r
}

// OpenReader yields verified plaintext. Its error is ErrCorrupt if the sealed bytes
// end early or do not authenticate; otherwise it is an error of the sealed reader.
// Not for concurrent use.
//
// It opens from one pooled buffer into another, or directly into the buffer of Read
// if the segment fits. Opening in place would cost the approved GCM constructor a
// move of the segment and an allocation.
type OpenReader struct {
	o         *Opener
	src       io.Reader
	c         segmentCipher
	in, plain *buffer // nil until needed
	out       []byte  // verified, in plain, not yet returned
	next      int64
	skip      int   // bytes to drop from the first segment
	left      int64 // bytes still to take from segments
	err       error
}

// Read implements io.Reader.
func (r *OpenReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.fill(p); err != nil {
		return 0, err
	}
	if &r.out[0] == &p[0] { // opened into p
		n := len(r.out)
		r.out = nil
		return n, nil
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: one Write for each segment.
func (r *OpenReader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if err := r.fill(nil); err == io.EOF {
			return total, nil
		} else if err != nil {
			return total, err
		}
		n, err := w.Write(r.out)
		total += int64(n)
		if err == nil && n < len(r.out) {
			err = io.ErrShortWrite
		}
		r.out = r.out[n:]
		if err != nil {
			return total, err
		}
	}
}

// fill ensures that there is plaintext to return, in p if that is long enough.
func (r *OpenReader) fill(p []byte) error {
	if len(r.out) > 0 {
		return nil
	}
	if r.err == nil && r.left == 0 {
		r.err = io.EOF
	}
	if r.err == nil {
		r.err = r.open(p)
	}
	if r.err != nil {
		r.release()
	}
	return r.err
}

// open reads and verifies the next segment.
func (r *OpenReader) open(p []byte) error {
	if r.in == nil {
		r.in = getBuffer()
	}
	sealed := r.in[:r.o.sealedLen(r.next)]
	if n, err := readFull(r.src, sealed); n < len(sealed) {
		if err == io.EOF {
			return fmt.Errorf("%w: segment %d ends after %d of %d bytes", ErrCorrupt, r.next, n, len(sealed))
		}
		return err
	}
	if r.skip > 0 || len(p) < len(sealed)-floeOverhead {
		if r.plain == nil {
			r.plain = getBuffer()
		}
		p = r.plain[:]
	}
	plain, err := r.c.open(p[:0], uint64(r.next), r.o.final(r.next), sealed)
	if err != nil {
		return err
	}
	plain = plain[r.skip:]
	plain = plain[:min(int64(len(plain)), r.left)]
	r.next++
	r.skip = 0
	r.left -= int64(len(plain))
	r.out = plain
	return nil
}

func (r *OpenReader) release() {
	putBuffer(&r.in)
	putBuffer(&r.plain)
}

// Close releases the buffers; it does not close the sealed reader. It may be called
// more than once and returns nil.
func (r *OpenReader) Close() error {
	r.release()
	r.out, r.err = nil, errClosed
	return nil
}

// OpenAll appends the plaintext of a whole blob, header included, to dst, which
// must not overlap sealed. The length must be exact.
func (o *Opener) OpenAll(dst, sealed []byte) ([]byte, error) {
	s := o.c.m.suite
	n := s.count(o.size)
	if want := HeaderSize + o.size + n*floeOverhead; int64(len(sealed)) != want {
		return nil, fmt.Errorf("%w: blob has %d bytes instead of %d", ErrCorrupt, len(sealed), want)
	}
	if err := o.CheckHeader(sealed[:HeaderSize]); err != nil {
		return nil, err
	}
	sealed = sealed[HeaderSize:]
	c := o.c
	for i := range n {
		length := o.sealedLen(i)
		var err error
		if dst, err = c.open(dst, uint64(i), o.final(i), sealed[:length]); err != nil {
			return nil, err
		}
		sealed = sealed[length:]
	}
	return dst, nil
}
