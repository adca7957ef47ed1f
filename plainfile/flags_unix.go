//go:build unix

package plainfile

import (
	"errors"
	"syscall"
)

const (
	// noWait makes opening not wait for the other end of a pipe, and not make a
	// terminal the process's own.
	noWait   = syscall.O_NONBLOCK | syscall.O_NOCTTY
	noFollow = syscall.O_NOFOLLOW
)

// isLink reports the error of opening a symbolic link with noFollow: ELOOP,
// except EMLINK on FreeBSD and EFTYPE on NetBSD, which cannot be told from
// other errors.
func isLink(err error) bool { return errors.Is(err, syscall.ELOOP) }
