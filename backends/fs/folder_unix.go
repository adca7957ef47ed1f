//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package fs

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// folder is an open folder whose entries take one system call each. It is for the
// calls that every object needs. All others use os.Root, which needs several system
// calls: it follows paths of any shape, and asks for each opened file whether it
// supports polling. No method follows a link.
type folder struct{ f *os.File }

// openFolder opens the folder of a root a second time.
func openFolder(root *os.Root) (*folder, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	return &folder{f}, nil
}

// Close may be called more than once.
func (d *folder) Close() error {
	if err := d.f.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// removed reports whether the folder was removed: it has no name left.
func (d *folder) removed() bool {
	var st unix.Stat_t
	return unix.Fstat(int(d.f.Fd()), &st) == nil && st.Nlink == 0
}

// flush makes the folder's entries durable.
func (d *folder) flush(sync func(*os.File) error) error { return sync(d.f) }

// fail adds the operation and the path to an error.
func (d *folder) fail(op, name string, err error) error {
	if d.f.Fd() == ^uintptr(0) {
		err = os.ErrClosed
	}
	return &os.PathError{Op: op, Path: d.f.Name() + "/" + name, Err: err}
}

// openAt opens a file without registering it with the runtime's poller.
func (d *folder) openAt(name string, flags int, mode uint32) (*os.File, error) {
	for {
		fd, err := unix.Openat(int(d.f.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		if err == nil {
			return os.NewFile(uintptr(fd), d.f.Name()+"/"+name), nil
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, d.fail("openat", name, err)
		}
	}
}

// openDir opens a folder in d, and refuses anything else.
func (d *folder) openDir(name string) (*folder, error) {
	f, err := d.openAt(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &folder{f}, nil
}

// create creates a file in d, and fails if the name exists.
func (d *folder) create(name string) (*os.File, error) {
	return d.openAt(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, fileMode)
}

// open opens a plain file and returns its size. It refuses anything else before
// opening it, because a pipe would block and a link would lead elsewhere.
func (d *folder) open(name string) (*os.File, int64, error) {
	var before, now unix.Stat_t
	if err := unix.Fstatat(int(d.f.Fd()), name, &before, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, 0, d.fail("fstatat", name, err)
	}
	if before.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, 0, fmt.Errorf("%w (mode %#o)", errNoFile, before.Mode)
	}
	f, err := d.openAt(name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, 0, err
	}
	err = unix.Fstat(int(f.Fd()), &now)
	if err == nil && (now.Dev != before.Dev || now.Ino != before.Ino) {
		err = errors.New("the file changed while it was opened")
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, now.Size, nil
}

// linkTo gives a file of d another name in another folder. That name must be free.
func (d *folder) linkTo(name string, to *folder, newName string) error {
	err := unix.Linkat(int(d.f.Fd()), name, int(to.f.Fd()), newName, 0)
	if err != nil {
		return to.fail("linkat", newName, err)
	}
	return nil
}

func (d *folder) remove(name string) error {
	if err := unix.Unlinkat(int(d.f.Fd()), name, 0); err != nil {
		return d.fail("unlinkat", name, err)
	}
	return nil
}
