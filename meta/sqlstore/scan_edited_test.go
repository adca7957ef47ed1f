package sqlstore_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
	"github.com/sanctum-storage/gateway/meta/postgres"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// versionEdits make one row of a version unreadable, or change the name that it has.
var versionEdits = map[string]struct {
	sql        string
	unreadable bool
}{
	"an id cut":                   {"UPDATE objects SET version_id = substr(version_id, 1, 3) WHERE key = ?", true},
	"an id longer":                {"UPDATE objects SET version_id = (SELECT key FROM objects WHERE LENGTH(key) > 16 LIMIT 1) WHERE key = ?", true},
	"an owner cut":                {"UPDATE objects SET owner = substr(owner, 1, 3) WHERE key = ?", true},
	"a flag of neither value":     {"UPDATE objects SET null_version = 7 WHERE key = ?", true},
	"a body of a kind of its own": {"UPDATE objects SET body_kind = 9 WHERE key = ?", true},
	"a body's id cut":             {"UPDATE objects SET body_id = substr(body_id, 1, 3) WHERE key = ?", true},
	"a lock of a mode too large":  {"UPDATE objects SET lock_mode = 300 WHERE key = ?", true},
	"an encryption too large":     {"UPDATE objects SET encryption = 256 WHERE key = ?", true},
	"a generation too large":      {"UPDATE objects SET generation = 4294967296 WHERE key = ?", true},
	"another id":                  {"UPDATE objects SET version_id = owner WHERE key = ?", false},
}

// A row of a version that was edited is met by a scan, told of where it cannot be read,
// and hides no other row, whatever the size of a page.
func TestScanMeetsEditedSQLite(t *testing.T) {
	for name, e := range versionEdits {
		t.Run(name, func(t *testing.T) {
			path := filledFile(t)
			db := openRaw(t, "sqlite", path)
			s, err := sqlite.Open(path, sqlite.Options{})
			s = closing(t, s, err)
			scanEdited(t, s, e.unreadable, func() error {
				_, err := db.Exec(e.sql, []byte("blob 1"))
				return err
			})
		})
	}
}

