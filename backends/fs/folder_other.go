//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package fs

import (
	"errors"
	"fmt"
	"os"
)

// folder is an open folder that can only be read: see takeLock.
type folder struct{ root *os.Root }

func openFolder(root *os.Root) (*folder, error) {
	same, err := root.OpenRoot(".")
	return &folder{same}, err
}

func (d *folder) Close() error { return d.root.Close() }

func (d *folder) openDir(name string) (*folder, error) {
	sub, err := openDir(d.root, name)
	return &folder{sub}, err
}

func (d *folder) open(name string) (*os.File, int64, error) {
	before, err := d.root.Lstat(name)
	if err != nil {
		return nil, 0, err
	}
	if !before.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%w (%s)", errNoFile, before.Mode().Type())
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	now, err := f.Stat()
	if err == nil && !os.SameFile(before, now) {
		err = errors.New("the file changed while it was opened")
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, now.Size(), nil
}

func (d *folder) removed() bool                        { return false }
func (d *folder) create(string) (*os.File, error)      { return nil, errors.ErrUnsupported }
func (d *folder) linkTo(string, *folder, string) error { return errors.ErrUnsupported }
func (d *folder) flush(func(*os.File) error) error     { return errors.ErrUnsupported }
func (d *folder) remove(string) error                  { return errors.ErrUnsupported }
