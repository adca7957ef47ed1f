package engine_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// No provider and no move meets a blob that is longer than one without padding can be.
func TestLongestPadded(t *testing.T) {
	const longest = engine.MaxBodySize + engine.MaxFilling
	for _, n := range []int64{1, engine.MaxBodySize - 1, engine.MaxBodySize, engine.MaxBodySize + 1, longest} {
		p := engine.PaddedSize(n)
		if p < n || p > longest || n <= engine.MaxBodySize && p > engine.MaxBodySize || engine.PaddedSize(p) != p {
			t.Errorf("%d bytes are padded to %d", n, p)
		}
	}
}

// Behind a body there are zeros, and never what another body left in a buffer.
func TestPaddingIsZeros(t *testing.T) {
	r := newRig(t)
	for i, padding := range []buckets.Padding{buckets.PaddingNone, buckets.PaddingPadme} {
		if err := r.e.Buckets().SetPadding(t.Context(), r.b, padding); err != nil {
			t.Fatal(err)
		}
		r.readBucket()
		for _, n := range []int{1, 4090, 5000, 65536, 65537, 300_000, 4<<20 + 1} {
			r.mustPut("another", body(uint64(i), 6<<16)) // fills buffers
			most := n + 100
			if _, err := r.putOpen("open", bytes.NewReader(body(1, n)), most); err != nil {
				t.Fatal(err)
			}
			r.mustPut("closed", body(2, n))
			want := map[string]int{"open": most - n, "closed": 0}
			if padding == buckets.PaddingPadme {
				want["closed"] = int(encrypt.PaddedSize(int64(n))) - n
				if want["open"] = want["closed"]; most > encrypt.SegmentSize {
					want["open"] = int(encrypt.PaddedSize(int64(most))) - n
				}
			}
			for key, length := range want {
				zeros, err := engine.BehindBody(t.Context(), r.e, r.b, key)
				if err != nil || len(zeros) != length || !bytes.Equal(zeros, make([]byte, length)) {
					t.Errorf("%s, %d bytes with padding %s: %d bytes behind it, want %d, all zeros; %v", key, n, padding, len(zeros), length, err)
				}
			}
		}
	}
}

// A body that is refused leaves no blob, however much padding it would have got.
func TestPaddingOfRefusedBodies(t *testing.T) {
	r := newRig(t)
	if err := r.e.Buckets().SetPadding(t.Context(), r.b, buckets.PaddingPadme); err != nil {
		t.Fatal(err)
	}
	r.readBucket()
	for _, n := range []int{1, 65537, 4<<20 + 1} {
		for what, from := range map[string]io.Reader{
			"longer": bytes.NewReader(body(1, n+1)), "shorter": bytes.NewReader(body(1, n-1)), "refused": &failingReader{data: body(1, n), err: s3err.AccessDenied},
		} {
			_, err := r.e.PutObject(t.Context(), engine.PutObject{Bucket: r.b, Key: "k", Owner: r.b.Owner, Body: engine.Body{Reader: from, Size: int64(n)}})
			if !errors.Is(err, s3err.IncompleteBody) && !errors.Is(err, s3err.AccessDenied) {
				t.Errorf("%d bytes, %s: %v", n, what, err)
			}
		}
	}
	r.wantAbsent("k")
	r.wantClean(0)
}

// A padded blob keeps its length when it is moved, and is moved on proof of all its bytes.
func TestDrainOfPadding(t *testing.T) {
	s := newSeveralRig(t)
	if err := s.e.Buckets().SetPadding(t.Context(), s.b, buckets.PaddingPadme); err != nil {
		t.Fatal(err)
	}
	s.readBucket()
	lengths := func(at string) map[int64]int {
		t.Helper()
		n := map[int64]int{}
		for info, err := range s.at[at].List(t.Context(), backends.BlobID{}) {
			if err != nil {
				t.Fatal(err)
			}
			if info.Size > 0 {
				n[info.Size]++
			}
		}
		return n
	}
	s.mustPut("a", body(1, 100))
	s.mustPut("b", body(2, 4<<20+1))
	s.mustPut("c", body(3, 4<<20+100_000))
	s.drain(east, west)
	s.drained(east)
	small, large := encrypt.SealedSize(encrypt.MinPadded), encrypt.SealedSize(4<<20+128<<10)
	if got := lengths(west); got[small] != 1 || got[large] != 2 || len(got) != 2 {
		t.Errorf("lengths at the target: %v, want one of %d and two of %d", got, small, large)
	}
	s.wantBody("a", body(1, 100))
	s.wantBody("b", body(2, 4<<20+1))
	s.wantBody("c", body(3, 4<<20+100_000))
	s.wantClean(3)
}