func TestScanMeetsEditedPostgres(t *testing.T) {
	url, template := newDatabase(t, "")
	from, err := sqlite.Open(filledFile(t), sqlite.Options{})
	from = closing(t, from, err)
	to, err := postgres.Open(t.Context(), url, postgres.Options{Migrate: true})
	if err == nil {
		_, err = sqlstore.Copy(t.Context(), from, to, sqlstore.CopyOptions{})
	}
	if err == nil {
		err = to.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range versionEdits {
		t.Run(name, func(t *testing.T) {
			url, _ := newDatabase(t, template)
			db := openRaw(t, "pgx", url)
			s, err := postgres.Open(t.Context(), url, postgres.Options{})
			s = closing(t, s, err)
			scanEdited(t, s, e.unreadable, func() error {
				_, err := db.Exec(strings.Replace(e.sql, "?", "$1", 1), []byte("blob 1"))
				return err
			})
		})
	}
}

func scanEdited(t *testing.T, s *sqlstore.Store, unreadable bool, edit func() error) {
	b, err := s.Bucket(t.Context(), "bucket")
	if err != nil {
		t.Fatal(err)
	}
	keys := func(vs []meta.ScannedVersion) (keys []string) {
		for _, v := range vs {
			keys = append(keys, v.At.Key)
		}
		return keys
	}
	from := meta.ObjectPosition{Bucket: b.ID, Key: "blob 0"}
	want := keys(scanned(t, s, from, meta.MaxPage))
	if err := edit(); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{1, 2, 3, meta.MaxPage} {
		got := scanned(t, s, from, limit)
		for _, v := range got {
			if is := v.Err != nil; is != (unreadable && v.Key == "blob 1") {
				t.Errorf("pages of %d: %q cannot be read: %v", limit, v.Key, v.Err)
			}
		}
		if !slices.Equal(keys(got), want) {
			t.Errorf("pages of %d meet %q, want %q", limit, keys(got), want)
		}
	}
}

// scanned are the rows behind a position, but for those that are too many.
func scanned(t *testing.T, s *sqlstore.Store, after meta.ObjectPosition, limit int) (some []meta.ScannedVersion) {
	t.Helper()
	for len(some) < 20 {
		page, err := s.ScanObjects(t.Context(), after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if some = append(some, page...); len(page) < limit {
			break
		}
		after = page[len(page)-1].At
	}
	return some[:min(len(some), 20)]
}

// Ids that were made longer stand at one position, and hide no version behind it.
func TestScanBehindLongIDs(t *testing.T) {
	path := filledFile(t)
	db := openRaw(t, "sqlite", path)
	s, err := sqlite.Open(path, sqlite.Options{})
	s = closing(t, s, err)
	b, err := s.Bucket(t.Context(), "bucket")
	if err != nil {
		t.Fatal(err)
	}
	add := func(key, public string) {
		_, err := db.Exec(`INSERT INTO versions (bucket_id, key, rank, public, version_id, null_version, marker, displaced, owner, size, modified,
			generation, body_kind, body_id, encryption, class, lock_mode, lock_until, lock_hold, revision)
			SELECT bucket_id, key, (SELECT COUNT(*) FROM versions) + 1000, x'`+public+`', x'`+public[:32]+`', 0, 1, 1, owner, 0, modified,
			generation, 0, NULL, 0, NULL, 0, NULL, 0, 0 FROM objects WHERE key = ?`, []byte(key))
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{strings.Repeat("ff", 15) + "00", strings.Repeat("ff", 16)} {
		for _, tail := range []string{"", "00", "01", "02"} {
			add("blob 1", id+tail)
		}
	}
	add("blob 2", strings.Repeat("00", 15)+"01")
	for limit := 1; limit < 12; limit++ {
		met := map[string]int{}
		for _, v := range scanned(t, s, meta.ObjectPosition{Bucket: b.ID, Key: "blob 0"}, limit) {
			met[v.At.Key]++
		}
		if met["blob 1"] < 3 || met["blob 2"] != 2 || met["blob 3"] != 1 {
			t.Errorf("pages of %d meet %v", limit, met)
		}
	}
}

// A version whose row is not found by any possible id hides no other version of its key.
func TestScanPassesImpossibleNames(t *testing.T) {
	id := func(b byte) meta.ID { return meta.ID{b, 1} }
	first := id(0x10)
	for name, edits := range map[string]map[meta.ID][]byte{
		"an empty one":          {id(0x40): {}},
		"two longer than an id": {id(0x20): append(first[:], 1), id(0x30): append(first[:], 2)},
	} {
		t.Run(name, func(t *testing.T) {
			path := filledFile(t)
			s, err := sqlite.Open(path, sqlite.Options{})
			s = closing(t, s, err)
			of, err := s.Bucket(t.Context(), "bucket")
			f := &filler{T: t, ctx: t.Context(), s: s, now: of.Created}
			f.ok(err)
			b := f.bucket("edited", of.Owner)
			put := func(as meta.Versioning, at byte) {
				v := f.version(b, "key", meta.Body{})
				v.ID, v.Null = id(at), as == meta.VersioningOff
				f.ok(s.CommitObject(f.ctx, meta.Commit{Version: v, Versioning: as}))
			}
			put(meta.VersioningOff, 0x50)
			f.ok(metatest.SetVersioning(f.ctx, s, b, meta.VersioningEnabled, true))
			want := []meta.ID{id(0x50)}
			for at := byte(0x10); at <= 0x70; at += 0x10 {
				if at != 0x50 {
					put(meta.VersioningEnabled, at)
					want = append(want, id(at))
				}
			}
			db := openRaw(t, "sqlite", path)
			for at, public := range edits {
				_, err := db.Exec("UPDATE versions SET public = ? WHERE bucket_id = ? AND version_id = ?", public, b[:], at[:])
				f.ok(err)
			}
			for _, limit := range []int{1, 2, meta.MaxPage} {
				var met []meta.ID
				for _, v := range scanned(t, s, meta.ObjectPosition{Bucket: b}, limit) {
					met = append(met, v.ID)
				}
				for _, at := range want {
					if _, edited := edits[at]; !edited && !slices.Contains(met, at) {
						t.Errorf("pages of %d hide version %x beside %x", limit, at[:1], edits)
					}
				}
			}
		})
	}
}
