package fs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/sanctum-storage/gateway/backends"
)

// Callers that come while a flush runs wait for another, which is for all of
// them and whose error is everyone's.
func TestFlushesJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g flushes
		var calls atomic.Int32
		first, second := make(chan error), make(chan error)
		join := func(got *error) func() {
			return func() {
				*got = g.join(func() error {
					if calls.Add(1) == 1 {
						return <-first
					}
					return <-second
				})
			}
		}
		var wg sync.WaitGroup
		var alone error
		wg.Go(join(&alone))
		synctest.Wait()
		got := make([]error, 4)
		for i := range got {
			wg.Go(join(&got[i]))
		}
		synctest.Wait()
		if n := calls.Load(); n != 1 {
			t.Fatalf("%d flushes at once", n)
		}
		first <- nil
		synctest.Wait()
		failure := errors.New("as a test")
		second <- failure
		wg.Wait()
		if n := calls.Load(); n != 2 || alone != nil {
			t.Errorf("%d flushes; the first caller was told %v", n, alone)
		}
		for i, err := range got {
			if err != failure {
				t.Errorf("caller %d was told %v", i, err)
			}
		}
		if err := g.join(func() error { return nil }); err != nil {
			t.Errorf("the next was told %v", err)
		}
	})
}

// Puts that meet in one folder share its flushes, and a flush that fails fails
// all Puts that it was for, and leaves nothing of them.
func TestPutsShareFlushes(t *testing.T) {
	for _, failure := range []error{nil, errors.New("as a test")} {
		synctest.Test(t, func(t *testing.T) { sharePuts(t, failure) })
	}
}

func sharePuts(t *testing.T, failure error) {
	const puts = 8
	s := mustOpen(t, t.TempDir(), Options{})
	ids := backends.NewBlobIDs(puts + 1)
	if err := s.Put(t.Context(), ids[puts], strings.NewReader("x"), 1); err != nil { // makes the folder
		t.Fatal(err)
	}
	folder := filepath.Join(s.dir, blobsName, ids[0].String()[:shardLen])
	proceed := make(chan bool)
	var flushed atomic.Int32
	s.sync = func(f *os.File) error {
		if filepath.Clean(f.Name()) != folder {
			return f.Sync()
		}
		flushed.Add(1)
		<-proceed
		return errors.Join(failure, f.Sync())
	}
	var wg sync.WaitGroup
	errs := make([]error, puts)
	for i := range puts {
		wg.Go(func() { errs[i] = s.Put(t.Context(), ids[i], strings.NewReader("body"), 4) })
	}
	synctest.Wait() // one flushes, and all others have made their entries
	close(proceed)
	wg.Wait()
	if n := flushed.Load(); n != 2 {
		t.Errorf("%d flushes for %d Puts", n, puts)
	}
	for i, err := range errs {
		_, statErr := s.Stat(t.Context(), ids[i])
		if !errors.Is(err, failure) || failure == nil && statErr != nil || failure != nil && !errors.Is(statErr, backends.ErrNotFound) {
			t.Errorf("with failure %v: Put says %v, Stat %v", failure, err, statErr)
		}
	}
}

// A Put into a folder that was mounted anew does not go by the flush of the folder that was
// open before.
func TestFlushIsOfItsOwnMount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := t.TempDir()
		dir, old, anew := filepath.Join(base, "dir"), filepath.Join(base, "old"), filepath.Join(base, "anew")
		if err := errors.Join(os.Mkdir(old, 0o700), os.Symlink(old, dir)); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, dir, Options{})
		ids := backends.NewBlobIDs(4)
		put := func(id backends.BlobID) error { return s.Put(t.Context(), id, strings.NewReader("x"), 1) }
		if err := put(ids[0]); err != nil { // makes the folder
			t.Fatal(err)
		}
		if err := os.CopyFS(anew, os.DirFS(old)); err != nil {
			t.Fatal(err)
		}
		shard := ids[0].String()[:shardLen]
		before, now := stat(t, filepath.Join(old, blobsName, shard)), stat(t, filepath.Join(anew, blobsName, shard))
		proceed := make(chan bool)
		var flushed atomic.Int32 // of the new one
		s.sync = func(f *os.File) error {
			if fi, err := f.Stat(); err == nil && os.SameFile(fi, before) {
				<-proceed
			} else if err == nil && os.SameFile(fi, now) {
				flushed.Add(1)
			}
			return f.Sync()
		}
		var wg sync.WaitGroup
		errs := make([]error, 3)
		for i := range 2 { // one flushes the old folder, and one waits to
			wg.Go(func() { errs[i] = put(ids[1+i]) })
			synctest.Wait()
		}
		if err := errors.Join(os.Remove(dir), os.Symlink(anew, dir), s.Check(t.Context())); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { errs[2] = put(ids[3]) })
		synctest.Wait()
		close(proceed)
		wg.Wait()
		if n := flushed.Load(); n != 1 || errors.Join(errs...) != nil {
			t.Errorf("%d flushes of the folder that was mounted anew, %v", n, errs)
		}
	})
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi
}

// A blob that Put finds there is flushed before it is told of: the process that wrote it
// may have been killed before its flush.
func TestFoundBlobIsFlushed(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	id := mustPut(t, s, "x")
	folder := filepath.Join(s.dir, blobsName, id.String()[:shardLen])
	failure := errors.New("as a test")
	flushed := 0
	s.sync = func(f *os.File) error {
		if filepath.Clean(f.Name()) != folder {
			return f.Sync()
		}
		flushed++
		return failure
	}
	if err := s.Put(t.Context(), id, strings.NewReader("x"), 1); !errors.Is(err, failure) || errors.Is(err, backends.ErrExists) || flushed != 1 {
		t.Errorf("with a flush that fails: %v, after %d flushes", err, flushed)
	}
	failure = nil
	if err := s.Put(t.Context(), id, strings.NewReader("x"), 1); !errors.Is(err, backends.ErrExists) || flushed != 2 {
		t.Errorf("%v, after %d flushes", err, flushed)
	}
	whole(t, s, id, []byte("x"))
}
