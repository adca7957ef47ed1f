package sqlite

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrInUse: another process serves the store.
var ErrInUse = errors.New("sqlite: the store is in use by another process")

// lockFile takes the lock that one serving process holds, until unlockFile. The kernel
// lets go of it when the process ends, however it ends. The file stays: removing it
// would let a third process lock a file that is no longer there.
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

// unlockFile gives the lock up at once. Closing the file alone does not: a child process
// that has not yet begun its program holds a copy of the descriptor, and with it the lock.
func unlockFile(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}
