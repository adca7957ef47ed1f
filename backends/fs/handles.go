package fs

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/sanctum-storage/gateway/backends"
)

// handles are open handles of DIR and its folders. They are replaced together when
// they are stale: when another program removed a folder because it was empty, or
// the file system was mounted again.
type handles struct {
	root     *os.Root // DIR
	tmp      *os.Root // DIR/tmp; nil when read-only
	blobs    *os.Root // DIR/blobs
	incoming *folder  // tmp as a folder; nil when read-only
	shards   *folder  // blobs as a folder
	lock     *os.File // nil when read-only
	word     string   // the text of DIR/word; empty if it could not be written

	durable [shardCount]atomic.Bool // shard folders whose entries in DIR/blobs are flushed
	// flushes are of shard folders. Handles of another mount have their own: a flush there
	// says nothing of entries that were made here.
	flushes [shardCount]flushes
}

// errOther: another folder is in the place of the folder.
var errOther = errors.New("it is not the folder that this process opened: another file system is mounted there, or none, or the file lock or word in it was removed")

// openHandles opens DIR for writing, and creates missing parts.
func (s *Store) openHandles(lock func(*os.Root) (*os.File, string, error)) (_ *handles, err error) {
	h := &handles{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if h.root, err = openRoot(s.dir); err != nil {
		return nil, err
	}
	if h.lock, h.word, err = lock(h.root); err != nil {
		return nil, err
	}
	for _, name := range []string{tmpName, blobsName} {
		if err := h.root.Mkdir(name, dirMode); err != nil && !errors.Is(err, iofs.ErrExist) {
			return nil, err
		}
	}
	if err := s.syncDir(h.root); err != nil {
		return nil, err
	}
	if h.tmp, err = openDir(h.root, tmpName); err != nil {
		return nil, err
	}
	if h.blobs, err = openDir(h.root, blobsName); err != nil {
		return nil, err
	}
	if h.incoming, err = openFolder(h.tmp); err != nil {
		return nil, err
	}
	if h.shards, err = openFolder(h.blobs); err != nil {
		return nil, err
	}
	return h, s.adoptShards(h)
}

func readHandles(dir string) (_ *handles, err error) {
	h := &handles{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if h.root, err = openRoot(dir); err != nil {
		return nil, err
	}
	if h.blobs, err = openDir(h.root, blobsName); err != nil {
		return nil, err
	}
	h.shards, err = openFolder(h.blobs)
	return h, err
}

// close may be called more than once.
func (h *handles) close() error {
	var errs []error
	for _, f := range []*folder{h.incoming, h.shards} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	for _, r := range []*os.Root{h.tmp, h.blobs, h.root} {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	if h.lock != nil { // last, so that the folder stays locked until nothing can be written
		if err := h.lock.Close(); !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// clearTemp removes the remains of a crashed process. The lock is held, so they
// belong to no living process.
func (h *handles) clearTemp() error {
	names, err := readNames(h.tmp)
	if err != nil {
		return err
	}
	for _, name := range names {
		if fi, err := h.tmp.Lstat(name); err == nil && fi.IsDir() {
			continue // not ours: no body is a folder
		}
		if err := h.tmp.Remove(name); err != nil {
			return fmt.Errorf("remove leftover: %w", err)
		}
	}
	return nil
}

// errGone: the open folder of all blobs was removed, so that it has no entries.
var errGone = fmt.Errorf("%w: the folder of all blobs was removed", backends.ErrUnavailable)

// lostErrors mean that the handles are stale. They say nothing about the requested
// file.
var lostErrors = []error{syscall.ESTALE, syscall.ENOTCONN, syscall.ENODEV, syscall.ESHUTDOWN, errGone}

// sought interprets an error of a lookup with these handles. If the folder of all
// blobs was removed, a missing file proves nothing, and the folder that replaced it
// must be asked.
func (h *handles) sought(err error) error {
	if errors.Is(err, iofs.ErrNotExist) && h.shards.removed() {
		return errGone
	}
	return err
}

// follow checks whether DIR is still the open folder, and reopens it otherwise.
// While DIR is another folder, or missing, nothing is written: a file system may
// have been mounted over the open one, and blobs written below it would be missing
// after the next start.
func (s *Store) follow(h *handles) error {
	led, err := h.led(s.dir)
	if err == nil && !led {
		err = s.reopen(h)
		s.hidden.Store(err != nil)
	} else if err == nil {
		s.hidden.Store(false)
	}
	return err
}

// led reports whether a path leads to these handles.
func (h *handles) led(dir string) (bool, error) {
	for _, at := range []struct {
		open *os.Root
		path string
	}{{h.root, dir}, {h.blobs, filepath.Join(dir, blobsName)}, {h.tmp, filepath.Join(dir, tmpName)}} {
		if at.open == nil {
			continue
		}
		there, err := os.Stat(at.path)
		if errors.Is(err, iofs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		if open, err := at.open.Stat("."); err != nil || !os.SameFile(open, there) {
			return false, nil
		}
	}
	return true, nil
}

// lost reports whether the handles may be stale.
func lost(err error) bool {
	return slices.ContainsFunc(lostErrors, func(is error) bool { return errors.Is(err, is) })
}

// reopen replaces failed handles. It returns nil if there are new ones. The folder
// must be the one that was open before: when writing, the folder that this process
// locked, which it recognises by its word.
func (s *Store) reopen(failed *handles) error {
	s.anew.Lock()
	defer s.anew.Unlock()
	switch {
	case s.closed:
		return backends.ErrClosed
	case s.now.Load() != failed:
		return nil
	}
	var h *handles
	var err error
	if failed.lock == nil {
		h, err = readHandles(s.dir)
	} else {
		h, err = s.openHandles(func(root *os.Root) (*os.File, string, error) { return retakeLock(root, failed.lock, failed.word) })
	}
	if err != nil {
		return fmt.Errorf("open it anew: %w", err)
	}
	// The old handles are closed by their finalizers when no call uses them any
	// more. Closing them here could redirect a call that still uses them to a file
	// that is opened next.
	s.now.Store(h)
	return nil
}

// found runs an action with the current handles, and once more with new ones if
// these turn out to be stale.
func (s *Store) found(do func(*handles) error) error {
	h := s.now.Load()
	err := h.sought(do(h))
	runtime.KeepAlive(h) // see reopen
	if lost(err) && s.reopen(h) == nil {
		h = s.now.Load()
		err = do(h)
		runtime.KeepAlive(h)
	}
	return err
}
