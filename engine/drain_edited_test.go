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

// An edit of the ledger that has a blob moved does not take its bytes past the demands of
// its bucket, and does not delete them where they are.
func TestEditedPlaceKeepsToResidency(t *testing.T) {
	s := newSeveralRig(t)
	s.b = s.bucket("at-home", "CH")
	data := body(1, 70_000)
	s.mustPut("k", data)
	home, away := int64(s.status(swiss).Row.ID), int64(s.status(west).Row.ID)
	s.edit("INSERT INTO condemned (id, backend, changed) SELECT id, backend, 0 FROM blobs WHERE backend = ?", home)
	s.edit("UPDATE blobs SET backend = ? WHERE backend = ?", away, home)
	for range 3 {
		_, _ = s.e.Blobs().Collect(t.Context()) // its complaint is not the matter
		s.edit("UPDATE condemned SET changed = 0")
	}
	s.wantBlobs(map[string]int{swiss: 1})
	s.edit("DELETE FROM condemned")
	s.edit("UPDATE blobs SET backend = ?", home)
	s.reopen()
	s.wantBody("k", data)
}
