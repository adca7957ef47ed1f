//go:build clients && more

package clienttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// settleTimeout is for rclone to store what it keeps of a mount, on a busy machine.
const settleTimeout = 2 * time.Minute

// newerRclone is the rclone of today, beside Debian's. It tries everything once.
func newerRclone(t *testing.T, g *gateway) (p *program, remote string) {
	t.Helper()
	p = installed(t, g, servers.Rclone).with(
		"RCLONE_CONFIG=/dev/null", "RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1",
		"RCLONE_CONFIG_GW_TYPE=s3", "RCLONE_CONFIG_GW_PROVIDER=Other", "RCLONE_CONFIG_GW_ENDPOINT="+g.s3, "RCLONE_CONFIG_GW_REGION="+region,
		"RCLONE_CONFIG_GW_ACCESS_KEY_ID="+accessKey, "RCLONE_CONFIG_GW_SECRET_ACCESS_KEY="+secretKey,
		"RCLONE_S3_UPLOAD_CUTOFF=16Mi", "RCLONE_S3_CHUNK_SIZE=8Mi", "RCLONE_S3_COPY_CUTOFF=10Mi",
	)
	return p, "gw:"
}

// TestMoreRcloneMount mounts a bucket, with the cache of writes that rclone advises.
func TestMoreRcloneMount(t *testing.T) { onEach(t, testRcloneMount) }

func testRcloneMount(t *testing.T, g *gateway) {
	p, remote := newerRclone(t, g)
	c := &rcloneMount{program: p, g: g, bucket: bucketName(t)}
	c.remote = remote + c.bucket
	must(t, newMinio(t, g).MakeBucket(t.Context(), c.bucket, minio.MakeBucketOptions{}))
	c.start(t, "first")
	c.files(t)
	c.changes(t)
	c.renames(t)
	c.unmount(t)
	// A new mount with another cache knows nothing: all it reads comes from the gateway.
	c.start(t, "second")
	c.again(t)
	c.killed(t)
	c.removal(t)
	c.unmount(t)
	noUploads(t, g, c.bucket)
}

type rcloneMount struct {
	*program
	*mount
	g              *gateway
	bucket, remote string
	cache          string // the folder of the mount's cache
	dir            string // what is stored below tree/
}

// start mounts the bucket with the cache of that name.
func (c *rcloneMount) start(t *testing.T, cache string) {
	t.Helper()
	c.cache = filepath.Join(c.home, cache)
	root := filepath.Join(work, c.bucket)
	c.mount = startMount(t, c.g, c.program, root, "mount", c.remote, root, "--cache-dir", c.cache, "--vfs-cache-mode", "full", "--vfs-write-back", "100ms",
		"--vfs-read-chunk-size", "4Mi", "--poll-interval", "0", "--dir-cache-time", "10m", "--rc", "--rc-no-auth", "--rc-addr", "unix://"+c.socket())
}

func (c *rcloneMount) socket() string { return c.cache + ".rc" }

// settle waits until nothing of the mount is in its cache alone.
func (c *rcloneMount) settle(t *testing.T) {
	t.Helper()
	var stats struct {
		DiskCache struct{ UploadsInProgress, UploadsQueued, ErroredFiles int }
	}
	for deadline := time.Now().Add(settleTimeout); ; time.Sleep(100 * time.Millisecond) {
		must(t, json.Unmarshal([]byte(c.run("rc", "--unix-socket", c.socket(), "vfs/stats")), &stats))
		if d := stats.DiskCache; d.ErroredFiles > 0 {
			t.Fatalf("files that could not be stored: %+v\n%s", d, c.log)
		} else if d.UploadsInProgress+d.UploadsQueued == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still being stored after %s: %+v\n%s", settleTimeout, stats, c.log)
		}
	}
}

// becomes waits until the file is stored. The kernel tells rclone of a file's end some
// time after close(2) has returned, and then it begins to store it.
func (c *rcloneMount) becomes(t *testing.T, name string) {
	t.Helper()
	f, err := os.Open(filepath.Join(c.dir, name))
	must(t, err)
	defer f.Close()
	for deadline := time.Now().Add(settleTimeout); ; time.Sleep(50 * time.Millisecond) {
		r, _, _, err := newMinio(t, c.g).GetObject(t.Context(), c.bucket, "tree/"+name, minio.GetObjectOptions{})
		at := int64(0)
		if err == nil {
			_, err = f.Seek(0, io.SeekStart)
			must(t, err)
			at, err = differ(r, f)
			r.Close()
		}
		if err == nil && at < 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not stored after %s: other bytes at %d, or %v\n%s", name, settleTimeout, at, err, c.log)
		}
	}
}

