package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/sanctum-storage/gateway/backends"
)

const mib = 1 << 20

func testRoundTrip(t *testing.T, b backends.Backend) {
	for _, n := range []int{0, 1, 2, 4096, 65535, 65536, 65537, 5 * mib} {
		data := body(n)
		for _, c := range []struct {
			name string
			r    io.Reader
			size int64
		}{
			{"io.WriterTo", bytes.NewReader(data), int64(n)},
			{"io.Reader", plain{bytes.NewReader(data)}, int64(n)},
			{"data with EOF", plain{iotest.DataErrReader(bytes.NewReader(data))}, int64(n)},
			{"halves, size unknown", plain{iotest.HalfReader(bytes.NewReader(data))}, -1},
		} {
			id := backends.NewBlobID()
			if err := b.Put(t.Context(), id, c.r, c.size); err != nil {
				t.Fatalf("Put of %d bytes by %s: %v", n, c.name, err)
			}
			wantBody(t, b, id, data)
		}
	}
}

func testCreateOnly(t *testing.T, b backends.Backend) {
	first := body(1000)
	id := put(t, b, first)
	for _, n := range []int{0, 1000, 5000} {
		err := b.Put(t.Context(), id, bytes.NewReader(body(n)), int64(n))
		wantError(t, "second Put", err, backends.ErrExists)
		wantBody(t, b, id, first)
	}
}

func testOneWinner(t *testing.T, b backends.Backend) {
	const writers = 16
	for range 5 {
		id := backends.NewBlobID()
		var wg sync.WaitGroup
		var winner atomic.Pointer[[]byte]
		start := make(chan struct{})
		for i := range writers {
			data := body(1000 + i)
			wg.Go(func() {
				<-start
				err := b.Put(t.Context(), id, bytes.NewReader(data), int64(len(data)))
				if err != nil {
					wantError(t, "losing Put", err, backends.ErrExists)
				} else if !winner.CompareAndSwap(nil, &data) {
					t.Error("two Puts of one id succeeded")
				}
			})
		}
		close(start)
		wg.Wait()
		if winner.Load() == nil {
			t.Fatal("no Put succeeded")
		}
		wantBody(t, b, id, *winner.Load())
	}
}

func testZeroID(t *testing.T, b backends.Backend) {
	if b.Put(t.Context(), backends.BlobID{}, bytes.NewReader(nil), 0) == nil {
		t.Error("the zero id was accepted")
	}
	wantAbsent(t, b, backends.BlobID{}, "zero id")
}

var errReader = errors.New("the body could not be verified")

// testFailingReader fails at every byte of a small body, the place after the
// last included, and at some of a large one.
func testFailingReader(t *testing.T, b backends.Backend) {
	const small = 40
	cuts := make(map[int]int) // bytes yielded: size announced
	for k := range small + 1 {
		cuts[k] = small
	}
	for _, k := range []int{1, 65536, 3 * mib, 5*mib - 1, 5 * mib} {
		cuts[k+small] = max(5*mib, k+small)
	}
	for k, size := range cuts {
		for _, announced := range []int64{int64(size), -1} {
			id := backends.NewBlobID()
			r := io.MultiReader(bytes.NewReader(body(k)), iotest.ErrReader(errReader))
			err := b.Put(t.Context(), id, r, announced)
			what := fmt.Sprintf("reader failing after %d bytes, size %d", k, announced)
			wantError(t, what, err, errReader)
			wantAbsent(t, b, id, what)
		}
	}
}

func testWrongSize(t *testing.T, b backends.Backend) {
	for _, c := range []struct{ has, size int }{
		{0, 1}, {1, 0}, {1, 2}, {9, 10}, {11, 10}, {4095, 4096}, {4097, 4096}, {0, 5 * mib}, {5*mib - 1, 5 * mib}, {5*mib + 1, 5 * mib},
	} {
		data := body(c.has)
		for _, r := range []io.Reader{bytes.NewReader(data), plain{bytes.NewReader(data)}, plain{iotest.DataErrReader(bytes.NewReader(data))}} {
			id := backends.NewBlobID()
			what := fmt.Sprintf("%d bytes announced as %d by %T", c.has, c.size, r)
			wantError(t, what, b.Put(t.Context(), id, r, int64(c.size)), backends.ErrSize)
			wantAbsent(t, b, id, what)
		}
	}
}

type closeSpy struct {
	io.Reader
	closed bool
}

func (c *closeSpy) Close() error { c.closed = true; return nil }

func testReaderIsCallers(t *testing.T, b backends.Backend) {
	data := body(1000)
	for _, size := range []int64{1000, -1} {
		r := &closeSpy{Reader: bytes.NewReader(data)}
		if err := b.Put(t.Context(), backends.NewBlobID(), r, size); err != nil {
			t.Fatal(err)
		}
		if r.closed {
			t.Error("Put closed the caller's reader")
		}
	}
}

// during calls f before each Read and once more at the end of the body.
type during struct {
	r io.Reader
	f func()
}

func (d during) Read(p []byte) (int, error) {
	d.f()
	return d.r.Read(p)
}

func testInvisibleUntilDone(t *testing.T, b backends.Backend) {
	for _, size := range []int64{200_000, -1} {
		id, asked := backends.NewBlobID(), 0
		data := body(200_000)
		r := during{iotest.OneByteReader(bytes.NewReader(data[:3])), func() {
			asked++
			wantAbsent(t, b, id, "before the body's end")
		}}
		rest := during{bytes.NewReader(data[3:]), r.f}
		if err := b.Put(t.Context(), id, io.MultiReader(r, rest), size); err != nil {
			t.Fatal(err)
		}
		if asked < 5 {
			t.Errorf("the body was read %d times only: the test saw nothing", asked)
		}
		wantBody(t, b, id, data)
	}
}

func testCancelledPut(t *testing.T, b backends.Backend) {
	data := body(5 * mib)
	for _, at := range []int64{0, 1, 100_000, 3 * mib, 5 * mib} {
		for _, size := range []int64{5 * mib, -1} {
			ctx, cancel := context.WithCancel(t.Context())
			id, src := backends.NewBlobID(), bytes.NewReader(data)
			r := during{src, func() {
				if int64(len(data)-src.Len()) >= at {
					cancel()
				}
			}}
			err := b.Put(ctx, id, r, size)
			cancel()
			what := fmt.Sprintf("Put cancelled at byte %d, size %d", at, size)
			wantError(t, what, err, context.Canceled)
			wantAbsent(t, b, id, what)
		}
	}
}
