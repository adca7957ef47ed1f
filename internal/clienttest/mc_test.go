//go:build clients

package clienttest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// TestMC is MinIO's client. Its tag and its share upload are left out: they need
// object tagging and browser form uploads.
func TestMC(t *testing.T) { onEach(t, testMC) }

func testMC(t *testing.T, g *gateway) {
	t.Parallel()
	p := installed(t, g, servers.MC)
	p.version("--version")
	c := &mcTest{program: p, g: g, bucket: bucketName(t)}
	// It tries the credential before it takes the alias.
	c.fails("does not match", "alias", "set", "wrong", g.s3, accessKey, "another/secret", "--path", "on")
	c.run("alias", "set", "gw", g.s3, accessKey, secretKey, "--path", "on")
	c.run("mb", c.at(""))
	for _, part := range []func(*testing.T){c.files, c.step, c.single, c.copies, c.attributes, c.shared, c.uploads, c.listing, c.removal} {
		part(t)
	}
}

// installed is a client that is built from Go source.
func installed(t *testing.T, g *gateway, program servers.GoProgram) *program {
	t.Helper()
	path, err := program.Path(t.Context())
	must(t, err)
	t.Logf("client: %s %s", program.Package, program.Version)
	return newProgram(t, g, path)
}

type mcTest struct {
	*program
	g      *gateway
	bucket string
	dir    string // what is stored below files/
}

func (c *mcTest) at(key string) string { return "gw/" + c.bucket + "/" + key }

// lines runs a command that prints JSON and decodes each line into a T.
func mcLines[T any](c *mcTest, args ...string) (list []T) {
	c.t.Helper()
	for line := range strings.Lines(c.run(append([]string{"--json"}, args...)...)) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			c.t.Fatalf("%s: %v in %q", args, err, line)
		}
		list = append(list, v)
	}
	return list
}

// files stores a folder of all sizes, the large ones in parts, and brings it back.
func (c *mcTest) files(t *testing.T) {
	c.dir = mixedTree(t, append(slices.Clone(allSizes), 64*mib)...)
	aged(t, c.dir)
	c.run("--quiet", "cp", "--recursive", c.dir+"/", c.at("files/"))
	noUploads(t, c.g, c.bucket)
	storedTree(t, c.g, c.bucket, "files/", c.dir)
	back := filepath.Join(c.home, "back")
	c.run("--quiet", "cp", "--recursive", c.at("files/"), back)
	sameTree(t, back, c.dir)
}

type mcDiff struct{ First, Second string }

// step keeps the stored folder in step with one that changes.
func (c *mcTest) step(t *testing.T) {
	if found := mcLines[mcDiff](c, "diff", c.dir, c.at("files")); len(found) > 0 {
		t.Errorf("diff: %+v", found)
	}
	must(t, os.Remove(filepath.Join(c.dir, "65536.bin")))
	writeFile(t, filepath.Join(c.dir, "odd/with space"), "changed")
	writeFile(t, filepath.Join(c.dir, "new/file.txt"), "new")
	aged(t, c.dir)
	if found := mcLines[mcDiff](c, "diff", c.dir, c.at("files")); len(found) != 3 {
		t.Errorf("diff: %+v", found)
	}
	c.run("--quiet", "mirror", "--overwrite", "--remove", c.dir, c.at("files"))
	storedTree(t, c.g, c.bucket, "files/", c.dir)
	if found := mcLines[mcDiff](c, "diff", c.dir, c.at("files")); len(found) > 0 {
		t.Errorf("diff after mirror: %+v", found)
	}
	back := filepath.Join(c.home, "mirrored")
	c.run("--quiet", "mirror", c.at("files"), back)
	sameTree(t, back, c.dir)
}

func (c *mcTest) single(t *testing.T) {
	for _, size := range []int64{0, 65537, 17 * mib} {
		back := filepath.Join(c.home, fmt.Sprint(size))
		c.run("--quiet", "put", corpus(t, size), c.at(fmt.Sprintf("single/%d", size)))
		c.run("--quiet", "get", c.at(fmt.Sprintf("single/%d", size)), back)
		sameFile(t, back, corpus(t, size))
	}
	c.feed("from stdin\nand more", "--quiet", "pipe", c.at("single/stream"))
	if out := c.run("cat", c.at("single/stream")); out != "from stdin\nand more" {
		t.Errorf("cat: %q", out)
	}
	if out := c.run("head", "-n", "1", c.at("single/stream")); out != "from stdin\n" {
		t.Errorf("head: %q", out)
	}
	if out := c.run("cat", "--offset", "5", c.at("single/stream")); out != "stdin\nand more" {
		t.Errorf("cat from the middle: %q", out)
	}
	c.fails("does not exist", "cat", c.at("single/absent"))
	c.fails("does not exist", "stat", c.at("single/absent"))
	for _, algorithm := range []string{"CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"} {
		for _, size := range []int64{65537, 17 * mib} {
			key := fmt.Sprintf("checksums/%s-%d", algorithm, size)
			c.run("--quiet", "cp", "--checksum", algorithm, corpus(t, size), c.at(key))
			stored(t, c.g, c.bucket, key, corpus(t, size))
		}
	}
	sum := sha256.Sum256(random(65537, 0, 65537))
	if s := c.stat("checksums/SHA256-65537"); s.Checksum["SHA256"] != base64.StdEncoding.EncodeToString(sum[:]) {
		t.Errorf("stat: %+v", s)
	}
}

