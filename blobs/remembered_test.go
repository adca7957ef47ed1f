package blobs

import (
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// The cache of the places of blobs has a bound in bytes, which many of them reach and do
// not exceed, and is among what is swept.
func TestRemembered(t *testing.T) {
	bs := New(Config{Elapsed: func() time.Duration { return 0 }})
	for i := range 500_000 {
		bs.remembered.Put(meta.BlobID{byte(i), byte(i >> 8), byte(i >> 16)}, 1)
	}
	swept := bs.Caches()
	if n := bs.remembered.Bytes(); n > MaxPlaceBytes || n < MaxPlaceBytes/2 || len(swept) != 1 || swept[0].Bytes() != n {
		t.Errorf("%d bytes of %d, and %d caches", n, MaxPlaceBytes, len(swept))
	}
}
