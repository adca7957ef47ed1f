package fs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
)

// tidyUp removes every empty folder below dir, as cleaners of temporary folders do.
func tidyUp(t *testing.T, dir string) {
	t.Helper()
	var folders []string
	err := filepath.WalkDir(dir, func(path string, d iofs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != dir {
			folders = append(folders, path)
		}
		return nil // what others remove meanwhile
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(folders)
	for _, f := range folders {
		os.Remove(f) // fails where it is not empty
	}
}

func whole(t *testing.T, s *Store, id backends.BlobID, want []byte) {
	t.Helper()
	rc, err := s.Get(t.Context(), id, 0, -1)
	if err != nil {
		t.Error(err)
		return
	}
	defer rc.Close()
	if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, want) {
		t.Errorf("blob %s: %d bytes of %d, %v", id, len(got), len(want), err)
	}
}

// Folders that something removes because they are empty are made anew, by whatever
// needs them first.
func TestEmptyFoldersRemoved(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir string){
		"tmp": func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, tmpName)) },
		"tmp, made by a hand": func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, tmpName))
			os.Mkdir(filepath.Join(dir, tmpName), 0o755)
		},
		"all empty ones": func(t *testing.T, dir string) {
			tidyUp(t, dir)
		},
	} {
		for act, do := range map[string]func(*Store) error{
			"Check":  func(s *Store) error { return s.Check(t.Context()) },
			"Put":    func(s *Store) error { return s.Put(t.Context(), backends.NewBlobID(), bytes.NewReader([]byte("b")), 1) },
			"Delete": func(s *Store) error { return s.Delete(t.Context(), backends.NewBlobID()) },
		} {
			dir := t.TempDir()
			s := mustOpen(t, dir, Options{})
			id := backends.NewBlobID()
			for _, b := range []backends.BlobID{id, backends.NewBlobID()} { // and one whose folder will be empty
				if err := s.Put(t.Context(), b, bytes.NewReader([]byte("bytes")), 5); err != nil {
					t.Fatal(err)
				}
				if b != id {
					if err := s.Delete(t.Context(), b); err != nil {
						t.Fatal(err)
					}
				}
			}
			for range 3 {
				damage(t, dir)
				if _, err := os.Stat(filepath.Join(dir, tmpName)); name != "tmp, made by a hand" && err == nil {
					t.Fatal("nothing was removed")
				}
				if err := do(s); err != nil {
					t.Errorf("%s after %s: %v", act, name, err)
				}
			}
			if err := s.Put(t.Context(), backends.NewBlobID(), bytes.NewReader([]byte("b")), 1); err != nil {
				t.Errorf("Put after %s after %s: %v", act, name, err)
			}
			whole(t, s, id, []byte("bytes"))
			if _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
				t.Errorf("%s after %s: the folder is no longer locked: %v", act, name, err)
			}
		}
	}
}

// The same beside Puts: none fails, and none is lost.
func TestEmptyFoldersRemovedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	done := make(chan struct{})
	var putting, tidying sync.WaitGroup
	tidying.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				tidyUp(t, dir)
			}
		}
	})
	for range 4 {
		putting.Go(func() {
			for range 30 {
				id := backends.NewBlobID()
				if err := s.Put(t.Context(), id, bytes.NewReader(id[:]), int64(len(id))); err != nil {
					if !errors.Is(err, iofs.ErrNotExist) && !errors.Is(err, backends.ErrUnavailable) { // a cleaner that never rests
						t.Error(err)
					}
					continue
				}
				whole(t, s, id, id[:])
			}
		})
	}
	putting.Wait()
	close(done)
	tidying.Wait()
}

