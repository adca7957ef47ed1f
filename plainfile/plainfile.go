// Package plainfile opens files whose paths a person gives: settings, secrets,
// certificates, keys, journals, reports. Such a path may lead to a pipe that
// nobody writes to, a device, a folder, or somebody else's file. Opening never
// waits, and anything that is not a plain file is refused before a byte of it
// is read or changed. All checks are made on the open file, so that it cannot
// be replaced in between. The package imports nothing of ours.
package plainfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

var (
	// ErrNotPlain: the path leads to something other than a plain file.
	ErrNotPlain = errors.New("is not a plain file")
	// ErrTooLarge: the file has more bytes than allowed for its kind.
	ErrTooLarge = errors.New("is too large")
	// ErrExposed: others than its owner can read or change the file.
	ErrExposed = errors.New("others than its owner can read or change the secret in it")
)

// Open opens a file for reading. It follows symbolic links, through which
// Kubernetes provides secrets.
func Open(path string) (*os.File, error) {
	return open(path, os.O_RDONLY, 0)
}

// OpenWritten opens a file for reading and writing, and creates it with the
// mode if it is absent. Existing contents stay: the caller checks them before
// changing anything. A path that ends in a symbolic link is refused.
func OpenWritten(path string, mode os.FileMode) (*os.File, error) {
	return open(path, os.O_RDWR|os.O_CREATE|noFollow, mode)
}

// open opens first and checks the open file, see the package comment.
func open(path string, flags int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flags|noWait, mode)
	if isLink(err) {
		return nil, fmt.Errorf("%s %w: it is a symbolic link", path, ErrNotPlain)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s %w", path, ErrNotPlain)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Read reads a file of at most limit bytes.
func Read(path string, limit int64) ([]byte, error) { return read(path, limit, false) }

// ReadSecret is Read for a file that only its owner may access (see Private).
func ReadSecret(path string, limit int64) ([]byte, error) { return read(path, limit, true) }

func read(path string, limit int64, secret bool) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if secret {
		if err := Private(f); err != nil {
			return nil, err
		}
	}
	return Rest(f, limit)
}

// Rest reads an open file from its position to its end: at most limit bytes.
func Rest(f *os.File, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("%s %w: more than %d bytes", f.Name(), ErrTooLarge, limit)
	}
	return data, err
}

// Private refuses an open file that others than its owner may read or change.
// Below CREDENTIALS_DIRECTORY, systemd and Kubernetes give a file to one
// service through its group or an access list, which shows as the group's right
// to read.
func Private(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	forbidden := os.FileMode(0o077)
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" && strings.HasPrefix(f.Name(), dir+"/") {
		forbidden = 0o037
	}
	if info.Mode().Perm()&forbidden != 0 {
		return fmt.Errorf("%s has mode %#o, so %w; run: chmod 600 %s", f.Name(), info.Mode().Perm(), ErrExposed, f.Name())
	}
	return nil
}
