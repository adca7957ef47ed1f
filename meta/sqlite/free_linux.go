package sqlite

import "golang.org/x/sys/unix"

// freeBytes returns the space that this process may still allocate on the file
// system of a folder.
func freeBytes(dir string) (free int64, known bool) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return 0, false
	}
	return int64(st.Bavail) * st.Bsize, true
}
