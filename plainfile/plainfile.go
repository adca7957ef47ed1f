// Package plainfile opens the files whose paths a person gives: settings,
// secrets, certificates, keys, journals, reports. A path may lead to anything: a
// pipe that nobody writes to, a device, a folder, another's file. Opening never
// waits, and what is no plain file is refused before a byte of it is read or
// changed. All checks are made on the open file, so that nothing can be put in
// its place meanwhile. The package imports nothing of ours.
package plainfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

var (
	// ErrNotPlain: the path leads to something else than a plain file.
	ErrNotPlain = errors.New("is not a plain file")
	// ErrTooLarge: the file has more bytes than such a file may have.
	ErrTooLarge = errors.New("is too large")
	// ErrExposed: others than its owner may read or change the file.
	ErrExposed = errors.New("others can get at the secret in it")
)

// Open opens a file for reading. Symbolic links are followed, as Kubernetes
// hands out secrets through them.
func Open(path string) (*os.File, error) {
	return open(path, os.O_RDONLY, 0)
}

// OpenWritten opens a file for reading and writing, and makes it with the mode
// if it is absent. What is there already stays as it is: the caller looks at it
// before changing it. A path that ends in a symbolic link is refused.
func OpenWritten(path string, mode os.FileMode) (*os.File, error) {
	return open(path, os.O_RDWR|os.O_CREATE|noFollow, mode)
}

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

// ReadSecret is Read for a file that must be its owner's alone (see Private).
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

// Rest reads from where an open file stands to its end: at most limit bytes.
func Rest(f *os.File, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("%s %w: more than %d bytes", f.Name(), ErrTooLarge, limit)
	}
	return data, err
}

// Private refuses an open file that anybody but its owner may read or change.
// Below CREDENTIALS_DIRECTORY, systemd and Kubernetes hand files to one service
// through its group or an access list, which shows as the group's right to read.
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
