package sqlite

import (
	"bytes"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// files returns the files of the store that contain the bytes.
func (b *bench) files(needle []byte) (found []string) {
	b.Helper()
	names, err := filepath.Glob(b.path + "*")
	if err != nil || len(names) == 0 {
		b.Fatalf("no files: %v", err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		if bytes.Contains(data, needle) {
			found = append(found, filepath.Base(name))
		}
	}
	return found
}

// cut moves the log into the file and truncates it, as an idle store does.
func (b *bench) cut() {
	b.Helper()
	c, err := openConn(dsn(b.path, keeperPragmas()))
	if err != nil {
		b.Fatal(err)
	}
	k := &checkpointer{c: c, report: func(err error) { b.Error(err) }}
	k.truncate()
	if err := c.close(); err != nil {
		b.Fatal(err)
	}
	if log, err := os.Stat(b.path + "-wal"); err != nil || log.Size() != 0 {
		b.Fatalf("the log was not cut: %v", err)
	}
}

// secret returns bytes that occur nowhere else.
func secret() []byte {
	p := make([]byte, 24)
	crand.Read(p)
	return p
}

// Removed or replaced content is not in the file after the log is truncated: a
// destroyed key must not be readable.
func TestRemovedRowsDoNotLinger(t *testing.T) {
	for _, size := range []int{24, 600, 50_000} { // within a page, most of a page, several pages
		b := newBench(t)
		removed, replaced, part, key := secret(), secret(), secret(), secret()
		plant := func(name string, needle []byte) {
			v := newVersion(b.bucket, name)
			v.Manifest = bytes.Repeat(needle, size/len(needle))
			v.WrappedKey = key
			if err := b.s.CommitObject(t.Context(), meta.Commit{Version: v}); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"a", "m", "z"} { // neighbours that stay
			b.mustPut(name)
		}
		plant("k", removed)
		plant("l", replaced)
		upload := meta.Upload{ID: meta.NewID(), Bucket: b.bucket, Key: "u", Created: time.Now(), WrappedKey: part}
		if err := b.s.CreateUpload(t.Context(), upload); err != nil {
			t.Fatal(err)
		}
		planted := [][]byte{removed, replaced, part, key}
		b.cut()
		for i, needle := range planted {
			if len(b.files(needle)) == 0 {
				t.Fatalf("what was planted %d is not found: the test sees nothing", i)
			}
		}
		if err := b.remove("k"); err != nil {
			t.Fatal(err)
		}
		b.mustPut("l")
		if err := b.s.AbortUpload(t.Context(), upload.ID); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		for n := 1; n > 0; {
			var err error
			if n, err = b.s.Sweep(t.Context(), 100, now.Add(time.Hour), now, nil); err != nil {
				t.Fatal(err)
			}
		}
		if refs, err := b.s.ScanUploads(t.Context(), meta.ID{}, 1); err != nil || len(refs) > 0 {
			t.Fatalf("the upload was not swept: %v, %v", refs, err)
		}
		b.cut()
		for i, needle := range planted {
			if in := b.files(needle); len(in) > 0 {
				t.Errorf("manifests of %d bytes: what was planted %d is still in %v", size, i, in)
			}
		}
		if err := b.s.Close(); err != nil {
			t.Fatal(err)
		}
		for i, needle := range planted {
			if in := b.files(needle); len(in) > 0 {
				t.Errorf("after Close, manifests of %d bytes: what was planted %d is in %v", size, i, in)
			}
		}
	}
}

// Close truncates the log.
func TestCloseLeavesNoLog(t *testing.T) {
	b := newBench(t)
	needle := secret()
	v := newVersion(b.bucket, "k")
	v.Manifest = needle
	if err := b.s.CommitObject(t.Context(), meta.Commit{Version: v}); err != nil {
		t.Fatal(err)
	}
	if err := b.remove("k"); err != nil {
		t.Fatal(err)
	}
	if len(b.files(needle)) == 0 {
		t.Fatal("the log does not hold what was written: the test sees nothing")
	}
	if err := b.s.Close(); err != nil {
		t.Fatal(err)
	}
	if in := b.files(needle); len(in) > 0 {
		t.Errorf("it is still in %v", in)
	}
}

// The same among many rows that are added and removed, because the engine moves
// rows between pages as these fill and empty.
func TestRemovedRowsDoNotLingerInMovedPages(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	b := newBench(t)
	alive := make(map[string][]byte)
	var gone [][]byte
	for range 2000 {
		key := fmt.Sprintf("%x", r.IntN(400))
		if old := alive[key]; old != nil {
			gone = append(gone, old)
			delete(alive, key)
		}
		if r.IntN(2) == 0 {
			if err := b.remove(key); err != nil {
				t.Fatal(err)
			}
			continue
		}
		v := newVersion(b.bucket, key)
		v.WrappedKey, v.Manifest = secret(), make([]byte, r.IntN(3000))
		if err := b.s.CommitObject(t.Context(), meta.Commit{Version: v}); err != nil {
			t.Fatal(err)
		}
		alive[key] = v.WrappedKey
	}
	if err := b.s.Close(); err != nil {
		t.Fatal(err)
	}
	for key, needle := range alive {
		if len(b.files(needle)) == 0 {
			t.Fatalf("the key of %s is not found: the test sees nothing", key)
		}
	}
	lingering := 0
	for _, needle := range gone {
		if len(b.files(needle)) > 0 {
			lingering++
		}
	}
	// A few can stay in unused parts of pages: see Remains of removed rows. Without the
	// overwriting of removed rows most do.
	if lingering > len(gone)/100 {
		t.Errorf("%d of %d destroyed keys are still in the file", lingering, len(gone))
	}
	if err := Compact(t.Context(), b.path); err != nil {
		t.Fatal(err)
	}
	for _, needle := range gone {
		if in := b.files(needle); len(in) > 0 {
			t.Errorf("a destroyed key is in %v after the store was compacted", in)
		}
	}
	for key, needle := range alive {
		if len(b.files(needle)) == 0 {
			t.Errorf("the key of %s is lost", key)
		}
	}
}
