package inventory_test

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// A list is not written of a row that was edited, whatever its columns show.
func TestInventoryOfEditedRows(t *testing.T) {
	for _, columns := range []string{`"Size","LastModifiedDate","ETag","StorageClass","BucketKeyStatus"`, `"ObjectOwner","EncryptionStatus","ObjectLockMode"`} {
		for _, set := range []string{
			"owner = randomblob(16)", "size = size + 1", "modified = modified - 1", "generation = 7", "body_kind = 0, body_id = NULL", "body_id = randomblob(20)",
			"encryption = 1", "class = CAST('GLACIER_IR' AS BLOB)", "lock_mode = 1, lock_until = 1", "lock_hold = 1 - lock_hold", "revision = revision + 1",
			"list_record = NULL", "list_record = CAST(substr(list_record, 1, 40) || CASE substr(list_record, 41, 1) WHEN x'00' THEN x'01' ELSE x'00' END || substr(list_record, 42) AS BLOB)",
		} {
			i := newInventoryRig(t, meta.VersioningOff)
			i.MustPut("k", []byte("text"))
			i.configure("c", fmt.Sprintf(`,"fields":[%s]`, columns))
			db, err := sql.Open("sqlite", "file:"+i.Path+"?_pragma=busy_timeout(10000)")
			if err != nil {
				t.Fatal(err)
			}
			_, err = db.Exec("UPDATE objects SET " + set)
			if err = errors.Join(err, db.Close()); err != nil {
				t.Fatalf("%s: %v", set, err)
			}
			var failed error
			for range 10 {
				r, err := i.step()
				if failed = errors.Join(failed, err); r.Lists > 0 {
					t.Errorf("%s: a list is written", set)
				}
			}
			if !errors.Is(failed, records.ErrEdited) {
				t.Errorf("%s: the steps fail with %v", set, failed)
			}
			if _, err := i.E.Buckets().Get(t.Context(), i.to.Name); err != nil {
				t.Error(err)
			}
		}
	}
}
