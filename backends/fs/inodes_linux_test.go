package fs

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sanctum-storage/gateway/backends"
)

// A file system that has room and no inodes still takes the empty blobs of the
// collector, without which it deletes nothing.
func TestMinFreeFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root, as continuous integration has it")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=64m,mode=700,nr_inodes=1600"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s := mustOpen(t, dir, Options{MinFree: 1 << 20})
	var ids []backends.BlobID
	var full error
	for full == nil && len(ids) < 2000 {
		id := backends.NewBlobID()
		if full = s.Put(t.Context(), id, strings.NewReader("x"), 1); full == nil {
			ids = append(ids, id)
		}
	}
	if !errors.Is(full, backends.ErrFull) || len(ids) < 100 {
		t.Fatalf("after %d blobs: %v", len(ids), full)
	}
	for i := range 40 {
		if err := s.Put(t.Context(), backends.NewBlobID(), strings.NewReader(""), 0); err != nil {
			t.Fatalf("empty blob %d: %v", i, err)
		}
	}
	if err := s.Delete(t.Context(), ids...); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "there is room again")
}
