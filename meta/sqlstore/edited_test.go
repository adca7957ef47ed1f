package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
	"github.com/sanctum-storage/gateway/meta/postgres"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// ledgerEdits are manual edits of the database. None of them may keep a background
// step from its other work, or an object from being removed.
var ledgerEdits = []struct{ name, sql string }{
	{"none", ""},
	{"open uploads referred to", "UPDATE uploads SET refs = 1 WHERE state = 1"},
	{"open uploads referred to less than not at all", "UPDATE uploads SET refs = -1 WHERE state = 1"},
	{"ended uploads referred to", "UPDATE uploads SET refs = 1 WHERE state = 3"},
	{"uploads' keys for ids", "UPDATE uploads SET bucket_id = wrapped_key WHERE state = 4"},
	{"uploads' generations at their most", fmt.Sprint("UPDATE uploads SET generation = ", math.MaxInt64, " WHERE state = 4")},
	{"buckets deleted that are there", "INSERT INTO dying_buckets (id) SELECT id FROM buckets"},
	{"chosen parts cut", "UPDATE uploads SET chosen = record FROM parts WHERE state = 4"},
	{"parts' blobs cut", "UPDATE parts SET blobs = record"},
	{"parts' attempts cut", "UPDATE parts SET attempt = record"},
	{"live blobs dead in a far future", fmt.Sprint("INSERT INTO condemned (id, backend, changed) SELECT id, backend, ", math.MaxInt64, " FROM blobs")},
	{"reserved blobs dead in a far future", fmt.Sprint("INSERT INTO condemned (id, backend, changed) SELECT id, backend, ", math.MaxInt64, " FROM reservations")},
	{"copies dead in a far future", fmt.Sprint("INSERT INTO condemned (id, backend, changed) SELECT id, backend, ", math.MaxInt64, " FROM copies")},
	{"usage at its most", fmt.Sprint("UPDATE usage SET bytes = ", math.MaxInt64, ", versions = ", math.MaxInt64, ", parts = ", math.MinInt64)},
	{"changes of usage at their most", fmt.Sprint("UPDATE usage_changes SET bytes = ", math.MaxInt64)},
	{"a dead blob's id cut", "INSERT INTO condemned (id, backend, changed) SELECT substr(id, 1, 5), backend, 1 FROM blobs LIMIT 1"},
	{"a dead blob's id another text", "INSERT INTO condemned (id, backend, changed) SELECT record, backend, 1 FROM blobs, parts WHERE LENGTH(record) <> 20 LIMIT 1"},
	{"a reserved blob's id cut", "UPDATE reservations SET id = substr(id, 1, 5) WHERE id = (SELECT id FROM reservations ORDER BY id LIMIT 1)"},
	{"a reservation's holder cut", "UPDATE reservations SET holder = substr(holder, 1, 5) WHERE id = (SELECT id FROM reservations ORDER BY id LIMIT 1)"},
	{"a live blob's id cut", "UPDATE blobs SET id = substr(id, 1, 5) WHERE id = (SELECT id FROM blobs WHERE refs > 1 ORDER BY id LIMIT 1)"},
	{"a live blob's place too large", "UPDATE blobs SET backend = 9223372036854775807 WHERE id = (SELECT id FROM blobs WHERE refs > 1 ORDER BY id LIMIT 1)"},
	{"a reservation's place too large", "UPDATE reservations SET backend = 9223372036854775807 WHERE id = (SELECT id FROM reservations ORDER BY id LIMIT 1)"},
	{"a holder's sealing too large", "UPDATE holders SET sealing = 300"},
	{"a copy's id cut", "UPDATE copies SET id = substr(id, 1, 5) WHERE id = (SELECT id FROM copies ORDER BY id LIMIT 1)"},
	{"a holder's id cut", "UPDATE holders SET id = substr(id, 1, 5) WHERE id = (SELECT id FROM holders ORDER BY id LIMIT 1)"},
	{"an ended upload's id cut", "UPDATE uploads SET id = substr(id, 1, 5) WHERE state = 3"},
	{"an ended upload's bucket cut", "UPDATE uploads SET bucket_id = substr(bucket_id, 1, 5) WHERE state = 3"},
	{"an open upload's bucket cut", "UPDATE uploads SET bucket_id = substr(bucket_id, 1, 5), since = 0 WHERE state = 1"},
	{"an open upload's id cut", "UPDATE uploads SET id = substr(id, 1, 5), since = 0 WHERE state = 1"},
	{"a deleted bucket's id cut", "INSERT INTO dying_buckets (id) SELECT substr(id, 1, 5) FROM buckets LIMIT 1"},
	{"a change of usage with a bucket's id cut", "UPDATE usage_changes SET bucket_id = substr(bucket_id, 1, 5) WHERE id = (SELECT id FROM usage_changes ORDER BY id LIMIT 1)"},
	{"a part's number too large", "UPDATE parts SET number = 9223372036854775807 WHERE number = (SELECT MAX(number) FROM parts)"},
	{"a token of a rename cut", "INSERT INTO renames (token, digest, made) SELECT substr(id, 1, 5), id, 1 FROM blobs LIMIT 1"},
	{"leases never taken", "UPDATE leases SET fence = 0, holder = NULL"},
	{"leases taken most often", fmt.Sprint("UPDATE leases SET fence = ", math.MaxInt64)},
	{"holders for ever", fmt.Sprint("UPDATE holders SET beat = ", math.MaxInt64)},
	{"checks and demands at their most", fmt.Sprint("UPDATE deployment SET checks = ", math.MaxInt64, ", demands = ", math.MaxInt64)},
}

