//go:build unix

package plainfile

import (
	"errors"
	"syscall"
)

const (
	// noWait keeps the opening of a pipe from waiting for its other end, and of a
	// terminal from becoming the process's own.
	noWait   = syscall.O_NONBLOCK | syscall.O_NOCTTY
	noFollow = syscall.O_NOFOLLOW
)

// isLink reports what comes of opening a symbolic link with noFollow: ELOOP, but
// EMLINK on FreeBSD and EFTYPE on NetBSD, which are not told apart from others.
func isLink(err error) bool { return errors.Is(err, syscall.ELOOP) }
