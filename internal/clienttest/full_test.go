package clienttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sys/unix"
)

// diskSize is the file system of the test: what the gateway leaves free for its
// store, 64 MiB, and room for some objects.
const diskSize = 64*mib + 40*mib

// TestFullDisk fills the disk to the last byte by something else, and then with
// objects. The gateway refuses what does not fit, in words that no client tries again for,
// serves all that it has taken, and goes on by itself when there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root, as continuous integration has it")
	}
	disk := t.TempDir()
	must(t, unix.Mount("tmpfs", disk, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%d,mode=700", diskSize)))
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	data, log := filepath.Join(disk, "data"), filepath.Join(t.TempDir(), "gateway.log")
	env := []string{"SANCTUM_BUCKETS=full", "SANCTUM_COLLECTOR_GRACE=1s", "SANCTUM_COLLECTOR_INTERVAL=1s"}
	f := &fullTest{t: t, g: restart(t, data, log, env...), disk: disk, sizes: make(map[string]int64)}
	f.c = newMinio(t, f.g)

	must(t, f.put(300_000))
	f.flood(diskSize)
	for _, size := range []int64{1, 70_000, 3 * mib} {
		f.refused(size)
	}
	f.verify("with not a byte left")
	must(t, os.Remove(f.filler()))
	f.recovers("the other's file is gone", mib)

	f.flood(16 * mib)
	if taken := f.fill(mib); taken < 8 || taken > 24 {
		t.Errorf("%d objects of 1 MiB fit into %d MiB less a reserve of 64 and 16 of another's", taken, diskSize/mib)
	}
	f.verify("with objects up to the reserve")
	f.fill(1) // to the last kilobyte above it
	f.drop(4, mib)
	f.recovers("objects were deleted", mib)
	must(t, os.Remove(f.filler()))
	f.recovers("the other's file is gone again", 3*mib)

	f.flood(diskSize)
	f.refused(1)
	f.g.kill()
	must(t, os.Remove(f.filler()))
	f.g = restart(t, data, log, env...)
	f.c = newMinio(t, f.g)
	f.verify("after kill -9 on a full disk")
	for key := range f.sizes {
		must(t, f.c.RemoveObject(t.Context(), "full", key, minio.RemoveObjectOptions{}))
	}
	clear(f.sizes)
	f.recovers("everything was deleted", 30*mib)
	f.verify("at the end")
	collected(t, f.g)
	must(t, f.g.stop())
	stoppedClean(t, f.g)
}

type fullTest struct {
	t     *testing.T
	g     *gateway
	c     *minio.Core
	disk  string
	n     int
	sizes map[string]int64 // acknowledged
}

func (f *fullTest) key(n int) string { return fmt.Sprintf("object-%d", n) }

// put stores an object of its own. Acknowledged objects are remembered.
func (f *fullTest) put(size int64) error {
	key := f.key(f.n)
	f.n++
	_, err := f.c.Client.PutObject(f.t.Context(), "full", key, bytes.NewReader(random(0, f.n-1, size)), size, minio.PutObjectOptions{DisableMultipart: true})
	if err == nil {
		f.sizes[key] = size
	}
	return err
}

// refused puts an object and demands the answer for a full disk.
func (f *fullTest) refused(size int64) {
	f.t.Helper()
	err := f.put(size)
	f.isFull(err)
}

func (f *fullTest) isFull(err error) {
	f.t.Helper()
	if r := minio.ToErrorResponse(err); err == nil || r.StatusCode != http.StatusInsufficientStorage || r.Code != "InsufficientStorage" {
		f.t.Errorf("status %d, code %q for a PUT to a full disk: %v", r.StatusCode, r.Code, err)
	}
}

// fill puts objects until one does not fit, and returns how many did.
func (f *fullTest) fill(size int64) (n int) {
	f.t.Helper()
	for n = range diskSize / int(size) {
		if err := f.put(size); err != nil {
			f.isFull(err)
			return n
		}
	}
	f.t.Fatal("more was stored than the disk holds")
	return n
}

// drop deletes n objects of the size.
func (f *fullTest) drop(n int, size int64) {
	f.t.Helper()
	for key, s := range f.sizes {
		if s == size && n > 0 {
			must(f.t, f.c.RemoveObject(f.t.Context(), "full", key, minio.RemoveObjectOptions{}))
			delete(f.sizes, key)
			n--
		}
	}
	if n > 0 {
		f.t.Fatalf("%d objects of %d bytes are missing", n, size)
	}
}

func (f *fullTest) filler() string { return filepath.Join(f.disk, "filler") }

// flood takes room for something else: most bytes, or all that are left.
func (f *fullTest) flood(most int) {
	f.t.Helper()
	file, err := os.Create(f.filler())
	must(f.t, err)
	defer file.Close()
	for unit := mib; unit > 0 && most > 0; {
		n, err := file.Write(make([]byte, min(unit, most)))
		if most -= n; errors.Is(err, unix.ENOSPC) {
			unit /= 16
		} else {
			must(f.t, err)
		}
	}
}

// recovers demands that an object fits again, in time, without a restart.
func (f *fullTest) recovers(when string, size int64) {
	f.t.Helper()
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(100 * time.Millisecond) {
		err := f.put(size)
		if err == nil {
			return
		}
		f.isFull(err)
		if time.Now().After(deadline) {
			f.t.Fatalf("%s: no room after %s", when, startTimeout)
		}
	}
}

// verify demands that the process lives and has everything it acknowledged.
func (f *fullTest) verify(when string) {
	f.t.Helper()
	fetch(f.t, http.MethodGet, f.g.metrics+"/livez", nil, http.StatusOK)
	listed := 0
	for o := range f.c.Client.ListObjects(f.t.Context(), "full", minio.ListObjectsOptions{Recursive: true}) {
		must(f.t, o.Err)
		listed++
	}
	if listed != len(f.sizes) {
		f.t.Errorf("%s: %d objects are listed instead of %d", when, listed, len(f.sizes))
	}
	for key, size := range f.sizes {
		if err := f.holds(f.t.Context(), key, size); err != nil {
			f.t.Errorf("%s: %s: %v", when, key, err)
		}
	}
}

func (f *fullTest) holds(ctx context.Context, key string, size int64) error {
	var n int
	if _, err := fmt.Sscanf(key, "object-%d", &n); err != nil {
		return err
	}
	r, _, _, err := f.c.GetObject(ctx, "full", key, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer r.Close()
	at, err := differ(r, io.LimitReader(content(0, n), size))
	if err == nil && at >= 0 {
		err = fmt.Errorf("other bytes from %d on", at)
	}
	return err
}