func TestWorkOnEditedSQLite(t *testing.T) {
	for _, e := range ledgerEdits {
		t.Run(e.name, func(t *testing.T) {
			path := filledFile(t)
			db := openRaw(t, "sqlite", path)
			edit(t, db, e.sql)
			s, err := sqlite.Open(path, sqlite.Options{})
			work(t, closing(t, s, err), db)
		})
	}
}

func TestWorkOnEditedPostgres(t *testing.T) {
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
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	for _, e := range ledgerEdits {
		t.Run(e.name, func(t *testing.T) {
			url, _ := newDatabase(t, template)
			db := openRaw(t, "pgx", url)
			edit(t, db, e.sql)
			s, err := postgres.Open(t.Context(), url, postgres.Options{})
			work(t, closing(t, s, err), db)
		})
	}
}

func edit(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if statement == "" {
		return
	}
	r, err := db.Exec(statement)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("nothing was edited, %v", err)
	}
}

// work does the background work of a deployment, and removes objects.
func work(t *testing.T, s *sqlstore.Store, db *sql.DB) {
	ctx, now := t.Context(), time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)
	ok := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	none := func(query string) {
		t.Helper()
		var n int64
		if err := db.QueryRow(query).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d, %v", query, n, err)
		}
	}
	untilNone(t, "sweep", func() (int, error) { return s.Sweep(ctx, meta.MaxPage, now.Add(time.Hour), now, nil) })
	untilNone(t, "expiry", func() (int, error) { return s.ExpireUploads(ctx, time.UnixMicro(1), meta.MaxPage) })
	untilNone(t, "trim", func() (int, error) { return metatest.TrimAll(ctx, s, meta.MaxPage, now) })
	none("SELECT COUNT(*) FROM dying_buckets WHERE LENGTH(id) = 16 AND id NOT IN (SELECT id FROM buckets)")
	none("SELECT COUNT(*) FROM buckets WHERE id NOT IN (SELECT bucket_id FROM bucket_seeds)")
	none("SELECT COUNT(*) FROM uploads WHERE state = 4")
	untilNone(t, "fold", func() (int, error) { return s.FoldUsage(ctx, meta.MaxPage) })
	none("SELECT COUNT(*) FROM usage_changes WHERE LENGTH(bucket_id) = 16")

	ledger, err := s.ScanBlobs(ctx, meta.BlobPosition{}, meta.MaxPage)
	ok("scan of the ledger", err)
	if len(ledger) == 0 {
		t.Error("the ledger is empty")
	}
	ok("health check", s.Check(ctx))
	holders, err := s.Holders(ctx)
	ok("holders", err)
	for _, h := range holders {
		ok("beat", s.Beat(ctx, h.ID, meta.SealingWhole))
		held, err := s.Held(ctx, h.ID, meta.BlobPosition{}, meta.MaxPage)
		ok("what is held", err)
		h, err := holder(ctx, s, h.ID)
		ok("holder", err)
		_, err = s.Reclaim(ctx, h, held, nil, meta.NewID(), now)
		ok("reclaim", err)
	}
	for range 2 {
		l, err := s.Lease(ctx, "lease")
		ok("lease", err)
		l, err = s.TakeLease(ctx, l, meta.NewID())
		ok("take the lease", err)
		if is, err := s.Lease(ctx, "lease"); err != nil || is != l {
			t.Errorf("the lease is %+v, %v, and was taken as %+v", is, err, l)
		}
		ok("drop the lease", s.DropLease(ctx, l))
	}
	b, err := s.Bucket(ctx, "bucket")
	ok("bucket", err)
	ok("create a bucket with demands", s.CreateBucket(ctx, meta.Bucket{ID: meta.NewID(), Name: "another", Owner: b.Owner, Residency: []string{"EU"}, Backend: 1, Created: now},
		meta.BucketSeed{Generation: 1, Wrapped: []byte("seed")}, meta.MaxBucketCount))
	v, err := s.Object(ctx, b.ID, "blob 0")
	ok("object", err)
	for _, key := range []string{"blob 0", "blob 1", "shares blob 1", "completed 2", "copy of completed 2"} {
		_, err := s.RemoveObjects(ctx, b.ID, meta.VersioningOff, []meta.Removal{{Key: key}}, now)
		ok("remove "+key, err)
	}
	for wait, want := range map[time.Duration]bool{0: false, time.Second: true} {
		dead, err := s.DeadBlobs(ctx, 1, now.Add(wait), meta.MaxPage)
		ok("dead blobs", err)
		if slices.Contains(dead, v.Body.Blob) != want {
			t.Errorf("%v after an object was removed its bytes are to be deleted: %v", wait, !want)
		}
	}
}

func holder(ctx context.Context, s *sqlstore.Store, id meta.ID) (h meta.Holder, err error) {
	hs, err := s.Holders(ctx)
	for _, h := range hs {
		if h.ID == id {
			return h, err
		}
	}
	return h, err
}

// untilNone repeats a step until it has nothing left to do.
func untilNone(t *testing.T, what string, step func() (int, error)) {
	t.Helper()
	for range 100 {
		n, err := step()
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if n == 0 {
			return
		}
	}
	t.Errorf("%s: there is always more", what)
}
