//go:build clients

package clienttest

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// TestS3FS mounts a bucket and treats it as a folder. It does not run beside
// other tests: a program that one of them starts would inherit the open file for
// a moment, and as it lets go s3fs would upload the file while it is half written.
func TestS3FS(t *testing.T) { onEach(t, testS3FS) }

func testS3FS(t *testing.T, g *gateway) {
	p := require(t, g, "s3fs", "s3fs")
	p.version("--version")
	c := &s3fsTest{program: p.with("AWSACCESSKEYID="+accessKey, "AWSSECRETACCESSKEY="+secretKey), g: g, bucket: bucketName(t)}
	must(t, newMinio(t, g).MakeBucket(t.Context(), c.bucket, minio.MakeBucketOptions{}))
	c.start(t)
	c.files(t)
	c.unmount(t)
	// A new mount knows nothing: all it reads comes from the gateway.
	c.start(t)
	c.again(t)
	c.changes(t)
	c.renames(t)
	c.attributes(t)
	c.unmount(t)
	c.start(t)
	sameTree(t, filepath.Join(c.root, "moved"), c.dir)
	c.removal(t)
	c.unmount(t)
	noUploads(t, g, c.bucket)
}

type s3fsTest struct {
	*program
	*mount
	g      *gateway
	bucket string
	dir    string // what is stored
}

func (c *s3fsTest) start(t *testing.T) {
	t.Helper()
	root := filepath.Join(work, c.bucket)
	c.mount = startMount(t, c.g, c.program, root, c.bucket, root, "-f", "-o", "url="+c.g.s3, "-o", "endpoint="+region, "-o", "use_path_request_style", "-o", "sigv4",
		"-o", "multipart_size=5", "-o", "multipart_threshold=10", "-o", "singlepart_copy_limit=10", "-o", "multipart_copy_size=20", "-o", "retries=1")
}

// files writes a folder of all sizes, the large ones in parts.
func (c *s3fsTest) files(t *testing.T) {
	c.dir = mixedTree(t, append(slices.Clone(allSizes), 64*mib)...)
	for _, name := range treeOf(t, c.dir) {
		to := filepath.Join(c.root, "tree", name)
		must(t, os.MkdirAll(filepath.Dir(to), 0o755))
		copyFile(t, filepath.Join(c.dir, name), to)
	}
	sameTree(t, filepath.Join(c.root, "tree"), c.dir)
	storedTree(t, c.g, c.bucket, "tree/", c.dir)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	must(t, err)
	defer in.Close()
	out, err := os.Create(to)
	must(t, err)
	_, err = io.Copy(out, in)
	must(t, err)
	must(t, out.Close())
}

func (c *s3fsTest) again(t *testing.T) {
	// Pieces first, while s3fs has nothing of the file.
	body := random(17*mib, 0, 17*mib)
	f, err := os.Open(filepath.Join(c.root, "tree", fmt.Sprintf("%d.bin", 17*mib)))
	must(t, err)
	defer f.Close()
	for _, at := range []int{16*mib + 77, 5*mib - 3, 0} {
		got := make([]byte, 100_000)
		_, err := f.ReadAt(got, int64(at))
		must(t, err)
		if !bytes.Equal(got, body[at:at+len(got)]) {
			t.Errorf("other bytes at %d", at)
		}
	}
	sameTree(t, filepath.Join(c.root, "tree"), c.dir)
}

