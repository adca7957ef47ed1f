package lifecycle_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/enginetest"
	"github.com/sanctum-storage/gateway/meta"
)

// A lifecycle removes no version and no upload whose row was edited. The time since which a
// version is noncurrent counts from the time when it was made at the earliest.
func TestLifecycleOfEditedRows(t *testing.T) {
	l := newLifecycleRig(t, meta.VersioningEnabled)
	db, err := sql.Open("sqlite", "file:"+l.Path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	edit := func(query string, args ...any) {
		t.Helper()
		done, err := db.Exec(query, args...)
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := done.RowsAffected(); n == 0 {
			t.Fatalf("%s: edits nothing", query)
		}
	}
	l.Rules(`{"id":"n","enabled":true,"filter":{},"expiration":{"days":2},"noncurrent_expiration":{"days":2},"abort_upload_days":2}`)
	for _, key := range []string{"sooner", "other"} {
		l.MustPut(key, []byte("old"))
		l.MustPut(key, []byte("new"))
	}
	if _, err := l.E.CreateUpload(t.Context(), engine.CreateUpload{Bucket: l.B, Key: "upload", Owner: l.B.Owner}); err != nil {
		t.Fatal(err)
	}
	const days = 10 * int64(enginetest.Day/time.Microsecond)
	edit("UPDATE objects SET modified = modified - ? WHERE key = CAST('sooner' AS BLOB)", days)
	edit("UPDATE versions SET modified = modified - ?, displaced = displaced - ? WHERE key = CAST('sooner' AS BLOB)", days, days)
	edit("UPDATE versions SET displaced = displaced - ? WHERE key = CAST('other' AS BLOB)", days)
	edit("UPDATE uploads SET created = created - ?", days)
	if sum := l.expire(); sum.Changed() != 0 || sum.Failed != 3 {
		t.Errorf("%d changed, %d failed: %+v", sum.Changed(), sum.Failed, sum)
	}
}
