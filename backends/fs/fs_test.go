package fs

import (
	"bytes"
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/backendtest"
)

func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend { return mustOpen(t, t.TempDir(), Options{}) })
}

func mustOpen(t testing.TB, dir string, opts Options) *Store {
	t.Helper()
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustPut(t testing.TB, s *Store, data string) backends.BlobID {
	t.Helper()
	id := backends.NewBlobID()
	if err := s.Put(t.Context(), id, strings.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	return id
}

func mustGet(t testing.TB, s *Store, id backends.BlobID) string {
	t.Helper()
	rc, err := s.Get(t.Context(), id, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	data, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// files lists everything below dir that is not a folder.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d iofs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestLayoutAndModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	s := mustOpen(t, dir, Options{})
	id := mustPut(t, s, "x")
	want := []string{"blobs/" + id.String()[:2] + "/" + id.String(), "lock", "word"}
	if got := files(t, dir); !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	for name, mode := range map[string]os.FileMode{"": 0o700, "blobs": 0o700, "tmp": 0o700, "lock": 0o600, want[0]: 0o600, filepath.Dir(want[0]): 0o700} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil || fi.Mode().Perm() != mode {
			t.Errorf("%q has mode %v (%v), want %v", name, fi.Mode(), err, mode)
		}
	}
}

func TestShardNumberIsTheName(t *testing.T) {
	names := make(map[string]int)
	for i := range 1 << 16 {
		name, number := shardOf(backends.BlobID{byte(i >> 8), byte(i)})
		if was, ok := names[name]; ok && was != number {
			t.Fatalf("%s has numbers %d and %d", name, was, number)
		}
		names[name] = number
	}
	if len(names) != shardCount {
		t.Errorf("%d folders, want %d", len(names), shardCount)
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	id := mustPut(t, s, "kept")
	s.Close()
	s = mustOpen(t, dir, Options{})
	if got := mustGet(t, s, id); got != "kept" {
		t.Errorf("got %q", got)
	}
	mustPut(t, s, "more")
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	_, err := Open(dir, Options{})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second Open: %v, want ErrInUse naming %s", err, dir)
	}
	s.Close()
	mustOpen(t, dir, Options{})
}

func TestOpenClearsLeftovers(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir, Options{}).Close()
	if err := os.WriteFile(filepath.Join(dir, "tmp", "7"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir, Options{})
	if got := files(t, dir); !slices.Equal(got, []string{"lock", "word"}) {
		t.Errorf("left: %v", got)
	}
}

func TestReadOnlyBesideWriter(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	id := mustPut(t, s, "live")
	if err := os.WriteFile(filepath.Join(dir, "tmp", "99"), []byte("in flight"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	r, err := OpenReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := mustGet(t, r, id); got != "live" {
		t.Errorf("got %q", got)
	}
	later := mustPut(t, s, "later")
	if got := mustGet(t, r, later); got != "later" {
		t.Errorf("got %q", got)
	}
	if err := r.Check(t.Context()); err != nil {
		t.Error(err)
	}
	err = r.Put(t.Context(), backends.NewBlobID(), strings.NewReader(""), 0)
	if !errors.Is(err, backends.ErrReadOnly) {
		t.Errorf("Put: %v", err)
	}
	if err := r.Delete(t.Context(), id); !errors.Is(err, backends.ErrReadOnly) {
		t.Errorf("Delete: %v", err)
	}
	if err := s.Delete(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if after := files(t, dir); !slices.Equal(before, after) {
		t.Errorf("files were %v, are %v", before, after)
	}
	if _, err := OpenReadOnly(t.TempDir()); err == nil {
		t.Error("a folder without blobs was opened")
	}
}

func TestFailedFlush(t *testing.T) {
	for failing := 1; failing <= 3; failing++ { // DIR/blobs, the body, the shard folder
		dir := t.TempDir()
		s := mustOpen(t, dir, Options{})
		calls := 0
		s.sync = func(f *os.File) error {
			if calls++; calls == failing {
				return &os.PathError{Op: "sync", Path: f.Name(), Err: syscall.EIO}
			}
			return f.Sync()
		}
		id := backends.NewBlobID()
		if err := s.Put(t.Context(), id, strings.NewReader("body"), 4); !errors.Is(err, syscall.EIO) {
			t.Errorf("flush %d failed, Put says %v", failing, err)
		}
		if calls != failing {
			t.Errorf("flush %d failed and %d were made: it was tried again", failing, calls)
		}
		if got := files(t, dir); !slices.Equal(got, []string{"lock", "word"}) {
			t.Errorf("flush %d failed, left: %v", failing, got)
		}
		calls = 10
		mustPut(t, s, "another")
	}
}

// A folder of blobs whose entry could not be flushed is made anew by the next Put: a second
// flush of the same entry could succeed although the first one lost it.
func TestFolderThatWasNotFlushedIsMadeAnew(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	blobs, fails := filepath.Join(s.dir, blobsName), true
	s.sync = func(f *os.File) error {
		if filepath.Clean(f.Name()) == blobs && fails {
			return &os.PathError{Op: "sync", Path: f.Name(), Err: syscall.EIO}
		}
		return f.Sync()
	}
	id := backends.NewBlobID()
	if err := s.Put(t.Context(), id, strings.NewReader("x"), 1); !errors.Is(err, syscall.EIO) {
		t.Fatalf("told %v", err)
	}
	if _, err := os.Stat(filepath.Join(blobs, id.String()[:shardLen])); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
	fails = false
	if err := s.Put(t.Context(), id, strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	whole(t, s, id, []byte("x"))
}

func TestNewShardIsFlushedOnce(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	var mu sync.Mutex
	flushed := make(map[string]int)
	s.sync = func(f *os.File) error {
		mu.Lock()
		defer mu.Unlock()
		flushed[f.Name()]++
		return f.Sync()
	}
	id := backends.NewBlobID()
	for i := range 5 {
		id[19] = byte(i)
		if err := s.Put(t.Context(), id, strings.NewReader(""), 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := flushed[filepath.Join(s.now.Load().blobs.Name(), ".")] + flushed[s.now.Load().blobs.Name()+"/."]; n == 0 || n > 2 {
		t.Errorf("flushed: %v", flushed)
	}
	shard := 0
	for name, n := range flushed {
		if strings.HasSuffix(strings.TrimSuffix(name, "/."), "/"+id.String()[:2]) {
			shard += n
		}
	}
	if shard != 5 {
		t.Errorf("the shard folder was flushed %d times for 5 blobs: %v", shard, flushed)
	}
}

func TestDeleteFlushesEachFolderOnce(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	id := backends.NewBlobID()
	var ids []backends.BlobID
	for i := range 6 {
		id[19], id[0] = byte(i), byte(i&1)<<7
		ids = append(ids, id)
		if err := s.Put(t.Context(), id, strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
	}
	calls := 0
	s.sync = func(f *os.File) error { calls++; return f.Sync() }
	for range 2 { // absent files are flushed too: the first Delete may have died before its flush
		calls = 0
		if err := s.Delete(t.Context(), ids...); err != nil {
			t.Fatal(err)
		}
		if calls != 2 {
			t.Errorf("%d flushes for 2 folders", calls)
		}
	}
	s.sync = func(*os.File) error { return syscall.EIO }
	if err := s.Delete(t.Context(), ids[0]); !errors.Is(err, syscall.EIO) {
		t.Errorf("Delete with a failing flush: %v", err)
	}
}

// swallower is an io.WriterTo that hides what the writer said.
type swallower struct{ data []byte }

func (s swallower) Read([]byte) (int, error) { panic("WriteTo was not used") }
func (s swallower) WriteTo(w io.Writer) (int64, error) {
	w.Write(s.data)
	w.Write([]byte("x"))
	return int64(len(s.data)) + 1, nil
}

func TestSwallowedWriteErrorIsNoticed(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	id := backends.NewBlobID()
	if err := s.Put(t.Context(), id, swallower{bytes.Repeat([]byte("a"), 10)}, 10); !errors.Is(err, backends.ErrSize) {
		t.Errorf("Put: %v", err)
	}
	if err := s.Put(t.Context(), id, swallower{bytes.Repeat([]byte("a"), 9)}, 10); err != nil {
		t.Errorf("Put: %v", err)
	}
}

func TestFailedPutLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	broken := errors.New("broken")
	ctx, cancel := context.WithCancel(t.Context())
	late := readerFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF })
	taken := mustPut(t, s, "")
	for name, put := range map[string]func() error{
		"reader fails": func() error {
			return s.Put(ctx, backends.NewBlobID(), io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), 10)
		},
		"short":     func() error { return s.Put(t.Context(), backends.NewBlobID(), strings.NewReader("abc"), 10) },
		"long":      func() error { return s.Put(t.Context(), backends.NewBlobID(), strings.NewReader("abc"), 2) },
		"exists":    func() error { return s.Put(t.Context(), taken, strings.NewReader("abc"), 3) },
		"cancelled": func() error { return s.Put(ctx, backends.NewBlobID(), late, 0) },
	} {
		if put() == nil {
			t.Errorf("%s: no error", name)
		}
		if got := files(t, filepath.Join(dir, tmpName)); len(got) > 0 {
			t.Errorf("%s: left %v", name, got)
		}
	}
}

// TestOverlongBodyStops: a body that goes on and on must not fill the disk
// before its length is found wrong.
func TestOverlongBodyStops(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	asked := 0
	r := readerFunc(func(p []byte) (int, error) {
		if asked += len(p); asked > 100*copyBuffer {
			return 0, io.EOF
		}
		return len(p), nil
	})
	if err := s.Put(t.Context(), backends.NewBlobID(), r, 10); !errors.Is(err, backends.ErrSize) || asked > copyBuffer {
		t.Errorf("%d bytes were read for a body of 10: %v", asked, err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestMinFree(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{MinFree: 1 << 62})
	for _, size := range []int64{1, -1} {
		if err := s.Put(t.Context(), backends.NewBlobID(), strings.NewReader("x"), size); !errors.Is(err, backends.ErrFull) {
			t.Errorf("Put of size %d: %v", size, err)
		}
	}
	if err := s.Put(t.Context(), backends.NewBlobID(), strings.NewReader(""), 0); err != nil {
		t.Errorf("Put of an empty blob: %v", err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	s.opts.MinFree = 1
	mustPut(t, s, "fits")
}

func TestTruncatedWhileRead(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	id := mustPut(t, s, strings.Repeat("a", 100))
	rc, err := s.Get(t.Context(), id, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if err := os.Truncate(filepath.Join(dir, blobPath(id)), 60); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(rc); len(got) != 60 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestReadsGoOnAfterDelete(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	id := mustPut(t, s, "still here")
	rc, err := s.Get(t.Context(), id, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if err := s.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(rc); string(got) != "still here" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
