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

// Whoever comes while a flush runs waits for another, which is for all of them
// and whose error is everyone's.
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
