package engine_test

import (
	"database/sql"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
)

// edit edits the store's file beside the engine.
func (r *rig) edit(query string, args ...any) {
	r.t.Helper()
	db, err := sql.Open("sqlite", "file:"+r.path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query, args...); err != nil {
		r.t.Fatal(err)
	}
}

// The stored progress of a draining may have been edited, or may be that of another time.
// A backend is not retired with bytes that an object needs.
func TestDrainWithEditedProgress(t *testing.T) {
	const skip = "UPDATE backends SET drain_after = X'ffffffffffffffffffffffffffffffffffffffff', drain_left = 0 WHERE id = ?"
	for name, always := range map[string]bool{"once": false, "before each step": true} {
		t.Run(name, func(t *testing.T) {
			m := newMuseum(t)
			m.drain(east, west)
			from := int64(m.status(east).Row.ID)
			m.edit(skip, from)
			for i := 0; i < 20 && m.status(east).Row.State != meta.BackendRetired; i++ {
				if always {
					m.edit(skip, from)
				}
				if _, err := m.e.Blobs().Move(t.Context()); err != nil {
					t.Fatal(err)
				}
				if _, err := m.e.Blobs().Collect(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if retired := m.status(east).Row.State == meta.BackendRetired; retired == always {
				t.Errorf("retired: %t", retired)
			}
			m.wantAll("after the draining")
		})
	}
}
