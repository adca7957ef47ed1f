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

// causes maps system errors to errors of the contract. Others, above all EIO, stay
// as they are.
var causes = []struct{ system, contract error }{
	{syscall.ENOSPC, backends.ErrFull},
	{syscall.EDQUOT, backends.ErrFull},
	{syscall.EFBIG, backends.ErrFull}, // RLIMIT_FSIZE, or the file system's own limit
	{syscall.EROFS, backends.ErrReadOnly},
	{syscall.EACCES, backends.ErrDenied}, // the rights were changed
	{syscall.EPERM, backends.ErrDenied},
	{syscall.EMFILE, backends.ErrUnavailable},
	{syscall.ENFILE, backends.ErrUnavailable},
	{syscall.ENOMEM, backends.ErrUnavailable},
	{syscall.ETIMEDOUT, backends.ErrUnavailable}, // network file systems
	{syscall.ESTALE, backends.ErrUnavailable},    // also after a new mount: see lostErrors
	{syscall.ENOTCONN, backends.ErrUnavailable},
	{syscall.ENODEV, backends.ErrUnavailable},
	{syscall.ESHUTDOWN, backends.ErrUnavailable},
	{os.ErrClosed, backends.ErrClosed},
}

// errNoFile: the name of a blob belongs to something other than a plain file. The
// bytes are lost, so this counts as damage.
var errNoFile = fmt.Errorf("%w: not a plain file", backends.ErrCorrupt)

// classify wraps a system error in the contract's. It must not see errors of a
// caller's reader, because those belong to the caller.
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

// writable returns the reason why a write must not begin, or nil.
func (s *Store) writable(ctx context.Context) error {
	if s.now.Load().tmp == nil {
		return backends.ErrReadOnly
	}
	if s.hidden.Load() {
		return fmt.Errorf("%w: %w", backends.ErrUnavailable, errOther)
	}
	return backends.Ended(ctx)
}