// changes writes into the middle and the end of files, and shorter ones in their
// place. s3fs uploads what changed and has the rest copied by the server. Debian's
// s3fs does not fetch what truncate(2) leaves of a file and uploads other bytes,
// so that is not asked of it.
func (c *s3fsTest) changes(t *testing.T) {
	for _, size := range []int64{65537, 17 * mib} {
		name := fmt.Sprintf("%d.bin", size)
		body := random(uint64(size), 0, size)
		path := filepath.Join(c.root, "tree", name)
		same := func() {
			t.Helper()
			want := filepath.Join(c.home, name)
			must(t, os.WriteFile(want, body, 0o600))
			sameFile(t, path, want)
			stored(t, c.g, c.bucket, "tree/"+name, want)
		}
		write := func(flag int, piece string, at int) {
			t.Helper()
			f, err := os.OpenFile(path, os.O_WRONLY|flag, 0)
			must(t, err)
			if flag == os.O_APPEND {
				_, err = f.WriteString(piece)
			} else {
				_, err = f.WriteAt([]byte(piece), int64(at))
			}
			must(t, err)
			must(t, f.Close())
			body = append(append(slices.Clone(body[:at]), piece...), body[min(at+len(piece), len(body)):]...)
			same()
		}
		write(0, "in the middle", len(body)/2)
		write(os.O_APPEND, "at the end", len(body))
		body = slices.Clone(body[:size-1000])
		must(t, os.WriteFile(path, body, 0o644))
		same()
		// The corpus is shared, so the changed file takes the place of the link.
		must(t, os.Remove(filepath.Join(c.dir, name)))
		must(t, os.Rename(filepath.Join(c.home, name), filepath.Join(c.dir, name)))
	}
}

// renames are copies by the server, those of large files in parts.
func (c *s3fsTest) renames(t *testing.T) {
	for _, name := range []string{"65536.bin", fmt.Sprintf("%d.bin", 64*mib)} {
		must(t, os.Rename(filepath.Join(c.root, "tree", name), filepath.Join(c.root, "tree", "renamed "+name)))
		must(t, os.Rename(filepath.Join(c.dir, name), filepath.Join(c.dir, "renamed "+name)))
	}
	must(t, os.Rename(filepath.Join(c.root, "tree"), filepath.Join(c.root, "moved")))
	if _, err := os.Stat(filepath.Join(c.root, "tree")); !os.IsNotExist(err) {
		t.Errorf("the folder's old name: %v", err)
	}
	sameTree(t, filepath.Join(c.root, "moved"), c.dir)
}

// attributes are metadata to s3fs, changed by a copy of the object onto itself.
func (c *s3fsTest) attributes(t *testing.T) {
	path := filepath.Join(c.root, "moved", fmt.Sprintf("%d.bin", 8*mib+1))
	when := time.Unix(1234567890, 0)
	must(t, os.Chtimes(path, when, when))
	must(t, os.Chmod(path, 0o640))
	must(t, os.Chown(path, 12, 34))
	must(t, os.Symlink("moved/1.bin", filepath.Join(c.root, "link")))
	c.unmount(t)
	c.start(t)
	info, err := os.Stat(path)
	must(t, err)
	if owner := info.Sys().(*syscall.Stat_t); !info.ModTime().Equal(when) || info.Mode() != 0o640 || owner.Uid != 12 || owner.Gid != 34 {
		t.Errorf("%s %s %d:%d", info.ModTime(), info.Mode(), owner.Uid, owner.Gid)
	}
	sameFile(t, filepath.Join(c.root, "link"), corpus(t, 1))
	must(t, os.Remove(filepath.Join(c.root, "link")))
}

func (c *s3fsTest) removal(t *testing.T) {
	// Two pages of one folder.
	populate(t, c.g, c.bucket, "many/%04d", 1050)
	entries, err := os.ReadDir(filepath.Join(c.root, "many"))
	must(t, err)
	if len(entries) != 1050 {
		t.Errorf("%d entries", len(entries))
	}
	if err := os.Remove(filepath.Join(c.root, "moved")); err == nil {
		t.Error("a folder with files was removed")
	}
	must(t, os.RemoveAll(filepath.Join(c.root, "moved")))
	var left []string
	for o := range newMinio(t, c.g).Client.ListObjects(t.Context(), c.bucket, minio.ListObjectsOptions{Recursive: true, Prefix: "moved"}) {
		must(t, o.Err)
		left = append(left, o.Key)
	}
	if len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}
