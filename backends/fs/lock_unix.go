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

// lockTextMax bounds the bytes that are read from lock or word.
const lockTextMax = 32

// takeLock locks DIR until the file is closed or the process ends. It returns the
// word that it has written there.
func takeLock(root *os.Root) (*os.File, string, error) {
	f, err := openLock(root, os.O_CREATE)
	if err != nil {
		return nil, "", err
	}
	var word string
	if err = lockFile(f); err == nil {
		word, err = writeWord(root)
	}
	if err != nil {
		f.Close()
		return nil, "", err
	}
	return f, word, nil
}

// writeWord writes a random word, by which this process recognises DIR.
func writeWord(root *os.Root) (string, error) {
	if err := root.Remove(wordName); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	f, err := root.OpenFile(wordName, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return "", noSpace(err)
	}
	word := rand.Text()
	_, err = f.WriteString(word + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return "", noSpace(err)
	}
	return word, nil
}

// noSpace ignores a full disk, because deletions must still work, and the text is
// optional.
func noSpace(err error) error {
	if errors.Is(err, unix.ENOSPC) {
		return nil
	}
	return err
}

func readWord(root *os.Root) (string, error) {
	if fi, err := root.Lstat(wordName); err != nil || !fi.Mode().IsRegular() {
		return "", errors.Join(err, errors.New("it has no word of this process"))
	}
	f, err := root.Open(wordName)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, lockTextMax))
	return strings.TrimSpace(string(text)), err
}

// retakeLock locks DIR again if it has this process's lock and word.
func retakeLock(root *os.Root, held *os.File, word string) (*os.File, string, error) {
	f, err := openLock(root, 0)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", errOther, err)
	}
	if found, err := readWord(root); err != nil || word == "" || found != word {
		f.Close()
		return nil, "", errors.Join(errOther, err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) && sameFile(f, held) {
		// The conflict is with our own lock on the same file, which is still held.
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

func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		text, _ := io.ReadAll(io.LimitReader(f, lockTextMax)) // the text is only a hint
		return fmt.Errorf("%w by process %q", ErrInUse, strings.TrimSpace(string(text)))
	}
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return noSpace(err)
}
