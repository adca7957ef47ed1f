//go:build clients

package clienttest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// TestRestic keeps a repository: packs, indexes, locks that come and go, and the
// whole of it read again.
func TestRestic(t *testing.T) { onEach(t, testRestic) }

func testRestic(t *testing.T, g *gateway) {
	t.Parallel()
	bucket := bucketName(t)
	p := require(t, g, "restic", "restic").with("RESTIC_REPOSITORY=s3:"+g.s3+"/"+bucket+"/repo", "RESTIC_PASSWORD=of the test", "RESTIC_PROGRESS_FPS=0.1")
	p.version("version")
	dir := mixedTree(t, append(slices.Clone(allSizes), 64*mib)...)
	must(t, os.Symlink("65537.bin", filepath.Join(dir, "link")))
	old := writeFile(t, filepath.Join(dir, "old"), "old")
	must(t, os.Chtimes(old, time.Time{}, time.Unix(1234567890, 0)))
	// restic makes the bucket itself.
	p.run("init")
	p.fails("already initialized", "init")
	p.at(dir).run("backup", "--tag", "first", ".")
	p.run("check", "--read-data")
	resticRestored(t, p, "latest", dir)

	must(t, os.Remove(filepath.Join(dir, "67108864.bin")))
	writeFile(t, old, "new")
	p.at(dir).run("backup", "--tag", "second", ".")
	resticRestored(t, p, "latest", dir)
	if out := p.run("dump", "--path", dir, "latest", "/old"); out != "new" {
		t.Errorf("dump: %q", out)
	}
	if n := len(resticSnapshots(t, p)); n != 2 {
		t.Errorf("%d snapshots", n)
	}
	before := usage(t, g, bucket)
	p.run("forget", "--group-by", "", "--keep-last", "1", "--prune", "--max-unused", "0")
	if after := usage(t, g, bucket); after > before-60*mib {
		t.Errorf("%d bytes of %d are left after pruning 64 MiB", after, before)
	}
	if left := resticSnapshots(t, p); len(left) != 1 || left[0].Tags[0] != "second" {
		t.Errorf("snapshots %+v", left)
	}
	p.run("check", "--read-data")
	resticRestored(t, p, "latest", dir)
	if locks := p.run("list", "locks", "--no-lock"); strings.TrimSpace(locks) != "" {
		t.Errorf("locks left behind: %s", locks)
	}
	noUploads(t, g, bucket)
	p.with("RESTIC_PASSWORD=another").fails("wrong password", "snapshots")
}

func resticRestored(t *testing.T, p *program, snapshot, dir string) {
	t.Helper()
	// A new folder and no local cache: every byte comes from the gateway.
	back := filepath.Join(t.TempDir(), "back")
	p.run("restore", "--no-cache", "--verify", "--target", back, snapshot)
	sameTree(t, back, dir)
	sameTimes(t, back, dir)
}

type resticSnapshot struct{ Tags []string }

func resticSnapshots(t *testing.T, p *program) (list []resticSnapshot) {
	t.Helper()
	must(t, json.Unmarshal([]byte(p.run("snapshots", "--json")), &list))
	return list
}

// usage is the sum of the sizes of a bucket's objects.
func usage(t *testing.T, g *gateway, bucket string) (sum int64) {
	t.Helper()
	for o := range newMinio(t, g).Client.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		must(t, o.Err)
		sum += o.Size
	}
	return sum
}
