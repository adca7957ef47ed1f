//go:build !race

// The test looks at memory that another goroutine overwrites, which it does on purpose.

package encrypt

import (
	"runtime"
	"testing"
)

// A bucket's key is overwritten when nobody has it any more, and not before.
func TestKeysAreCleared(t *testing.T) {
	b := DeriveBucketKeys(NewSeed(), Deployment{1}, [16]byte{2}, 1)
	s := DeriveSystemKeys(NewSeed(), Deployment{1}, 1)
	bucket, system := b.wrapping.key, s.wrapping.key
	for range 3 {
		runtime.GC()
	}
	wrap := b.WrapKey(NewObjectKey(), [16]byte{3}, PurposeVersion)
	if _, err := b.UnwrapKey(wrap, [16]byte{3}, PurposeVersion); err != nil || *bucket == [32]byte{} || *system == [32]byte{} {
		t.Fatalf("a key in use was cleared: %v", err)
	}
	runtime.KeepAlive(b)
	runtime.KeepAlive(s)
	done := make(chan struct{}, 2)
	for _, k := range []*[32]byte{bucket, system} {
		// Cleanups of a pointer run in no order, so each key is looked at until it is clear.
		go func() {
			for *k != [32]byte{} {
				runtime.GC()
				runtime.Gosched()
			}
			done <- struct{}{}
		}()
	}
	<-done
	<-done
}
