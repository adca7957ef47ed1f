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

// handles are DIR and what is in it, opened. They are replaced as a whole when they
// lead nowhere any more: something removed a folder that was empty, or the file system
// was mounted anew.
type handles struct {
	root     *os.Root // DIR
	tmp      *os.Root // DIR/tmp; nil when read-only
	blobs    *os.Root // DIR/blobs
	incoming *folder  // tmp again; nil when read-only
	shards   *folder  // blobs again
	lock     *os.File // nil when read-only
	word     string   // in DIR/word; empty: it could not be written

	durable [shardCount]atomic.Bool // shard folders known to be in a flushed DIR/blobs
}

// errOther: where the folder was is another one.
var errOther = errors.New("it is not the folder that this process opened: another file system is mounted there, or none, or its lock or word was removed")

// openHandles opens DIR for writing, and makes what is missing in it.
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
	if h.lock != nil { // last: the folder is ours until nothing can be written
		if err := h.lock.Close(); !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// clearTemp removes what a crashed process left. The lock is held, so no live
// one can own it.
func (h *handles) clearTemp() error {
	names, err := readNames(h.tmp)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := h.tmp.Remove(name); err != nil {
			return fmt.Errorf("remove leftover: %w", err)
		}
	}
	return nil
}

// errGone: the open folder of all blobs was removed, so that nothing is found in it.
var errGone = fmt.Errorf("%w: the folder of all blobs was removed", backends.ErrUnavailable)

// lostErrors are of handles that lead nowhere, and of nothing that is asked through
// them.
var lostErrors = []error{syscall.ESTALE, syscall.ENOTCONN, syscall.ENODEV, syscall.ESHUTDOWN, errGone}

// sought is the error of looking for something by these handles: what is not there says
// nothing where the folder of all blobs is gone, and one that was put back in its place is
// to be asked.
func (h *handles) sought(err error) error {
	if errors.Is(err, iofs.ErrNotExist) && h.shards.removed() {
		return errGone
	}
	return err
}

// follow sees whether DIR still leads to what is open, and opens it anew where it does not.
// While it leads to another folder, or nowhere, nothing is written: a file system may have
// been mounted over it, and what is written below that is missing after the next start.
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

// lost reports that handles may lead nowhere any more.
func lost(err error) bool {
	return slices.ContainsFunc(lostErrors, func(is error) bool { return errors.Is(err, is) })
}

// reopen opens the folder anew in the place of handles that failed. It returns nil when
// there are others now. What it finds must be the folder that was open: one that the
// same process locked, by the word that it wrote there.
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
	// Those before are closed when no call uses them any more, by their finalizers: to
	// close them here could lead a call that still does to whatever is opened next.
	s.now.Store(h)
	return nil
}

// found does something by the handles that there are, and once more by new ones where
// these turn out to lead nowhere.
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
