package fs

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"syscall"

	"github.com/sanctum-storage/gateway/backends"
)

// causes says which of the contract's errors a system error amounts to. Others,
// EIO above all, stay what they are.
var causes = []struct{ system, contract error }{
	{syscall.ENOSPC, backends.ErrFull},
	{syscall.EDQUOT, backends.ErrFull},
	{syscall.EFBIG, backends.ErrFull}, // RLIMIT_FSIZE, or the file system's own limit
	{syscall.EROFS, backends.ErrReadOnly},
	{syscall.EACCES, backends.ErrDenied}, // somebody took rights away
	{syscall.EPERM, backends.ErrDenied},
	{syscall.EMFILE, backends.ErrUnavailable},
	{syscall.ENFILE, backends.ErrUnavailable},
	{syscall.ENOMEM, backends.ErrUnavailable},
	{syscall.ETIMEDOUT, backends.ErrUnavailable}, // network file systems
	{syscall.ESTALE, backends.ErrUnavailable},    // and those that were mounted anew: lostErrors
	{syscall.ENOTCONN, backends.ErrUnavailable},
	{syscall.ENODEV, backends.ErrUnavailable},
	{syscall.ESHUTDOWN, backends.ErrUnavailable},
	{os.ErrClosed, backends.ErrClosed},
}

// errNoFile: something else is where a blob was, or where one is looked for. Its bytes are not
// to be had, which is damage.
var errNoFile = fmt.Errorf("%w: not a plain file", backends.ErrCorrupt)

// classify wraps a system error in the contract's. It must not see errors of a
// caller's reader, whose meaning is the caller's.
func classify(err error) error {
	for _, c := range causes {
		if errors.Is(err, c.system) {
			return fmt.Errorf("%w: %w", c.contract, err)
		}
	}
	return err
}

// absent is classify for places where a missing file means a missing blob.
func absent(err error) error {
	if errors.Is(err, iofs.ErrNotExist) {
		return backends.ErrNotFound
	}
	return classify(err)
}

// ended is the reason why ctx has ended, or nil.
func ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// writable reports why a write may not begin.
func (s *Store) writable(ctx context.Context) error {
	if s.now.Load().tmp == nil {
		return backends.ErrReadOnly
	}
	if s.hidden.Load() {
		return fmt.Errorf("%w: %w", backends.ErrUnavailable, errOther)
	}
	return ended(ctx)
}
