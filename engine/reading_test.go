package engine_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
)

// An object of parts that is deleted under a slow reader is read to its end, within a
// bound, and then its bytes go.
func TestDeletedUnderAReader(t *testing.T) {
	for name, c := range map[string]struct {
		later time.Duration
		whole bool
	}{
		"a slow one":                  {20 * time.Hour, true},
		"one that is beyond all":      {25 * time.Hour, false},
		"one that has hardly a grace": {time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			now := time.Now()
			r.config.Now = func() time.Time { return now }
			r.config.Grace = time.Minute
			r.reopen()
			want := append(body(1, 5<<20), body(2, 5<<20)...)
			u := r.begin("k", "", "")
			if _, err := r.complete(u, r.part(u, 1, want[:5<<20]), r.part(u, 2, want[5<<20:])); err != nil {
				t.Fatal(err)
			}
			reading, err := r.e.GetObject(t.Context(), engine.GetObject{Bucket: r.b, Key: "k"})
			if err != nil {
				t.Fatal(err)
			}
			first := make([]byte, 1<<20)
			if _, err := io.ReadFull(reading, first); err != nil {
				t.Fatal(err)
			}
			r.delete("k")
			collect := func() {
				t.Helper()
				for range 3 { // rows, blobs, markers
					now = now.Add(c.later)
					if _, err := r.e.Blobs().Collect(t.Context()); err != nil {
						t.Fatal(err)
					}
					c.later = 2 * time.Minute
				}
			}
			collect()
			rest, err := io.ReadAll(reading)
			if whole := err == nil && bytes.Equal(append(first, rest...), want); whole != c.whole {
				t.Errorf("%d bytes of %d, %v", len(first)+len(rest), len(want), err)
			}
			reading.Close()
			collect()
			if n := blobsAt(t, r.backend) - markers; n != 0 {
				t.Errorf("%d blobs are left when nobody reads", n)
			}
		})
	}
}
