//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package fs

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockTextMax bounds what is read of a lock file.
const lockTextMax = 64

// takeLock locks DIR until the file is closed, by this process or by its death. It
// returns the word that it has written there.
func takeLock(root *os.Root) (*os.File, string, error) {
	f, err := openLock(root, os.O_CREATE)
	if err != nil {
		return nil, "", err
	}
	word, err := lockFile(f)
	if err != nil {
		f.Close()
		return nil, "", err
	}
	return f, word, nil
}

// retakeLock locks DIR anew, if it is the one where this process has a lock with a word.
func retakeLock(root *os.Root, held *os.File, word string) (*os.File, string, error) {
	f, err := openLock(root, 0)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", errOther, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, lockTextMax))
	if _, found, _ := strings.Cut(strings.TrimSpace(string(text)), " "); err != nil || word == "" || found != word {
		f.Close()
		return nil, "", errors.Join(errOther, err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) && sameFile(f, held) {
		// Our own lock is in the way: it is the same file, which goes on being held.
		again, err := unix.FcntlInt(held.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err == nil {
			f.Close()
			return os.NewFile(uintptr(again), held.Name()), word, nil
		}
	}
	if err != nil {
		f.Close()
		return nil, "", fmt.Errorf("lock: %w", err)
	}
	return f, word, nil
}

func sameFile(a, b *os.File) bool {
	at, err := a.Stat()
	if err != nil {
		return false
	}
	bt, err := b.Stat()
	return err == nil && os.SameFile(at, bt)
}

func openLock(root *os.Root, flags int) (*os.File, error) {
	if fi, err := root.Lstat(lockName); err == nil && !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a plain file (%s)", lockName, fi.Mode().Type())
	}
	return root.OpenFile(lockName, os.O_RDWR|flags, fileMode)
}

func lockFile(f *os.File) (word string, err error) {
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		text, _ := io.ReadAll(io.LimitReader(f, lockTextMax)) // a hint only
		process, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
		return "", fmt.Errorf("%w by process %q", ErrInUse, process)
	}
	if err != nil {
		return "", fmt.Errorf("lock: %w", err)
	}
	if err := f.Truncate(0); err != nil {
		return "", err
	}
	word = rand.Text()
	_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+" "+word+"\n"), 0)
	if errors.Is(err, unix.ENOSPC) {
		return "", nil // a full disk must not stop deletions
	}
	return word, err
}
