package backendtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

func testRanges(t *testing.T, b backends.Backend) {
	const size = 200_003
	data := body(size)
	id := put(t, b, data)
	ranges := [][2]int64{
		{0, 0}, {0, 1}, {0, size}, {0, -1}, {1, -1}, {1, size - 1}, {size - 1, 1}, {size - 1, -1},
		{size, 0}, {size, -1}, {65535, 2}, {65536, 65536}, {100, 0}, {131071, 1},
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 100 {
		off := rng.Int64N(size)
		ranges = append(ranges, [2]int64{off, rng.Int64N(size - off + 1)})
	}
	for _, r := range ranges {
		end := r[0] + r[1]
		if r[1] < 0 {
			end = size
		}
		got, err := read(t.Context(), b, id, r[0], r[1])
		if err != nil || !bytes.Equal(got, data[r[0]:end]) {
			t.Errorf("seed %d: %d bytes from %d: got %d bytes, %v", seed, r[1], r[0], len(got), err)
		}
	}
	wantEmpty(t, b)
}

func wantEmpty(t *testing.T, b backends.Backend) {
	t.Helper()
	id := put(t, b, nil)
	for _, n := range []int64{0, -1} {
		if got, err := read(t.Context(), b, id, 0, n); err != nil || len(got) > 0 {
			t.Errorf("%d bytes of an empty blob: %q, %v", n, got, err)
		}
	}
}

func testBeyondEnd(t *testing.T, b backends.Backend) {
	for _, size := range []int64{0, 1, 1000} {
		data := body(int(size))
		id := put(t, b, data)
		for _, r := range [][2]int64{
			{0, size + 1}, {size, 1}, {size + 1, 1}, {size + 1, 0}, {size + 1, -1}, {0, math.MaxInt64}, {math.MaxInt64, -1}, {size, 1 << 40},
		} {
			got, err := read(t.Context(), b, id, r[0], r[1])
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d bytes from %d of %d: error %v, want io.ErrUnexpectedEOF", r[1], r[0], size, err)
			}
			if len(got) > 0 && (r[0] >= size || !bytes.Equal(got, data[r[0]:])) {
				t.Errorf("%d bytes from %d of %d: wrong bytes before the error", r[1], r[0], size)
			}
		}
		for _, r := range [][2]int64{{-1, 1}, {0, -2}, {1, math.MaxInt64}} {
			if got, err := read(t.Context(), b, id, r[0], r[1]); err == nil {
				t.Errorf("impossible range %v gave %d bytes and no error", r, len(got))
			}
		}
	}
}

func testAbsent(t *testing.T, b backends.Backend) {
	wantAbsent(t, b, backends.NewBlobID(), "no blobs")
	near := put(t, b, body(10))
	near[19] ^= 1 // the same folder, the same prefix
	wantAbsent(t, b, near, "neighbour")
	for _, r := range [][2]int64{{0, 0}, {0, 1}, {5, 5}, {100, -1}} {
		_, err := read(t.Context(), b, near, r[0], r[1])
		wantError(t, "range of an absent blob", err, backends.ErrNotFound)
	}
}

func testStat(t *testing.T, b backends.Backend) {
	for _, n := range []int{0, 1, 70_000} {
		id := put(t, b, body(n))
		info, err := b.Stat(t.Context(), id)
		if err != nil || info.ID != id || info.Size != int64(n) {
			t.Errorf("Stat of %d bytes: %+v, %v", n, info, err)
		}
		if age := time.Since(info.Modified); age.Abs() > 24*time.Hour {
			t.Errorf("Modified is %v off", age)
		}
	}
}

func testCancelledGet(t *testing.T, b backends.Backend) {
	id := put(t, b, body(8*mib))
	ctx, cancel := context.WithCancel(t.Context())
	rc, err := b.Get(ctx, id, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if _, err := io.ReadFull(rc, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = io.Copy(io.Discard, rc)
	wantError(t, "Read after cancellation", err, context.Canceled)
}

// testEndedContext expects neither effect nor answer, and the cause if there is
// one.
func testEndedContext(t *testing.T, b backends.Backend) {
	data := body(1000)
	id, fresh := put(t, b, data), backends.NewBlobID()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, "Put", b.Put(ctx, fresh, bytes.NewReader(data), 1000), context.Canceled)
	_, err := read(ctx, b, id, 0, -1)
	wantError(t, "Get", err, context.Canceled)
	_, err = b.Stat(ctx, id)
	wantError(t, "Stat", err, context.Canceled)
	wantError(t, "Delete", b.Delete(ctx, id), context.Canceled)
	wantError(t, "Check", b.Check(ctx), context.Canceled)
	steps := 0
	for info, err := range b.List(ctx, backends.BlobID{}) {
		wantError(t, "List", err, context.Canceled)
		if steps++; info != (backends.Info{}) {
			t.Errorf("List: an error came with %+v", info)
		}
	}
	if steps != 1 {
		t.Errorf("List took %d steps, want one error", steps)
	}
	wantAbsent(t, b, fresh, "Put under an ended context")
	wantBody(t, b, id, data)
}
