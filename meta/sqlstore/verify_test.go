package sqlstore_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sanctum-storage/gateway/meta/postgres"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// damages are statements that every engine runs, each with the faults that it
// causes.
var damages = []struct {
	name  string
	sql   []string
	kinds []string
}{
	{"table dropped", []string{"DROP TABLE leases"}, []string{"table-missing"}},
	{"column dropped", []string{"ALTER TABLE users DROP COLUMN residency"}, []string{"column-missing"}},
	{"deployment lost", []string{"DELETE FROM deployment"}, []string{"deployment-missing"}},
	{"unfinished copy", []string{"UPDATE deployment SET state = 2"}, []string{"unfinished-copy"}},
	{"state of no meaning", []string{"UPDATE deployment SET state = 9"}, []string{"damaged-row"}},
	{"root lost", []string{"DELETE FROM users WHERE id = (SELECT root FROM deployment)"}, []string{"tenant-missing", "user-missing"}},
	{"user of a key lost", []string{"DELETE FROM users WHERE id IN (SELECT user_id FROM access_keys)"}, []string{"user-missing"}},
	{"user of a tenant lost", []string{"DELETE FROM identities"}, []string{"user-missing"}},
	{"user turned into a group", []string{"UPDATE identities SET kind = 2"}, []string{"user-missing"}},
	{"tenant of a user lost", []string{"UPDATE identities SET tenant = id"}, []string{"tenant-missing"}},
	{"identity of no kind", []string{"UPDATE identities SET kind = 6"}, []string{"damaged-row", "user-missing"}},
	{"identity with the id of a tenant", []string{"UPDATE users SET id = (SELECT id FROM identities) WHERE id <> (SELECT root FROM deployment)",
		"UPDATE access_keys SET user_id = (SELECT id FROM identities)"}, []string{"two-states"}},
	{"neither active nor inactive", []string{"UPDATE access_keys SET inactive = 2"}, []string{"damaged-row"}},
	{"bucket of settings lost", []string{"UPDATE bucket_settings SET bucket_id = name"}, []string{"bucket-missing"}},
	{"backend of nobody", []string{"DELETE FROM backends WHERE id = 2"}, []string{"backend-missing"}},
	{"backend of everything", []string{"DELETE FROM backends WHERE id = 1"}, []string{"backend-missing", "drain-target"}},
	{"retired too early", []string{"UPDATE backends SET state = 3, living = NULL, drain_target = NULL WHERE id = 2"}, []string{"backend-missing"}},
	{"name not kept", []string{"UPDATE backends SET living = NULL WHERE id = 1"}, []string{"backend-name"}},
	{"drains nowhere", []string{"UPDATE backends SET drain_target = NULL WHERE id = 2"}, []string{"drain-target"}},
	{"drains into itself", []string{"UPDATE backends SET drain_target = 2 WHERE id = 2"}, []string{"drain-target"}},
	{"fence of no meaning", []string{"UPDATE leases SET fence = 0"}, []string{"damaged-row"}},
	{"bucket lost", []string{"DELETE FROM buckets"}, []string{"bucket-missing"}},
	{"trace of a bucket lost", []string{"DELETE FROM dying_buckets"}, []string{"bucket-missing"}},
	{"bucket there and dying", []string{"INSERT INTO dying_buckets (id) SELECT id FROM buckets"}, []string{"two-states"}},
	{"seed lost", []string{"DELETE FROM bucket_seeds WHERE bucket_id IN (SELECT id FROM buckets)"}, []string{"seed-missing"}},
	{"seed of a generation lost", []string{"UPDATE bucket_seeds SET generation = 2"}, []string{"seed-missing"}},
	{"bucket elsewhere", []string{"UPDATE buckets SET backend = 7"}, []string{"backend-missing"}},
	{"object lost", []string{"DELETE FROM objects WHERE body_kind = 1 AND class IS NULL"}, []string{"reference-count", "usage"}},
	{"object of an upload lost", []string{"DELETE FROM objects WHERE body_kind = 2"}, []string{"reference-count", "usage"}},
	{"object's body of no kind", []string{"UPDATE objects SET body_kind = 7 WHERE body_kind = 1"}, []string{"damaged-row"}},
	{"object's body of another kind", []string{"UPDATE objects SET body_kind = 2 WHERE body_kind = 1"}, []string{"damaged-row"}},
	{"bucket of no versioning", []string{"UPDATE buckets SET versioning = 3 WHERE versioning = 1"}, []string{"damaged-row"}},
	{"locks without versions", []string{"UPDATE buckets SET versioning = 2 WHERE locks = 1"}, []string{"damaged-row"}},
	{"versions in a bucket without", []string{"UPDATE buckets SET versioning = 0, locks = 0"}, []string{"version-state"}},
	{"object's lock of no kind", []string{"UPDATE objects SET lock_mode = 3 WHERE lock_mode = 1"}, []string{"damaged-row"}},
	{"version's lock without an end", []string{"UPDATE versions SET lock_until = NULL WHERE lock_mode = 1"}, []string{"damaged-row"}},
	{"version's body of another kind", []string{"UPDATE versions SET body_kind = 2 WHERE body_kind = 1"}, []string{"damaged-row"}},
	{"marker of a size", []string{"UPDATE versions SET size = 1 WHERE marker = 1"}, []string{"damaged-row"}},
	{"version under another name", []string{"UPDATE versions SET public = owner WHERE null_version = 0"}, []string{"damaged-row"}},
	{"version of no kind", []string{"UPDATE versions SET null_version = 1 - null_version"}, []string{"damaged-row"}},
	{"versions of another generation", []string{"UPDATE versions SET generation = 2"}, []string{"seed-missing"}},
	{"two null versions", []string{"UPDATE objects SET null_version = 1"}, []string{"two-nulls"}},
	{"current version lost", []string{"DELETE FROM objects WHERE class IS NOT NULL"}, []string{"reference-count", "usage", "version-order"}},
	{"current marker lost", []string{"DELETE FROM versions WHERE displaced IS NULL"}, []string{"version-order"}},
	{"current marker displaced", []string{"UPDATE versions SET displaced = 1 WHERE displaced IS NULL"}, []string{"version-order"}},
	{"versions not displaced", []string{"UPDATE versions SET displaced = NULL"}, []string{"version-order"}},
	{"current version of no rank", []string{"UPDATE objects SET rank = 7"}, []string{"version-order"}},
	{"version's blob lost", []string{"UPDATE versions SET body_kind = 0, body_id = NULL"}, []string{"reference-count"}},
	{"usage lost", []string{"DELETE FROM usage"}, []string{"usage"}},
	{"change of usage lost", []string{"DELETE FROM usage_changes"}, []string{"usage"}},
	{"usage of nobody", []string{"UPDATE usage SET bucket_id = (SELECT root FROM deployment) WHERE bucket_id = (SELECT id FROM buckets WHERE locks = 1)"}, []string{"bucket-missing", "usage"}},
	{"object of no size", []string{"UPDATE objects SET size = -1"}, []string{"damaged-row"}},
	{"references too many", []string{"UPDATE blobs SET refs = refs + 1"}, []string{"reference-count"}},
	{"references of an upload", []string{"UPDATE uploads SET refs = refs + 1 WHERE state = 2"}, []string{"reference-count"}},
	{"references to an open upload", []string{"UPDATE uploads SET refs = 1 WHERE state = 1"}, []string{"reference-count", "upload-state"}},
	{"no references", []string{"UPDATE blobs SET refs = 0"}, []string{"damaged-row"}},
	{"blobs lost", []string{"DELETE FROM blobs"}, []string{"body-missing"}},
	{"blob condemned where it lives", []string{"INSERT INTO condemned (id, backend, changed) SELECT id, backend, 1 FROM blobs"}, []string{"two-states"}},
	{"blob reserved and live", []string{"INSERT INTO reservations (id, holder, backend, changed) SELECT b.id, h.id, 1, 1 FROM blobs AS b, holders AS h"}, []string{"two-states"}},
	{"copy of unknown holder", []string{"UPDATE copies SET holder = id"}, []string{"holder-missing"}},
	{"copy at an unknown backend", []string{"UPDATE copies SET backend = 9"}, []string{"backend-missing"}},
	{"copy where the blob is", []string{"UPDATE copies SET backend = 1"}, []string{"two-states"}},
	{"copy condemned", []string{"INSERT INTO condemned (id, backend, changed) SELECT id, backend, 1 FROM copies"}, []string{"two-states"}},
	{"blob reserved and condemned", []string{"INSERT INTO condemned (id, backend, changed) SELECT id, 2, 1 FROM reservations"}, []string{"two-states"}},
	{"holder lost", []string{"DELETE FROM holders"}, []string{"holder-missing"}},
	{"condemned nowhere", []string{"UPDATE condemned SET backend = 9"}, []string{"backend-missing"}},
	{"completed upload lost", []string{"DELETE FROM uploads WHERE state = 2"}, []string{"body-missing", "upload-missing"}},
	{"upload dies in use", []string{"UPDATE uploads SET state = 3 WHERE state = 2"}, []string{"upload-state"}},
	{"upload opened again", []string{"UPDATE uploads SET state = 1 WHERE state = 2"}, []string{"upload-state"}},
	{"upload of no state", []string{"UPDATE uploads SET state = 5 WHERE state = 2"}, []string{"damaged-row", "upload-state"}},
	{"upload of no age", []string{"UPDATE uploads SET since = NULL WHERE state = 1"}, []string{"damaged-row"}},
	{"open upload's parts", []string{"UPDATE uploads SET parts = parts + 1 WHERE state = 1"}, []string{"part-count"}},
	{"part of an object lost", []string{"UPDATE parts SET number = number + 1000 WHERE upload_id IN (SELECT id FROM uploads WHERE state = 4)"}, []string{"part-count"}},
	{"part not chosen left", []string{"UPDATE uploads SET state = 2 WHERE state = 4"}, []string{"part-count"}},
	{"chosen parts unknown", []string{"UPDATE uploads SET chosen = id WHERE state = 2"}, []string{"part-count"}},
	{"token of a rename too short", []string{"UPDATE renames SET token = (SELECT id FROM deployment)"}, []string{"damaged-row"}},
	{"part of no number", []string{"UPDATE parts SET number = 0 WHERE number = 1"}, []string{"damaged-row"}},
	{"parts' blobs cut", []string{"UPDATE parts SET blobs = record"}, []string{"damaged-row"}},
	{"parts' blobs lost", []string{"UPDATE parts SET blobs = NULL"}, []string{"reference-count"}},
}

