package fs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// preallocate reserves size bytes. File systems that cannot are no error: then
// a full disk shows in Write.
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

// startWriteback asks the kernel to begin writing a range and does not wait. It
// is advice: an error of the disk comes again from fsync, which alone counts.
func startWriteback(f *os.File, off, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}

// adviseSequential widens the kernel's read-ahead. Advice too.
func adviseSequential(f *os.File, off, n int64) {
	_ = unix.Fadvise(int(f.Fd()), off, n, unix.FADV_SEQUENTIAL)
}

// freeBytes is what this process may still allocate on the file system of f.
func freeBytes(f *os.File) (free int64, known bool, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return 0, false, os.NewSyscallError("fstatfs", err)
	}
	return int64(st.Bavail) * st.Bsize, true, nil
}
