//go:build clients

package clienttest

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// TestS3backer keeps a disk in blocks, plain and compressed and encrypted.
func TestS3backer(t *testing.T) { onEach(t, testS3backer) }

func testS3backer(t *testing.T, g *gateway) {
	p := require(t, g, "s3backer", "s3backer")
	p.version("--version")
	for name, more := range map[string][]string{
		"plain": nil,
		"sealed": {"--compress", "--encrypt", "--passwordFile=" + writeFile(t, filepath.Join(p.home, "password"), "of the test"),
			"--blockHashPrefix"},
	} {
		t.Run(name, func(t *testing.T) {
			q := *p
			q.t = t
			bucket := bucketName(t)
			must(t, newMinio(t, g).MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
			c := &s3backerTest{program: &q, g: g, bucket: bucket, file: filepath.Join(work, bucket), args: append([]string{
				"--accessFile=" + writeFile(t, filepath.Join(p.home, "access"), accessKey+":"+secretKey+"\n"), "--baseURL=" + g.s3 + "/",
				"--prefix=disk/", "--maxRetryPause=1000", "--minWriteDelay=0", "--md5CacheSize=0", "--md5CacheTime=0"}, more...)}
			c.test(t)
		})
	}
}

type s3backerTest struct {
	*program
	*mount
	g      *gateway
	bucket string
	file   string
	args   []string
}

func (c *s3backerTest) start(t *testing.T, more ...string) {
	t.Helper()
	root := filepath.Join(work, c.bucket)
	c.mount = startMount(t, c.g, c.program, root, slices.Concat([]string{"-f"}, c.args, more, []string{c.bucket, root})...)
	c.file = filepath.Join(root, "file")
}

func (c *s3backerTest) test(t *testing.T) {
	const size = 24 * mib
	want := filepath.Join(c.home, "want "+c.bucket)
	must(t, os.WriteFile(want, random(3, 3, 17*mib), 0o600))
	must(t, os.Truncate(want, size))
	c.start(t, fmt.Sprint("--size=", size), "--blockSize=262144")
	for _, path := range []string{c.file, want} {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		must(t, err)
		_, err = f.WriteAt(random(3, 3, 17*mib), 0)
		must(t, err)
		_, err = f.WriteAt([]byte("in the middle of a block"), 20*mib+777)
		must(t, err)
		_, err = f.WriteAt(make([]byte, mib), 3*mib) // which s3backer deletes
		must(t, err)
		must(t, f.Sync())
		must(t, f.Close())
	}
	c.unmount(t)
	// A new mount asks the gateway for the size, and which blocks there are.
	c.start(t, "--listBlocks")
	sameFile(t, c.file, want)
	c.unmount(t)
	c.start(t, "--readOnly")
	sameFile(t, c.file, want)
	c.unmount(t)
	c.run(slices.Concat(c.args, []string{"--erase", "--force", c.bucket})...)
	for o := range newMinio(t, c.g).Client.ListObjects(t.Context(), c.bucket, minio.ListObjectsOptions{Recursive: true}) {
		must(t, o.Err)
		t.Errorf("left: %s", o.Key)
	}
}

// TestNbdkit serves objects as block devices.
func TestNbdkit(t *testing.T) { onEach(t, testNbdkit) }

func testNbdkit(t *testing.T, g *gateway) {
	t.Parallel()
	c := &nbdkitTest{program: require(t, g, "nbdkit", "nbdkit-plugin-python"), g: g, bucket: bucketName(t),
		copies: require(t, g, "nbdcopy", "libnbd-bin"), shell: require(t, g, "nbdsh", "python3-libnbd")}
	c.version("S3", "--version")
	client := newMinio(t, g)
	must(t, client.MakeBucket(t.Context(), c.bucket, minio.MakeBucketOptions{}))

	// A disk in objects of 64 KiB.
	disk := []string{"key=disk", "size=17M", "object-size=64k"}
	want := filepath.Join(c.home, "want")
	copyFile(t, corpus(t, 17*mib), want)
	uri := c.serve(t, disk)
	c.copies.run(want, uri)
	c.stored(t, "disk/", want)
	// libnbd asks for whole objects, nbdkit takes any piece.
	const unaligned = "h.set_strict_mode(h.get_strict_mode() & ~nbd.STRICT_ALIGN)"
	f, err := os.OpenFile(want, os.O_WRONLY, 0)
	must(t, err)
	for at, text := range map[int64]string{1000: "in an object", 5*65536 - 7: "across two objects"} {
		_, err := f.WriteAt([]byte(text), at)
		must(t, err)
		c.shell.run("-u", uri, "-c", unaligned, "-c", fmt.Sprintf("h.pwrite(%q.encode(), %d)", text, at))
	}
	// The plugin deletes whole objects; of others it leaves a piece as it was, unless holes
	// are forbidden.
	for at, flag := range map[int64]string{8 * 65536: "0", 20*65536 + 5: "nbd.CMD_FLAG_NO_HOLE"} {
		const length = 3 * 65536
		_, err := f.WriteAt(make([]byte, length), at)
		must(t, err)
		c.shell.run("-u", uri, "-c", unaligned, "-c", fmt.Sprintf("h.zero(%d, %d, %s)", length, at, flag))
	}
	must(t, f.Close())
	back := filepath.Join(c.home, "back")
	c.copies.run(c.serve(t, disk), back) // another server
	sameFile(t, back, want)

	// One object, read in pieces.
	_, err = client.Client.FPutObject(t.Context(), c.bucket, "one object", want, minio.PutObjectOptions{})
	must(t, err)
	must(t, os.Remove(back))
	c.copies.run(c.serve(t, []string{"key=one object"}), back)
	sameFile(t, back, want)
}

type nbdkitTest struct {
	*program
	g             *gateway
	bucket        string
	copies, shell *program
}

// serve starts a server and returns its URI.
func (c *nbdkitTest) serve(t *testing.T, args []string) string {
	t.Helper()
	addresses, err := servers.FreeAddresses(1)
	must(t, err)
	host, port, err := net.SplitHostPort(addresses[0])
	must(t, err)
	p, err := servers.Start(servers.Spec{Name: "nbdkit", Program: c.path, Env: c.env, Log: filepath.Join(c.home, port+".log"),
		Args: slices.Concat([]string{"-f", "-i", host, "-p", port, "S3", "endpoint-url=" + c.g.s3, "bucket=" + c.bucket}, args)})
	must(t, err)
	t.Cleanup(func() {
		must(t, p.Stop())
		if t.Failed() {
			t.Log(p.Tail())
		}
	})
	must(t, p.Ready(t.Context(), servers.Answers(addresses[0])))
	return "nbd://" + addresses[0]
}

// stored demands that the objects below a prefix are the file, one after the other.
func (c *nbdkitTest) stored(t *testing.T, prefix, want string) {
	t.Helper()
	client := newMinio(t, c.g)
	var all []io.Reader
	for o := range client.Client.ListObjects(t.Context(), c.bucket, minio.ListObjectsOptions{Prefix: prefix}) {
		must(t, o.Err)
		r, _, _, err := client.GetObject(t.Context(), c.bucket, o.Key, minio.GetObjectOptions{})
		must(t, err)
		body, err := io.ReadAll(r)
		must(t, err)
		must(t, r.Close())
		all = append(all, strings.NewReader(string(body)))
	}
	sameContent(t, io.MultiReader(all...), want)
}
