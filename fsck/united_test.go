package fsck_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// switched is a backend that another takes the place of.
type switched struct{ backends.Backend }

// Two backends that have become one storage are one finding each. Their blobs are no stray
// copies, whose removal would destroy them.
func TestUnitedStorages(t *testing.T) {
	east, west := &switched{mem.New()}, mem.New()
	r := newRig(t, gatewaytest.Options{Default: "east", Backends: []blobs.Backend{{Name: "east", Backend: east}, {Name: "west", Backend: west}}})
	r.put("k1", body(1000))
	r.put("k2", body(2000))
	merge(t, east.Backend, west)
	east.Backend = west
	report, err := fsck.Run(t.Context(), r.Engine, fsck.Options{Deep: true})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, f := range report.Findings {
		kinds[f.Kind]++
	}
	if kinds["storages-united"] != 2 || kinds["stray-copy"] != 0 || report.Clean() {
		t.Errorf("%+v", report.Findings)
	}
}

// merge puts all blobs of one storage into another.
func merge(t *testing.T, from, to backends.Backend) {
	t.Helper()
	for info, err := range from.List(t.Context(), backends.BlobID{}) {
		if err != nil {
			t.Fatal(err)
		}
		r, err := from.Get(t.Context(), info.ID, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		if err := to.Put(t.Context(), info.ID, r, info.Size); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
}
