package backends

import (
	"fmt"
	"io"
	"math"
)

// CheckRange refuses arguments of Get that no blob can satisfy: a negative offset,
// a length below -1, or an end beyond int64.
func CheckRange(off, n int64) error {
	if off < 0 || n < -1 || n > math.MaxInt64-off {
		return fmt.Errorf("impossible range: %d bytes from %d", n, off)
	}
	return nil
}

// Sized limits r to the size of a Put: it reads r until io.EOF and fails with
// ErrSize if r holds fewer or more than size bytes. It never yields more. Size -1
// returns r itself.
func Sized(r io.Reader, size int64) io.Reader {
	if size < 0 {
		return r
	}
	return &sized{r: r, left: size, size: size}
}

type sized struct {
	r    io.Reader
	left int64
	size int64
}

func (s *sized) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, s.end(p)
	}
	if int64(len(p)) > s.left {
		p = p[:s.left]
	}
	n, err := s.r.Read(p)
	s.left -= int64(n)
	if err == io.EOF && s.left > 0 {
		return n, fmt.Errorf("%w: %d bytes of %d", ErrSize, s.size-s.left, s.size)
	}
	return n, err
}

// end reads io.EOF behind the announced size, because r may report an error about
// its data there.
func (s *sized) end(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	var one [1]byte
	n, err := s.r.Read(one[:])
	switch {
	case n > 0:
		return fmt.Errorf("%w: more than %d bytes", ErrSize, s.size)
	default:
		return err // io.EOF, r's own error, or nil, after which the caller reads again
	}
}

// Exactly limits rc to a range of n bytes: it ends in io.EOF after n bytes, and in
// io.ErrUnexpectedEOF if rc ends before. Bytes beyond n are not read. It is for
// adapters whose source may be cut off with a clean end.
func Exactly(rc io.ReadCloser, n int64) io.ReadCloser { return &exactly{rc, n} }

type exactly struct {
	io.ReadCloser
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err := e.ReadCloser.Read(p)
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