type mcStat struct {
	Name     string
	Size     int64
	Metadata map[string]string
	Checksum map[string]string
}

func (c *mcTest) stat(key string) mcStat {
	c.t.Helper()
	list := mcLines[mcStat](c, "stat", c.at(key))
	if len(list) != 1 {
		c.t.Fatalf("stat: %+v", list)
	}
	return list[0]
}

// copies are made by the server.
func (c *mcTest) copies(t *testing.T) {
	c.run("--quiet", "cp", c.at("single/65537"), c.at("copy/small +%20"))
	stored(t, c.g, c.bucket, "copy/small +%20", corpus(t, 65537))
	large := fmt.Sprintf("files/%d.bin", 64*mib)
	c.run("--quiet", "cp", c.at(large), c.at("copy/large"))
	stored(t, c.g, c.bucket, "copy/large", corpus(t, 64*mib))
	c.run("--quiet", "mv", c.at("copy/large"), c.at("copy/moved"))
	stored(t, c.g, c.bucket, "copy/moved", corpus(t, 64*mib))
	c.fails("does not exist", "stat", c.at("copy/large"))
}

func (c *mcTest) attributes(t *testing.T) {
	c.run("--quiet", "cp", "--attr", "colour=blue;Cache-Control=no-cache;Content-Type=text/x-test", corpus(t, 65537), c.at("attributes"))
	s := c.stat("attributes")
	if s.Size != 65537 || s.Metadata["Content-Type"] != "text/x-test" || s.Metadata["Cache-Control"] != "no-cache" || s.Metadata["X-Amz-Meta-Colour"] != "blue" {
		t.Errorf("stat: %+v", s)
	}
}

// shared are presigned URLs.
func (c *mcTest) shared(t *testing.T) {
	list := mcLines[struct{ Share string }](c, "share", "download", "--expire", "10m", c.at("attributes"))
	if len(list) != 1 {
		t.Fatalf("share: %+v", list)
	}
	if _, body := fetch(t, http.MethodGet, list[0].Share, nil, http.StatusOK); !bytes.Equal(body, random(65537, 0, 65537)) {
		t.Errorf("%d other bytes", len(body))
	}
	other := strings.Replace(list[0].Share, "attributes", "single/stream", 1)
	fetch(t, http.MethodGet, other, nil, http.StatusForbidden)
}

func (c *mcTest) uploads(t *testing.T) {
	core := newMinio(t, c.g)
	id, err := core.NewMultipartUpload(t.Context(), c.bucket, "upload", minio.PutObjectOptions{})
	must(t, err)
	_, err = core.PutObjectPart(t.Context(), c.bucket, "upload", id, 1, strings.NewReader("part"), 4, minio.PutObjectPartOptions{})
	must(t, err)
	if out := c.run("ls", "--incomplete", "--recursive", c.at("")); !strings.Contains(out, "upload") {
		t.Errorf("ls --incomplete: %q", out)
	}
	c.run("rm", "--incomplete", "--recursive", "--force", c.at("upload"))
	noUploads(t, c.g, c.bucket)
}

func (c *mcTest) listing(t *testing.T) {
	populate(t, c.g, c.bucket, "many/%04d", 1050)
	if n := strings.Count(c.run("ls", "--recursive", c.at("many/")), "\n"); n != 1050 {
		t.Errorf("%d lines", n)
	}
	if out := c.run("ls", c.at("")); !strings.Contains(out, " many/\n") || strings.Contains(out, "0001") {
		t.Errorf("ls:\n%s", out)
	}
	if out := c.run("find", c.at(""), "--name", "*.txt"); out != c.at("files/new/file.txt")+"\n" {
		t.Errorf("find: %q", out)
	}
	sizes := mcLines[struct{ Size, Objects int64 }](c, "du", c.at("many"))
	if len(sizes) != 1 || sizes[0].Objects != 1050 || sizes[0].Size != 1050*int64(len("many/0000")) {
		t.Errorf("du: %+v", sizes)
	}
}

func (c *mcTest) removal(t *testing.T) {
	c.run("rm", c.at("attributes"))
	c.fails("does not exist", "stat", c.at("attributes"))
	c.run("--quiet", "rm", "--recursive", "--force", c.at("many/"))
	if out := c.run("ls", "--recursive", c.at("many/")); out != "" {
		t.Errorf("left:\n%s", out)
	}
	c.fails("not empty", "rb", c.at(""))
	c.run("rb", "--force", c.at(""))
	c.fails("does not exist", "ls", c.at(""))
}
