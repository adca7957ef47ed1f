package decrypt_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// One edited row costs its own object at most: get-all names it, writes all
// others, and tells by its status that one is missing.
func TestEditedRows(t *testing.T) {
	d := fill(t, "")
	path := filepath.Join(d.dir, "meta.db")
	// An editor may take the table's own rules away first.
	d.edit(`PRAGMA writable_schema = ON;
		UPDATE sqlite_schema SET sql = replace(replace(replace(sql, ', STRICT', ''), 'STRICT', ''), 'NOT NULL', '') WHERE name = 'objects'`)
	whole, err := os.ReadFile(path)
	d.must(err)
	edits := 0
	for _, column := range []string{"key", "size", "version_id", "generation", "wrapped_key", "manifest", "encryption", "rank", "null_version"} {
		for _, value := range []string{"NULL", "'text'", "-1", "9223372036854775807", "1.5", "zeroblob(0)", "randomblob(40)", "CAST(x'ff9b' AS TEXT)"} {
			d.must(os.WriteFile(path, whole, 0o600))
			db, err := sql.Open("sqlite", path)
			d.must(err)
			_, err = db.Exec("PRAGMA ignore_check_constraints = ON; UPDATE objects SET " + column + " = " + value + " WHERE key = CAST('one' AS BLOB)")
			d.must(db.Close())
			if err != nil {
				continue // part of the table's own key
			}
			edits++
			out := t.TempDir()
			_, errs, err := d.run(nil, "get-all", out)
			if strings.Contains(string(errs), "Traceback") || strings.Count(string(errs), "\n") > 2 {
				t.Errorf("%s = %s: %v, %s", column, value, err, errs)
			}
			missing := 0
			for name, body := range d.bodies {
				bucket, key, _ := strings.Cut(name, "/")
				if len(key) > 200 || strings.Contains(key, "/") || strings.IndexFunc(key, func(r rune) bool { return r < ' ' || r == '%' || r > unicode.MaxASCII }) >= 0 {
					continue // its path is another test's
				}
				got, readErr := os.ReadFile(filepath.Join(out, bucket, key))
				if readErr != nil && key != "one" {
					t.Errorf("%s = %s: %s was not written", column, value, name)
				}
				if readErr != nil {
					missing++
				} else if string(got) != string(body) {
					t.Errorf("%s = %s: %s is another's", column, value, name)
				}
			}
			if missing > 0 && err == nil {
				t.Errorf("%s = %s: %d missing, and the status says that all is well", column, value, missing)
			}
		}
	}
	if edits < 60 {
		t.Errorf("only %d edits were tried", edits)
	}
	t.Logf("%d edits", edits)
}

// Names of objects and buckets, and what is said of them, cannot steer a
// terminal.
func TestNamesAreVisible(t *testing.T) {
	d := start(t, "")
	b := d.bucket("first")
	var odd []string
	for _, r := range []rune{1, 7, 0x1b, 0x7f, 0x85, 0x9b, 0xad, 0x200e, 0x200f, 0x202a, 0x202e, 0x2028, 0x2029, 0x2066, 0x2069, 0xfeff, 0xe0001} {
		odd = append(odd, "a"+string(r)+"z")
	}
	for _, key := range odd {
		d.put(b, key, []byte("x"))
	}
	d.close()
	list := string(d.works(nil, "list"))
	versions := string(d.works(nil, "list", "--versions"))
	d.eachBlob(func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	d.edit(`UPDATE objects SET manifest = zeroblob(5)`)
	errs := ""
	{
		_, text, err := d.run(nil, "get-all", t.TempDir())
		if err == nil {
			t.Error("damage was not noticed")
		}
		errs = string(text)
	}
	_, text, _ := d.run(nil, "get", "first", "a\u202e\x1b[31m\u009bz")
	_, bucket, _ := d.run(nil, "get", "b\u202e\x1b", "x")
	for what, out := range map[string]string{"list": list, "list --versions": versions, "get-all": errs, "get": string(text), "bucket": string(bucket)} {
		lines := strings.Count(out, "\n")
		if i := strings.IndexFunc(strings.ReplaceAll(strings.ReplaceAll(out, "\n", ""), "\t", ""), func(r rune) bool {
			return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
		}); i >= 0 || lines == 0 {
			t.Errorf("%s: %q", what, out)
		}
		if (what == "list" || what == "list --versions") && lines != len(odd) {
			t.Errorf("%s has %d lines for %d objects", what, lines, len(odd))
		}
	}
}