// same demands that the mount, and what is stored, is the folder.
func (c *rcloneMount) same(t *testing.T) {
	t.Helper()
	for _, name := range treeOf(t, c.dir) {
		c.becomes(t, name)
	}
	c.settle(t)
	sameTree(t, filepath.Join(c.root, "tree"), c.dir)
	storedTree(t, c.g, c.bucket, "tree/", c.dir)
}

func (c *rcloneMount) files(t *testing.T) {
	c.dir = mixedTree(t, append(slices.Clone(allSizes), 64*mib)...)
	for _, name := range treeOf(t, c.dir) {
		to := filepath.Join(c.root, "tree", name)
		must(t, os.MkdirAll(filepath.Dir(to), 0o755))
		copyFile(t, filepath.Join(c.dir, name), to)
	}
	c.same(t)
}

var changed = time.Unix(1234567890, 123456000) // when one file was, by what it says

// changes does the same to files of the mount and of the folder: it writes into them,
// makes them longer and shorter, and puts others in their place.
func (c *rcloneMount) changes(t *testing.T) {
	for _, size := range []int64{65537, 17 * mib} {
		name := fmt.Sprintf("%d.bin", size)
		// The corpus is shared, so a copy takes the place of the link.
		own := filepath.Join(c.dir, name)
		must(t, os.Remove(own))
		copyFile(t, corpus(t, size), own)
		for _, change := range []func(path string) error{
			func(path string) error { return writeAt(path, os.O_RDWR, "in the middle", size/2) },
			func(path string) error { return writeAt(path, os.O_WRONLY, "at the end", size) },
			func(path string) error { return os.Truncate(path, size-1000) },
			func(path string) error { return os.Truncate(path, size+70_000) },
			func(path string) error { return writeAt(path, os.O_WRONLY, "after a hole", size+200_000) },
		} {
			must(t, change(filepath.Join(c.root, "tree", name)))
			must(t, change(own))
			c.becomes(t, name)
		}
	}
	for _, root := range []string{c.dir, filepath.Join(c.root, "tree")} {
		path := filepath.Join(root, "8388609.bin")
		must(t, os.Remove(path))
		must(t, os.WriteFile(path, []byte("short"), 0o600))
		must(t, os.WriteFile(filepath.Join(root, "empty then full"), nil, 0o600))
		must(t, os.WriteFile(filepath.Join(root, "empty then full"), random(7, 7, 300_000), 0o600))
		must(t, os.Chtimes(path, changed, changed))
	}
	c.same(t)
	info := stored(t, c.g, c.bucket, "tree/8388609.bin", filepath.Join(c.dir, "8388609.bin"))
	if got := info.UserMetadata["Mtime"]; got != "1234567890.123456" {
		t.Errorf("mtime %q", got)
	}
}

func writeAt(path string, flag int, text string, at int64) error {
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(text), at)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// renames are copies by the server, those of large files in parts.
func (c *rcloneMount) renames(t *testing.T) {
	for _, root := range []string{c.dir, filepath.Join(c.root, "tree")} {
		must(t, os.Rename(filepath.Join(root, "65536.bin"), filepath.Join(root, "renamed +%20")))
		must(t, os.Rename(filepath.Join(root, "67108864.bin"), filepath.Join(root, "renamed large")))
		must(t, os.Rename(filepath.Join(root, "1048576.bin"), filepath.Join(root, "1048577.bin"))) // over another
		must(t, os.Rename(filepath.Join(root, "odd"), filepath.Join(root, "moved")))
		must(t, os.Remove(filepath.Join(root, "4096.bin")))
	}
	c.same(t)
}

func (c *rcloneMount) again(t *testing.T) {
	// Pieces first, while rclone has nothing of the file.
	f, err := os.Open(filepath.Join(c.root, "tree", "renamed large"))
	must(t, err)
	defer f.Close()
	body := random(64*mib, 0, 64*mib)
	for _, at := range []int{60*mib + 77, 5*mib - 3, 0} {
		got := make([]byte, 100_000)
		_, err := f.ReadAt(got, int64(at))
		must(t, err)
		if !bytes.Equal(got, body[at:at+len(got)]) {
			t.Errorf("other bytes at %d", at)
		}
	}
	sameTree(t, filepath.Join(c.root, "tree"), c.dir)
	info, err := os.Stat(filepath.Join(c.root, "tree", "8388609.bin"))
	must(t, err)
	if !info.ModTime().Equal(changed) {
		t.Errorf("changed at %s", info.ModTime())
	}
}

