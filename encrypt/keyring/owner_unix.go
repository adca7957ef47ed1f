//go:build unix

package keyring

import (
	"io/fs"
	"os"
	"syscall"
)

// giveTo gives a new file the owner of the old one, so that a change by root leaves the
// gateway its file.
func giveTo(f *os.File, old fs.FileInfo) error {
	owner, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}