// oneRound is above the number of bodies.
const oneRound = 1000

// wantKinds fails the test unless Verify finds exactly these kinds, with few bodies
// in memory at once.
func wantKinds(t *testing.T, s *sqlstore.Store, bodies int, want []string) {
	t.Helper()
	report, err := s.VerifyInRounds(t.Context(), bodies)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, f := range report.Faults {
		if !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
		if f.Detail == "" || f.Table == "" {
			t.Errorf("a fault without words: %+v", f)
		}
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, want) || report.Clean() != (len(want) == 0) || report.Found != int64(len(report.Faults)) {
		t.Errorf("found %v, want %v: %.5v", kinds, want, report.Faults)
	}
}

func damage(t *testing.T, db *sql.DB, statements []string) {
	t.Helper()
	for _, s := range statements {
		r, err := db.Exec(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if n, err := r.RowsAffected(); err == nil && n == 0 && s[:4] != "DROP" && s[:5] != "ALTER" {
			t.Fatalf("%s: nothing was damaged", s)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// Every kind of damage is found, and a store without damage is clean, on SQLite...
func TestVerifySQLite(t *testing.T) {
	read := func(t *testing.T, path string) *sqlstore.Store {
		s, err := sqlite.OpenReadOnly(path)
		return closing(t, s, err)
	}
	wantKinds(t, read(t, filledFile(t)), oneRound, nil)
	empty := filepath.Join(t.TempDir(), "empty.db")
	wantKinds(t, openSQLite(t, empty), oneRound, nil)
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filledFile(t)
			damage(t, openRaw(t, "sqlite", path), c.sql)
			s := read(t, path)
			wantKinds(t, s, oneRound, c.kinds)
			wantKinds(t, s, 3, c.kinds)
		})
	}
}

// ... and on Postgres.
func TestVerifyPostgres(t *testing.T) {
	url, template := newDatabase(t, "")
	from, err := sqlite.Open(filledFile(t), sqlite.Options{})
	from = closing(t, from, err)
	to, err := postgres.Open(t.Context(), url, postgres.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqlstore.Copy(t.Context(), from, to, sqlstore.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	wantKinds(t, to, 3, nil)
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			url, _ := newDatabase(t, template)
			damage(t, openRaw(t, "pgx", url), c.sql)
			s, err := postgres.Open(t.Context(), url, postgres.Options{})
			wantKinds(t, closing(t, s, err), oneRound, c.kinds)
		})
	}
}

// Changes while Verify reads are no faults.
func TestVerifyBesideWriters(t *testing.T) {
	url, _ := newDatabase(t, "")
	s := openPostgres(t, url, postgres.Options{})
	f := fill(t, s)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		f.churn(stop)
	}()
	for range 5 {
		if r, err := s.VerifyInRounds(t.Context(), 20); err != nil || !r.Clean() {
			t.Errorf("%v, %+v", err, r.Faults)
		}
	}
	close(stop)
	<-done
}
