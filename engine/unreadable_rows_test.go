package engine

import "testing"

// unreadableRows are edits that make one row unreadable, and whether fsck has to name it: it
// does not look at all rows that the verification of the store looks at.
var unreadableRows = map[string]bool{
	"UPDATE objects SET owner = substr(owner, 1, 3) WHERE key = ?":                                  true,
	"UPDATE versions SET owner = substr(owner, 1, 3) WHERE key = ?":                                 true,
	"UPDATE versions SET version_id = substr(version_id, 1, 3) WHERE key = ?":                       true,
	"UPDATE versions SET body_kind = 9 WHERE key = ?":                                               true,
	"UPDATE uploads SET bucket_id = substr(bucket_id, 1, 3) WHERE key = ?":                          true,
	"UPDATE uploads SET owner = substr(owner, 1, 3) WHERE key = ?":                                  true,
	"UPDATE uploads SET generation = 4294967296 WHERE key = ?":                                      true,
	"UPDATE uploads SET version_id = substr(version_id, 1, 3) WHERE key = ?":                        true,
	"UPDATE uploads SET id = substr(id, 1, 3) WHERE key = ? AND id = (SELECT MIN(id) FROM uploads)": false,
	"UPDATE parts SET blobs = substr(blobs, 1, 3) WHERE '' <> ?":                                    true,
	"UPDATE parts SET attempt = substr(attempt, 1, 3) WHERE '' <> ?":                                true,
	"UPDATE blobs SET id = substr(id, 1, 3) WHERE id = (SELECT MAX(id) FROM blobs) AND '' <> ?":     true,
}

// A row that an edit made unreadable ends no check of the store.
func TestFsckPassesUnreadableRows(t *testing.T) {
	for edit, named := range unreadableRows {
		t.Run(edit, func(t *testing.T) {
			r := newRowRig(t)
			r.multipart(r.b, "k")
			r.put(r.b, "other", "of one blob", Marks{})
			r.multipart(r.b, "k")
			r.edit(edit, []byte("k"))
			if fs := r.findings(); len(fs) == 0 && named {
				t.Error("nothing is found")
			}
		})
	}
}
