package sqlite

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrInUse: another process serves the store.
var ErrInUse = errors.New("sqlite: the store is in use by another process")

// lockFile takes the lock of the serving process, which it holds until unlockFile.
// The kernel releases it whenever the process ends. The file is not removed:
// otherwise a third process could lock a new file of the same name.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w (lock %s)", ErrInUse, path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// unlockFile releases the lock at once. Closing the file is not enough: a forked
// child that has not executed its program yet holds a copy of the descriptor, and
// with it the lock.
func unlockFile(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}
