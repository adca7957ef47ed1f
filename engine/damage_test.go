package engine_test

import (
	"bytes"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
)

// damageMet collects what an engine reports.
func damageMet(e *engine.Engine) *[]*damage.Damage {
	met := new([]*damage.Damage)
	e.Damage().OnDamage(func(d *damage.Damage) { *met = append(*met, d) })
	return met
}

// movesOfDamage are ways to find that what is to be moved, or its copy, is damaged.
var movesOfDamage = []struct {
	name, kind, at string
	do             func(t *testing.T, s *severalRig, evil *faults.Evil, blob backends.BlobID)
}{
	{"its bytes are gone", damage.Missing, east, func(t *testing.T, s *severalRig, _ *faults.Evil, blob backends.BlobID) {
		if err := s.at[east].Delete(t.Context(), blob); err != nil {
			t.Fatal(err)
		}
	}},
	{"they end early", damage.Bytes, east, func(_ *testing.T, _ *severalRig, evil *faults.Evil, _ backends.BlobID) {
		evil.Set(faults.ShortRead, 100)
	}},
	{"other bytes are where the copy is to be", damage.Copy, west, func(t *testing.T, s *severalRig, _ *faults.Evil, blob backends.BlobID) {
		if err := s.at[west].Put(t.Context(), blob, bytes.NewReader([]byte("other")), 5); err != nil {
			t.Fatal(err)
		}
	}},
	{"the copy is lost at once", damage.Copy, west, nil},
}

// A draining or a lifecycle that moves damaged bytes reports which blob it is and
// where, and a lifecycle of which object.
func TestDamageMetByMoves(t *testing.T) {
	for _, c := range movesOfDamage {
		for _, draining := range []bool{true, false} {
			l, s := newSeveralLifecycleRig(t)
			source, target := faults.NewEvil(s.at[east], 1), faults.NewEvil(s.at[west], 1)
			for i := range l.config.Backends {
				switch b := &l.config.Backends[i]; b.Name {
				case east:
					b.Backend = source
				case west:
					b.Backend = target
				}
			}
			l.reopen()
			l.mustPut("old/a", body(1, 300_000))
			v, err := l.store.Version(t.Context(), l.b.ID, "old/a", meta.VersionRef{})
			if err != nil {
				t.Fatal(err)
			}
			met := damageMet(l.e)
			if draining {
				if err := l.e.Blobs().DrainBackend(t.Context(), east, west); err != nil {
					t.Fatal(err)
				}
			} else {
				l.rules(toWest)
				l.now = l.now.Add(3 * oneDay)
			}
			if c.do != nil {
				c.do(t, s, source, backends.BlobID(v.Body.Blob))
			} else {
				target.Set(faults.DropWrite, -1)
			}
			if draining {
				l.e.Blobs().Move(t.Context())
			} else {
				l.step()
			}
			if len(*met) != 1 {
				t.Errorf("%s, draining %t: %+v", c.name, draining, *met)
				continue
			}
			d := (*met)[0]
			if d.Kind != c.kind || d.Backend != c.at || d.Blob != v.Body.Blob || !draining && (d.Key != "old/a" || d.Version != v.ID || d.BucketID != l.b.ID) {
				t.Errorf("%s, draining %t: %+v", c.name, draining, d)
			}
		}
	}
}