// killed is a machine that stops in the middle of storing: what rclone knows that it has
// to store is in its cache, and stored by the next mount.
func (c *rcloneMount) killed(t *testing.T) {
	for i := range 6 {
		name := fmt.Sprintf("before the end %d", i)
		must(t, os.WriteFile(filepath.Join(c.dir, name), random(11, i, 9*mib), 0o600))
		copyFile(t, filepath.Join(c.dir, name), filepath.Join(c.root, "tree", name))
	}
	c.queued(t, "tree/before the end 5")
	began := time.Now()
	c.kill()
	must(t, os.Remove(c.socket()))
	c.start(t, "second")
	c.same(t)
	noUploadsSince(t, c.g, c.bucket, began.Add(time.Second))
	abortUploads(t, c.g, c.bucket)
}

// queued waits until the file is in line to be stored, or stored.
func (c *rcloneMount) queued(t *testing.T, name string) {
	t.Helper()
	for deadline := time.Now().Add(settleTimeout); ; time.Sleep(20 * time.Millisecond) {
		queue := c.run("rc", "--unix-socket", c.socket(), "vfs/queue")
		if strings.Contains(queue, name) {
			return
		}
		if _, err := newMinio(t, c.g).StatObject(t.Context(), c.bucket, name, minio.StatObjectOptions{}); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not in line after %s: %s\n%s", name, settleTimeout, queue, c.log)
		}
	}
}

// abortUploads ends what a client that was killed has begun, as a lifecycle would.
func abortUploads(t *testing.T, g *gateway, bucket string) {
	t.Helper()
	c := newMinio(t, g)
	uploads, err := c.ListMultipartUploads(t.Context(), bucket, "", "", "", "", 1000)
	must(t, err)
	for _, u := range uploads.Uploads {
		must(t, c.AbortMultipartUpload(t.Context(), bucket, u.Key, u.UploadID))
	}
}

func (c *rcloneMount) removal(t *testing.T) {
	if err := os.Remove(filepath.Join(c.root, "tree")); err == nil {
		t.Error("a folder with files was removed")
	}
	must(t, os.RemoveAll(filepath.Join(c.root, "tree")))
	storedTree(t, c.g, c.bucket, "", t.TempDir())
}

// TestMoreRcloneBisync keeps two folders and a bucket the same while all change.
func TestMoreRcloneBisync(t *testing.T) { onEach(t, testRcloneBisync) }

