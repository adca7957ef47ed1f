package engine

import (
	"io"
	"sync"
)

// A long reading is opened a stretch ahead of what is being written, so that
// the backend, the cipher and the client's socket work at the same time. With
// the reader's own segments that is under 1 MiB for each request: three
// stretches of 256 KiB and two segments of 64 KiB, the second of which only a
// range that begins within a segment needs.
const (
	stretchBytes = 256 << 10
	stretches    = 3
)

// stretch is verified plaintext on its way to the client, or how it ended.
type stretch struct {
	data [stretchBytes]byte
	n    int
	err  error
}

var stretchPool = sync.Pool{New: func() any { return new(stretch) }}

// sendAhead writes the n bytes that are left of the source. It returns how many
// were not written.
// It returns only after the reading goroutine has ended, because that uses the source and the
// request's context.
func (s *source) sendAhead(w io.Writer, n int64) (left int64, err error) {
	// Both have room for all stretches, so that neither side ever blocks on handing one over,
	// and ending needs no further signal than stop.
	free, full := make(chan *stretch, stretches), make(chan *stretch, stretches)
	for range min(stretches, int((n+stretchBytes-1)/stretchBytes)) {
		free <- stretchPool.Get().(*stretch)
	}
	var reading sync.WaitGroup
	reading.Go(func() { s.readAhead(n, free, full) })
	for left = n; left > 0 && err == nil; {
		t := <-full
		m, werr := w.Write(t.data[:t.n])
		left -= int64(m)
		if err = werr; err == nil {
			err = t.err
		}
		// Given back before err is looked at: the reader may wait for it to learn that it has
		// to stop.
		free <- t
	}
	if err != nil {
		s.stop.Store(true)
	}
	reading.Wait()
	close(free)
	close(full)
	for _, ts := range []chan *stretch{free, full} {
		for t := range ts {
			stretchPool.Put(t)
		}
	}
	return left, err
}

// readAhead fills stretches until n bytes were read, one failed, or the writing
// side has stopped.
// A stretch is handed over also when it failed, with the bytes that were verified before.
func (s *source) readAhead(n int64, free <-chan *stretch, full chan<- *stretch) {
	for n > 0 {
		t := <-free
		if s.stop.Load() {
			t.n, t.err = 0, io.ErrClosedPipe
			full <- t
			return
		}
		t.n, t.err = io.ReadFull(s, t.data[:min(n, stretchBytes)])
		if t.err == io.EOF {
			// The source ended before the length that the client was told. io.EOF would look
			// like success.
			t.err = io.ErrUnexpectedEOF
		}
		n -= int64(t.n)
		full <- t
		if t.err != nil {
			return
		}
	}
}
