package sqlstore

import (
	"slices"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
)

// A damaged row is an error, never another id or another set of blobs.
func TestDamagedColumns(t *testing.T) {
	var id meta.ID
	for _, src := range []any{make([]byte, 15), make([]byte, 17), []byte{}, int64(1), "0123456789abcdef"} {
		if err := (*idColumn)(&id).Scan(src); err == nil {
			t.Errorf("id from %T %v", src, src)
		}
	}
	if _, err := bodyOf(int64(meta.BodyBlob), make([]byte, 16)); err == nil {
		t.Error("a blob body with an upload's id")
	}
	if _, err := bodyOf(3, nil); err == nil {
		t.Error("a body of unknown kind")
	}
	if _, err := splitBlobs(make([]byte, 41)); err == nil {
		t.Error("blobs of 41 bytes")
	}
}

// FuzzRuns: what splitRuns accepts ascends, stays within part numbers and is
// what joinRuns makes of it.
func FuzzRuns(f *testing.F) {
	f.Add(joinRuns([]meta.PartRun{{First: 1, Count: 3}, {First: 5, Count: 9996}}))
	f.Add([]byte{1, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		runs, err := splitRuns(b)
		if err != nil {
			return
		}
		chosen, last := 0, 0
		for _, r := range runs {
			if r.First <= last || r.Count < 1 {
				t.Fatalf("runs %v", runs)
			}
			last = r.First + r.Count - 1
			chosen += r.Count
		}
		if last > maxPartNumber {
			t.Fatalf("runs %v reach part %d", runs, last)
		}
		again, err := splitRuns(joinRuns(runs))
		if err != nil || !slices.Equal(again, runs) {
			t.Fatalf("%v became %v, %v", runs, again, err)
		}
		for n := 1; n <= maxPartNumber; n++ {
			if isChosen(runs, n) {
				chosen--
			}
		}
		if chosen != 0 {
			t.Fatalf("runs %v: isChosen disagrees by %d parts", runs, chosen)
		}
	})
}
