package engine_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/engine"
)

// An expired entry is gone with the next beat, though nobody asks for anything.
func TestBeatSweeps(t *testing.T) {
	r := newRig(t)
	left := engine.RememberExpired(r.e, 100)
	if n := left(); n != 100 {
		t.Fatalf("%d of 100 are remembered", n)
	}
	if err := r.e.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := left(); n != 0 {
		t.Errorf("%d of 100 are left", n)
	}
}
