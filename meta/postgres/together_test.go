package postgres

import (
	"errors"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// A transaction whose statements may all be sent with COMMIT needs no earlier round
// trip.
func TestTogether(t *testing.T) {
	name := files15.database(t)
	r := openRunner(t, files15.server.URL(name), Options{})
	for _, together := range []bool{true, false} {
		id := idBytes()
		_, err := r.attempt(t.Context(), func(in sqlstore.Tx) error {
			err := in.Later(func(int64) error { return nil }, "INSERT INTO holders (id, beat) VALUES (?, 1)"+sqlstore.InAnyOrder, id)
			if !in.(*tx).last() {
				t.Error("the statement may not travel with COMMIT")
			}
			return err
		}, together)
		if err != nil {
			t.Fatal(err)
		}
		var beat int64
		if err := files15.conn(t, name).QueryRow(t.Context(), "SELECT beat FROM holders WHERE id = $1", id).Scan(&beat); err != nil || beat != 1 {
			t.Errorf("together %t: beat %d, %v", together, beat, err)
		}
	}
}

// When one of the statements that are sent with COMMIT matches no row, nothing
// happens, and a second run returns the intent's own error.
func TestTogetherFails(t *testing.T) {
	name := files15.database(t)
	s := openStore(t, files15.server.URL(name), Options{})
	bucket, holder := addBucket(t, s), meta.NewID()
	if err := s.CommitObject(t.Context(), meta.Commit{Version: newVersion(bucket, "taken"), Vacant: true}); err != nil {
		t.Fatal(err)
	}
	lost := newVersion(bucket, "lost")
	lost.Body = meta.Body{Kind: meta.BodyBlob, Blob: newBlobID()}
	for _, tc := range []struct {
		what   string
		commit meta.Commit
		want   error
	}{
		{"a reservation that is not there", meta.Commit{Version: lost, Holder: holder, Vacant: true}, meta.ErrReservationLost},
		{"another versioning", meta.Commit{Version: newVersion(meta.NewID(), "k"), Vacant: true}, meta.ErrNoBucket},
		{"a key that is taken", meta.Commit{Version: newVersion(bucket, "taken"), Vacant: true, Expect: meta.Expect{Kind: meta.ExpectAbsent}}, meta.ErrConflict},
	} {
		if err := s.CommitObject(t.Context(), tc.commit); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", tc.what, err)
		}
	}
	var objects, usage, commits int64
	err := files15.conn(t, name).QueryRow(t.Context(), "SELECT (SELECT count(*) FROM objects), (SELECT count(*) FROM usage_changes), "+
		"(SELECT count(*) FROM commits WHERE done = 1)").Scan(&objects, &usage, &commits)
	if err != nil || objects != 1 || usage != 1 {
		t.Errorf("%d objects, %d changes of usage, %v", objects, usage, err)
	}
	if want := int64(3); commits != want { // the deployment, the bucket, the object
		t.Errorf("%d commits, want %d", commits, want)
	}
}

// Statements in the packet of COMMIT wait for locks no longer than others, and
// leave nothing behind.
func TestTogetherWaits(t *testing.T) {
	name := files15.database(t)
	s := openStore(t, files15.server.URL(name), Options{})
	bucket := addBucket(t, s)
	impatient := openStore(t, files15.server.URL(name), Options{StatementTimeout: 300 * time.Millisecond})
	other := files15.conn(t, name)
	if _, err := other.Exec(t.Context(), "BEGIN; SELECT 1 FROM bucket_guards FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	err := impatient.CommitObject(t.Context(), meta.Commit{Version: newVersion(bucket, "k"), Vacant: true})
	if !errors.Is(err, meta.ErrUnavailable) {
		t.Errorf("a commit behind a lock: %v", err)
	}
	if _, err := other.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	// A later lock comes after the statement that was left waiting.
	if _, err := other.Exec(t.Context(), "SELECT 1 FROM bucket_guards FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	if err := s.CommitObject(t.Context(), meta.Commit{Version: newVersion(bucket, "k"), Vacant: true}); err != nil {
		t.Fatal(err)
	}
}
