package encrypt

import "io"

// Segments yields a body in plaintext segments. All have SegmentSize bytes, except
// the last, which has 1..SegmentSize bytes, or 0 for an empty body.
type Segments interface {
	// Next returns the next segment, valid until the following call, and whether it
	// is the last. After an error it must yield nothing more; a body that must not
	// be accepted fails before its last segment.
	Next() (segment []byte, last bool, err error)
}

// SegmentsOf cuts the bytes of r into segments. It reads one byte ahead, so that it
// yields a segment only when it knows whether it is the last. If r fails with
// anything but io.EOF, even after its final byte, the last segment is never yielded
// and r's error is returned. Not for concurrent use.
func SegmentsOf(r io.Reader) Segments {
	return &readerSegments{r: r, size: SegmentSize, buf: getBuffer()}
}

type readerSegments struct {
	r     io.Reader
	size  int
	buf   *buffer
	ahead bool // buf[size] is the first byte of the next segment
	ended bool // r has reported io.EOF
	err   error
}

func (s *readerSegments) Next() (segment []byte, last bool, err error) {
	if s.err != nil {
		return nil, false, s.err
	}
	have := 0
	if s.ahead {
		s.buf[0], have = s.buf[s.size], 1
	}
	if !s.ended {
		n, err := readFull(s.r, s.buf[have:s.size+1])
		if err != nil && err != io.EOF {
			s.err = err
			return nil, false, err
		}
		have += n
		s.ended = err == io.EOF
	}
	if have > s.size {
		s.ahead = true
		return s.buf[:s.size], false, nil
	}
	s.err = io.EOF
	return s.buf[:have], true, nil
}

// release returns the buffer to the pool; the last segment becomes invalid.
func (s *readerSegments) release() {
	putBuffer(&s.buf)
	s.err = errClosed
}

// releaser is a Segments with a buffer to release; the seal readers use it.
type releaser interface{ release() }

// maxEmptyReads is how many times in a row a reader may return neither bytes nor an
// error.
const maxEmptyReads = 100

// readFull reads until p is full or r fails. Unlike io.ReadFull it returns r's own
// error: io.EOF means a clean end at any position, and io.ErrUnexpectedEOF can only
// come from r, where it means a truncated body. An error that arrives with the last
// byte is returned along with n == len(p).
func readFull(r io.Reader, p []byte) (n int, err error) {
	for empty := 0; n < len(p) && err == nil; {
		var m int
		m, err = r.Read(p[n:])
		n += m
		if m > 0 {
			empty = 0
		} else if empty++; err == nil && empty >= maxEmptyReads {
			return n, io.ErrNoProgress
		}
	}
	return n, err
}