func testRcloneBisync(t *testing.T, g *gateway) {
	t.Parallel()
	p, remote := newerRclone(t, g)
	bucket := bucketName(t)
	client := newMinio(t, g)
	must(t, client.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
	put := func(key, text string) {
		t.Helper()
		_, err := client.Client.PutObject(t.Context(), bucket, key, strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{})
		must(t, err)
	}
	one, two := mixedTree(t, slices.Clone(allSizes)...), t.TempDir()
	bisync := func(dir string, args ...string) {
		t.Helper()
		p.run(slices.Concat([]string{"bisync", dir, remote + bucket + "/side", "--workdir", filepath.Join(p.home, filepath.Base(dir)), "--compare", "size,modtime,checksum",
			"--max-delete", "90"}, args)...)
	}
	all := func() {
		t.Helper()
		bisync(one)
		bisync(two)
		bisync(one)
		sameTree(t, two, one)
		storedTree(t, g, bucket, "side/", one)
	}
	bisync(one, "--resync")
	bisync(two, "--resync")
	all()
	sameTimes(t, two, one)

	// Changes on every side, each of another file: a new one, another content, a removal.
	writeFile(t, filepath.Join(one, "new of one"), "1")
	writeFile(t, filepath.Join(one, "odd", "with space"), "changed by one")
	must(t, os.Remove(filepath.Join(one, "65536.bin")))
	writeFile(t, filepath.Join(two, "new/of two"), "2")
	copyFile(t, corpus(t, 17*mib), filepath.Join(two, "new/large"))
	writeFile(t, filepath.Join(two, "odd", "a&b=c?d#e"), "changed by two")
	must(t, os.Remove(filepath.Join(two, "4096.bin")))
	put("side/new of the bucket", "3")
	put("side/odd/%2F", "changed in the bucket")
	must(t, client.RemoveObject(t.Context(), bucket, "side/65537.bin", minio.RemoveObjectOptions{}))
	all()
	for name, want := range map[string]string{
		"new of one": "1", "new/of two": "2", "new of the bucket": "3",
		"odd/with space": "changed by one", "odd/a&b=c?d#e": "changed by two", "odd/%2F": "changed in the bucket",
	} {
		sameText(t, filepath.Join(one, name), want)
	}
	for _, name := range []string{"65536.bin", "4096.bin", "65537.bin"} {
		if _, err := os.Stat(filepath.Join(one, name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}

	// Both sides change one file: neither content is lost.
	writeFile(t, filepath.Join(one, "new of one"), "one has this")
	put("side/new of one", "the bucket has that")
	all()
	sameText(t, filepath.Join(one, "new of one.conflict1"), "one has this")
	sameText(t, filepath.Join(one, "new of one.conflict2"), "the bucket has that")
	if _, err := os.Stat(filepath.Join(one, "new of one")); err == nil {
		t.Error("a conflict was decided")
	}
	p.run("check", "--download", one, remote+bucket+"/side")
	noUploads(t, g, bucket)
}

func sameText(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s: %q %v instead of %q", path, got, err, want)
	}
}

// TestMoreRcloneServe has rclone offer the gateway's buckets by S3 of its own.
func TestMoreRcloneServe(t *testing.T) { onEach(t, testRcloneServe) }

func testRcloneServe(t *testing.T, g *gateway) {
	t.Parallel()
	p, remote := newerRclone(t, g)
	addresses, err := servers.FreeAddresses(1)
	must(t, err)
	// Without a cache, so that what it has answered to is stored.
	server, err := servers.Start(servers.Spec{Name: "rclone", Program: p.path, Env: p.env, Log: filepath.Join(p.home, "log"),
		Args: []string{"serve", "s3", remote, "--addr", addresses[0], "--auth-key", accessKey + "," + secretKey, "--vfs-cache-mode", "off"}})
	must(t, err)
	t.Cleanup(func() {
		must(t, server.Stop())
		if t.Failed() {
			t.Log(server.Tail())
		}
	})
	must(t, server.Ready(t.Context(), servers.Answers(addresses[0])))
	// It has no checksums but MD5.
	c, err := minio.NewCore(addresses[0], &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: region, MaxRetries: 1})
	must(t, err)
	bucket := bucketName(t)
	must(t, c.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
	if there, err := newMinio(t, g).BucketExists(t.Context(), bucket); err != nil || !there {
		t.Fatalf("the bucket is not in the gateway: %v", err)
	}
	want := t.TempDir()
	for _, size := range append(slices.Clone(allSizes), 64*mib) {
		serveFile(t, c, g, bucket, fmt.Sprintf("sizes/%d.bin", size), corpus(t, size))
	}
	for _, name := range oddNames() {
		serveFile(t, c, g, bucket, "odd/"+name, writeFile(t, filepath.Join(want, name), name))
	}
	servePieces(t, c, bucket)
	// A copy, and removals.
	_, err = c.Client.CopyObject(t.Context(), minio.CopyDestOptions{Bucket: bucket, Object: "copied"}, minio.CopySrcOptions{Bucket: bucket, Object: "sizes/65537.bin"})
	must(t, err)
	stored(t, g, bucket, "copied", corpus(t, 65537))
	must(t, c.RemoveObject(t.Context(), bucket, "copied", minio.RemoveObjectOptions{}))
	for err := range c.RemoveObjects(t.Context(), bucket, c.Client.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true, Prefix: "sizes/"}), minio.RemoveObjectsOptions{}) {
		t.Errorf("%s: %v", err.ObjectName, err.Err)
	}
	storedTree(t, g, bucket, "odd/", want)
	if left := listed(t, newMinio(t, g), bucket); !slices.Equal(left, listed(t, c, bucket)) || len(left) != len(oddNames()) {
		t.Errorf("left: %q", left)
	}
	noUploads(t, g, bucket)
}

// serveFile stores a file through rclone, reads it there and in the gateway.
func serveFile(t *testing.T, c *minio.Core, g *gateway, bucket, key, path string) {
	t.Helper()
	_, err := c.FPutObject(t.Context(), bucket, key, path, minio.PutObjectOptions{PartSize: 16 * mib, SendContentMd5: true})
	must(t, err)
	stored(t, g, bucket, key, path)
	r, _, _, err := c.GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
	must(t, err)
	defer r.Close()
	sameContent(t, r, path)
}

// servePieces reads ranges of an object.
func servePieces(t *testing.T, c *minio.Core, bucket string) {
	t.Helper()
	body := random(17*mib, 0, 17*mib)
	for _, at := range []int64{0, 5*mib - 3, 17*mib - 100_000} {
		var o minio.GetObjectOptions
		must(t, o.SetRange(at, at+99_999))
		r, _, _, err := c.GetObject(t.Context(), bucket, fmt.Sprintf("sizes/%d.bin", 17*mib), o)
		must(t, err)
		got, err := io.ReadAll(r)
		must(t, err)
		must(t, r.Close())
		if !bytes.Equal(got, body[at:at+100_000]) {
			t.Errorf("other bytes at %d", at)
		}
	}
}

func listed(t *testing.T, c *minio.Core, bucket string) (keys []string) {
	t.Helper()
	for o := range c.Client.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		must(t, o.Err)
		keys = append(keys, o.Key)
	}
	return keys
}
