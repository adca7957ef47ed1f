package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta/sqlite"
)

// A store that was copied before a backend was added does not take that for a new one,
// whichever of the others is away: what is there is the later store's.
func TestRestoredFromBeforeABackendWasAdded(t *testing.T) {
	r := newBareRig(t)
	path := filepath.Join(t.TempDir(), "meta.db")
	store, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	plan := faults.NewPlan(1)
	r.config.Store, r.store = store, store
	both := []blobs.Backend{{Name: east, Backend: faults.Backend(r.backend, plan)}, {Name: west, Backend: mem.New()}}
	r.config.Backends, r.config.Default = both[:1], east
	r.reopen()
	r.b = r.bucket("first-bucket", "")
	if err := errors.Join(r.e.Close(), store.Close()); err != nil {
		t.Fatal(err)
	}
	older, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if store, err = sqlite.Open(path, sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	r.config.Store, r.config.Backends, r.config.Default = store, both, west
	r.reopen()
	r.b = r.bucket("second-bucket", west)
	r.mustPut("k", body(1, 1000))
	if err := errors.Join(r.e.Close(), store.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, older, 0o600); err != nil {
		t.Fatal(err)
	}
	if store, err = sqlite.Open(path, sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	r.config.Store = store
	plan.Add(faults.Rule{Err: backends.ErrUnavailable})
	if _, err := engine.Open(t.Context(), r.config); !errors.Is(err, blobs.ErrStoreRolledBack) {
		t.Errorf("the older store is let in: %v", err)
	}
	plan.Clear()
	if _, err := engine.Open(t.Context(), r.config); !errors.Is(err, blobs.ErrStoreRolledBack) {
		t.Errorf("with all backends: %v", err)
	}
	r.config.AcceptStore = true
	r.reopen()
	r.config.AcceptStore = false
	r.reopen()
}