// A folder that is mounted anew is found again, and no other is taken for it.
func TestMountedAnew(t *testing.T) {
	base := t.TempDir()
	dir, old, other := filepath.Join(base, "dir"), filepath.Join(base, "old"), filepath.Join(base, "other")
	lead := func(to string) {
		t.Helper()
		os.Remove(dir)
		if err := os.Symlink(to, dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{old, other} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{lockName, wordName} {
		if err := os.WriteFile(filepath.Join(other, name), []byte("1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lead(old)
	s := mustOpen(t, dir, Options{})
	id := backends.NewBlobID()
	if err := s.Put(t.Context(), id, bytes.NewReader([]byte("bytes")), 5); err != nil {
		t.Fatal(err)
	}
	anew := filepath.Join(base, "anew")
	if err := os.CopyFS(anew, os.DirFS(old)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(old); err != nil { // all that was open leads nowhere
		t.Fatal(err)
	}
	put := func() error { return s.Put(t.Context(), backends.NewBlobID(), bytes.NewReader([]byte("b")), 1) }
	lead(other)
	for range 2 {
		if err := put(); !errors.Is(err, backends.ErrUnavailable) || !errors.Is(err, errOther) {
			t.Errorf("Put into another folder: %v", err)
		}
		if err := s.Check(t.Context()); err == nil {
			t.Error("Check finds another folder well")
		}
	}
	if left, err := os.ReadDir(other); err != nil || len(left) > 2 {
		t.Errorf("something was written to another folder: %v, %v", left, err)
	}
	lead(anew)
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	if err := put(); err != nil {
		t.Errorf("Put: %v", err)
	}
	whole(t, s, id, []byte("bytes"))
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("the folder that was found again is not locked: %v", err)
	}
}

// Handles that lead nowhere are replaced once, and what was asked is asked again.
func TestStaleHandles(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	for _, stale := range lostErrors {
		tries := 0
		err := s.found(func(*handles) error {
			if tries++; tries == 1 {
				return &os.PathError{Op: "openat", Err: stale}
			}
			return nil
		})
		if err != nil || tries != 2 {
			t.Errorf("%v: %d tries, %v", stale, tries, err)
		}
		if err := classify(&os.PathError{Op: "openat", Err: stale}); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("%v is said as %v", stale, err)
		}
	}
	if err := s.found(func(*handles) error { return syscall.EIO }); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	s.Close()
	if err := s.reopen(s.now.Load()); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("reopened after Close: %v", err)
	}
}

// A folder whose rights or mount somebody changed is for the operator to mend.
func TestRightsTakenAway(t *testing.T) {
	for system, want := range map[error]error{
		syscall.EACCES: backends.ErrDenied, syscall.EPERM: backends.ErrDenied, syscall.EROFS: backends.ErrReadOnly,
	} {
		if err := classify(&os.PathError{Op: "openat", Err: system}); !errors.Is(err, want) {
			t.Errorf("%v is said as %v", system, err)
		}
	}
}

// A folder that was put back, after its removal while it was served, is found,
// by whatever asks first.
func TestFolderOfBlobsReplaced(t *testing.T) {
	removed := func(t *testing.T, dir string) { // and restored
		blobs, kept := filepath.Join(dir, blobsName), filepath.Join(t.TempDir(), "kept")
		if err := os.CopyFS(kept, os.DirFS(blobs)); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(blobs); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(blobs, os.DirFS(kept)); err != nil {
			t.Fatal(err)
		}
	}
	for act, do := range map[string]func(s *Store, id backends.BlobID) error{
		"Get": func(s *Store, id backends.BlobID) error {
			rc, err := s.Get(t.Context(), id, 0, -1)
			if err == nil {
				rc.Close()
			}
			return err
		},
		"Stat": func(s *Store, id backends.BlobID) error { _, err := s.Stat(t.Context(), id); return err },
		"Delete": func(s *Store, id backends.BlobID) error {
			if err := s.Delete(t.Context(), id); err != nil {
				return err
			}
			if _, err := os.Lstat(filepath.Join(s.dir, blobPath(id))); err == nil {
				return errors.New("it is still there")
			}
			return nil
		},
		"List": func(s *Store, id backends.BlobID) error {
			if ids, err := listed(t, s); err != nil || len(ids) != 1 {
				return fmt.Errorf("%d blobs, %w", len(ids), err)
			}
			return nil
		},
		"Check": func(s *Store, id backends.BlobID) error { return s.Check(t.Context()) },
		"Put":   func(s *Store, id backends.BlobID) error { mustPut(t, s, "another"); return nil },
	} {
		t.Run(act, func(t *testing.T) {
			s := mustOpen(t, t.TempDir(), Options{})
			id := mustPut(t, s, "bytes")
			removed(t, s.dir)
			if err := do(s, id); err != nil {
				t.Error(err)
			}
			if act != "Delete" {
				whole(t, s, id, []byte("bytes"))
			}
			if _, err := Open(s.dir, Options{}); !errors.Is(err, ErrInUse) {
				t.Errorf("the folder is no longer locked: %v", err)
			}
		})
	}
}

// A folder that another was put in front of, or that was moved away, is open still. It is
// read, and a check notices: nothing more is written where the next start would not find it.
func TestFolderHidden(t *testing.T) {
	for name, hide := range map[string]func(t *testing.T, dir string){
		"another in its place": func(t *testing.T, dir string) { os.Mkdir(dir, 0o700) },
		"nothing":              func(t *testing.T, dir string) {},
		"a file":               func(t *testing.T, dir string) { os.WriteFile(dir, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "dir")
			s := mustOpen(t, dir, Options{})
			id := mustPut(t, s, "bytes")
			if err := os.Rename(dir, dir+".away"); err != nil {
				t.Fatal(err)
			}
			hide(t, dir)
			if err := s.Check(t.Context()); err == nil {
				t.Error("Check finds a folder well that is hidden")
			}
			if err := s.Put(t.Context(), backends.NewBlobID(), bytes.NewReader([]byte("b")), 1); !errors.Is(err, backends.ErrUnavailable) {
				t.Errorf("Put: %v", err)
			}
			if err := s.Delete(t.Context(), id); !errors.Is(err, backends.ErrUnavailable) {
				t.Errorf("Delete: %v", err)
			}
			whole(t, s, id, []byte("bytes"))
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(dir+".away", dir); err != nil {
				t.Fatal(err)
			}
			if err := s.Check(t.Context()); err != nil {
				t.Error(err)
			}
			mustPut(t, s, "more")
			whole(t, s, id, []byte("bytes"))
		})
	}
	t.Run("its blobs", func(t *testing.T) {
		s := mustOpen(t, t.TempDir(), Options{})
		blobs := filepath.Join(s.dir, blobsName)
		id := mustPut(t, s, "bytes")
		if err := os.CopyFS(blobs+".copy", os.DirFS(blobs)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Rename(blobs, blobs+".away"), os.Rename(blobs+".copy", blobs)); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		later := mustPut(t, s, "more")
		if _, err := os.Lstat(filepath.Join(s.dir, blobPath(later))); err != nil {
			t.Errorf("it was written where no start finds it: %v", err)
		}
		whole(t, s, id, []byte("bytes"))
	})
}
