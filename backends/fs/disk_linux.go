package fs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// preallocate reserves size bytes. If the file system does not support that, it
// returns nil, and a full disk shows in Write.
func preallocate(f *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return nil
		}
		return os.NewSyscallError("fallocate", err)
	}
}

// startWriteback asks the kernel to begin writing a range and does not wait. Errors
// are ignored, because fsync reports them too.
func startWriteback(f *os.File, off, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}

// adviseSequential increases the kernel's read-ahead. Errors are ignored.
func adviseSequential(f *os.File, off, n int64) {
	_ = unix.Fadvise(int(f.Fd()), off, n, unix.FADV_SEQUENTIAL)
}

// freeRoom returns what is free on the file system of f.
func freeRoom(f *os.File) (room, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return room{}, os.NewSyscallError("fstatfs", err)
	}
	return room{known: true, bytes: int64(st.Bavail) * st.Bsize, files: int64(st.Ffree), allFiles: int64(st.Files)}, nil
}
