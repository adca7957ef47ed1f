package encrypt

import (
	"math"
	"math/rand/v2"
	"testing"
)

// padme is the formula as the paper prints it, with logarithms.
func padme(n int64) int64 {
	e := math.Floor(math.Log2(float64(n)))
	s := math.Floor(math.Log2(e)) + 1
	unit := math.Exp2(e - s)
	return int64(math.Ceil(float64(n)/unit) * unit)
}

func TestPaddedSize(t *testing.T) {
	for plain, want := range map[int64]int64{
		0: 4096, 1: 4096, 4095: 4096, 4096: 4096, 4097: 4352, 4352: 4352, 4353: 4608, 65535: 65536, 65536: 65536, 65537: 67584,
		1 << 20: 1 << 20, 1<<20 + 1: 1<<20 + 1<<15, 5 << 20: 5 << 20, 5<<20 + 1: 5<<20 + 1<<17, 5 << 30: 5 << 30, 5<<30 + 1: 5<<30 + 1<<26,
		MaxBlobSize: MaxBlobSize, MaxBlobSize - 1: MaxBlobSize,
	} {
		if got := PaddedSize(plain); got != want {
			t.Errorf("%d bytes are padded to %d, want %d", plain, got, want)
		}
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 100_000 {
		// Lengths of every magnitude, which a float64 still holds exactly.
		if n := MinPadded + rng.Int64N(int64(1)<<rng.IntN(40)+1); PaddedSize(n) != padme(n) {
			t.Fatalf("%d bytes are padded to %d, the formula has %d", n, PaddedSize(n), padme(n))
		}
	}
}

// Up to 1 MiB there are as many classes as the formula has: the smallest length, and for each
// magnitude E above it two to the power of floor(log2 E) + 1.
func TestPaddedSizeClasses(t *testing.T) {
	want := 1
	for e := 12; e < 20; e++ {
		want += 1 << (int(math.Log2(float64(e))) + 1)
	}
	classes := map[int64]bool{}
	for n := range int64(1<<20 + 1) {
		classes[PaddedSize(n)] = true
	}
	if len(classes) != want {
		t.Errorf("%d classes, want %d", len(classes), want)
	}
}

// Padding never shortens, keeps the order, is done after once, and adds less than a
// sixteenth above the least length.
func FuzzPaddedSize(f *testing.F) {
	for _, n := range []int64{0, 1, MinPadded, MinPadded + 1, SegmentSize, 5 << 30, MaxBlobSize} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		if n < 0 || n > MaxBlobSize {
			return
		}
		p := PaddedSize(n)
		if p < n || p < MinPadded || p > MaxBlobSize || PaddedSize(p) != p || n > 0 && PaddedSize(n-1) > p {
			t.Errorf("%d bytes are padded to %d, these to %d, and one byte less to %d", n, p, PaddedSize(p), PaddedSize(n-1))
		}
		if n >= MinPadded && (p-n)*16 >= n {
			t.Errorf("%d bytes get %d more", n, p-n)
		}
	})
}
