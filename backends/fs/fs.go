// Package fs keeps blobs as files in a folder of a local file system.
//
// DIR/lock           held by the one process that writes (flock); its text is the process id
// DIR/word           a random text by which that process recognises the folder after a new mount
// DIR/tmp/<n>        bodies that are being written; files that are here at Open are left from a crash
// DIR/blobs/ab/<id>  one file per blob, in 1,024 folders named by the first two
//
//	characters of the id
//
// Ids are random, so folders fill evenly: about 10,000 files each at ten million
// blobs and 100,000 at a hundred million. Hashed directories (ext4, XFS) support
// that without slowing down, while a deeper tree would make most writes create and
// flush a new folder. Ids that were made together are in one folder, so that bodies
// written at the same time share its flushes.
//
// A body is written to tmp and flushed, then linked under its id, which fails if
// the id is taken; then the folder is flushed. Nothing inside DIR is reached
// through a symbolic link. The package never looks inside a blob, never overwrites
// one, and never repeats a failed flush: after EIO the kernel may have dropped the
// pages, so a second fsync could succeed wrongly.
package fs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/sanctum-storage/gateway/backends"
)

// Modes of created files and folders. The bytes are sealed, but names, sizes and
// times are also private.
const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Names inside DIR.
const (
	lockName  = "lock"
	wordName  = "word"
	tmpName   = "tmp"
	blobsName = "blobs"
)

// ErrInUse: the folder is already open for writing.
var ErrInUse = errors.New("blob folder is in use")

// Options configure a Store. The zero value is ready to use.
type Options struct {
	// MinFree is the number of bytes of the file system that are reserved for
	// others, such as a database beside the blobs that must grow to record
	// deletions. With it, some files (inodes) are reserved where the file system
	// counts them. When less is free, Put returns ErrFull. An empty blob is still
	// accepted, because the collector marks a pass with one before it frees space.
	// Check ignores MinFree, because reads and deletions continue. 0: none. It
	// works on Linux only.
	MinFree int64
}

// Store is a backends.Backend in a folder. Make one with Open or OpenReadOnly.
type Store struct {
	dir     string
	opts    Options
	now     atomic.Pointer[handles]
	anew    sync.Mutex  // serialises reopen
	closed  bool        // under anew
	hidden  atomic.Bool // DIR was last seen to be another folder than the open one
	counter atomic.Uint64
	sync    func(*os.File) error // fsync; tests replace it to make it fail
}

var _ backends.Backend = (*Store)(nil)

// Open creates dir if necessary, takes its lock and removes the remains of a crash
// from tmp. It fails with ErrInUse while another Store, in this process or another,
// has the folder open for writing.
func Open(dir string, opts Options) (*Store, error) {
	s, err := open(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("open blob folder %s: %w", dir, err)
	}
	return s, nil
}

func open(dir string, opts Options) (*Store, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, opts: opts, sync: (*os.File).Sync}
	h, err := s.openHandles(takeLock)
	if err != nil {
		return nil, err
	}
	s.now.Store(h)
	if err := h.clearTemp(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// OpenReadOnly opens a folder that a running gateway may use: it takes no lock and
// writes nothing. Put and Delete return ErrReadOnly; Check only reads.
func OpenReadOnly(dir string) (*Store, error) {
	h, err := readHandles(dir)
	if err != nil {
		return nil, fmt.Errorf("open blob folder %s: %w", dir, err)
	}
	s := &Store{dir: dir}
	s.now.Store(h)
	return s, nil
}

// Close releases the lock and the folder.
func (s *Store) Close() error {
	s.anew.Lock()
	defer s.anew.Unlock()
	s.closed = true
	return s.now.Load().close()
}

// probe is the text that Check writes and reads.
var probe = []byte("sanctum gateway: can this folder be written and read?\n")

// Check implements backends.Backend with a flushed file in tmp.
func (s *Store) Check(ctx context.Context) error {
	if err := s.check(ctx); err != nil {
		return fmt.Errorf("check blob folder %s: %w", s.dir, err)
	}
	return nil
}

func (s *Store) check(ctx context.Context) error {
	if err := backends.Ended(ctx); err != nil {
		return err
	}
	if err := s.follow(s.now.Load()); err != nil {
		return classify(err)
	}
	h := s.now.Load()
	err := s.probe(ctx, h)
	if err != nil && backends.Ended(ctx) == nil && s.reopen(h) == nil {
		err = s.probe(ctx, s.now.Load())
	}
	return err
}

func (s *Store) probe(ctx context.Context, h *handles) error {
	if h.tmp == nil {
		_, err := h.shardNames()
		return classify(err)
	}
	f, name, err := s.newTemp(h)
	if err != nil {
		return classify(err)
	}
	if err := s.fillTemp(ctx, h, f, name, bytes.NewReader(probe), int64(len(probe)), 0); err != nil {
		return err
	}
	got, err := h.tmp.ReadFile(name)
	if err := errors.Join(err, h.tmp.Remove(name)); err != nil {
		return classify(err)
	}
	if !bytes.Equal(got, probe) {
		return errors.New("the probe did not read back as written")
	}
	return nil
}

// syncDir makes the entries of a folder durable.
func (s *Store) syncDir(dir *os.Root) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return s.sync(f)
}

// readNames reads all names in a folder, unsorted.
func readNames(dir *os.Root) ([]string, error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// makeDir is MkdirAll that also flushes the parent of each folder it creates.
func makeDir(dir string) error {
	err := os.Mkdir(dir, dirMode)
	switch {
	case errors.Is(err, iofs.ErrExist):
		return nil // OpenRoot refuses a file of that name
	case errors.Is(err, iofs.ErrNotExist) && filepath.Dir(dir) != dir:
		if err := makeDir(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, dirMode)
	}
	if err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return err
	}
	defer parent.Close()
	return parent.Sync()
}

// openRoot is os.OpenRoot, but does not block on a pipe.
func openRoot(dir string) (*os.Root, error) {
	if fi, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !fi.IsDir() {
		return nil, fmt.Errorf("it is not a folder (%s)", fi.Mode().Type())
	}
	return os.OpenRoot(dir)
}

// openDir opens a folder by name inside dir and refuses a symbolic link, which
// os.Root would follow as long as it stays inside.
func openDir(dir *os.Root, name string) (*os.Root, error) {
	fi, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return nil, fmt.Errorf("%s is not a folder (%s)", filepath.Join(dir.Name(), name), fi.Mode().Type())
	}
	sub, err := dir.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	if now, err := sub.Stat("."); err != nil || !os.SameFile(fi, now) {
		sub.Close()
		return nil, errors.Join(err, fmt.Errorf("%s changed while it was opened", filepath.Join(dir.Name(), name)))
	}
	return sub, nil
}

// readAtFull fills p from off. It returns io.ErrUnexpectedEOF at a premature end.
func readAtFull(f io.ReaderAt, p []byte, off int64) (int, error) {
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
