//go:build clients

package clienttest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// TestBarmanCloud backs a PostgreSQL cluster up with its log, by the commands
// that Barman has for clouds, and restores it.
func TestBarmanCloud(t *testing.T) { onFirst(t, testBarmanCloud) }

func testBarmanCloud(t *testing.T, g *gateway) {
	t.Parallel()
	c := &barmanTest{program: require(t, g, "barman-cloud-backup", "barman-cli-cloud"), cluster: newCluster(t, filepath.Join(t.TempDir(), "cluster")), g: g, bucket: bucketName(t)}
	c.version("--version")
	c.t, c.as, c.dir = t, c.RunAs, filepath.Dir(c.Data())
	must(t, newMinio(t, g).MakeBucket(t.Context(), c.bucket, minio.MakeBucketOptions{}))
	// The server archives with an environment of its own.
	c.archive("env AWS_ACCESS_KEY_ID=" + accessKey + " AWS_SECRET_ACCESS_KEY=" + secretKey + " AWS_DEFAULT_REGION=" + region + " HOME=/nonexistent " +
		filepath.Join(filepath.Dir(c.path), "barman-cloud-wal-archive") + " --gzip " + strings.Join(c.target(), " ") + " %p")

	c.on("check-wal-archive")
	c.fill(20_000)
	c.backup("--name", "monday")
	noUploads(t, g, c.bucket)
	c.fill(2_000)
	c.exec("DELETE FROM t WHERE id % 7 = 0")
	want := c.digest()
	c.archived()
	first := c.backups(t, 1)[0]
	c.restored(t, first, want)
	// There is a log by now, which another cluster's must not be mixed with.
	c.command("check-wal-archive").fails("Expected empty archive", c.target()...)

	c.backup("--name", "tuesday", "--gzip")
	second := c.backups(t, 2)[1]
	c.command("backup-delete").run(append([]string{"--backup-id", first}, c.target()...)...)
	if left := c.backups(t, 1); left[0] != second {
		t.Errorf("backup %s is left instead of %s", left[0], second)
	}
	c.archived()
	want = c.digest()
	c.restored(t, second, want)
	c.refused(t, second)
}

type barmanTest struct {
	*program
	*cluster
	t        *testing.T
	g        *gateway
	bucket   string
	restores int
}

// target are the arguments that all commands have.
func (c *barmanTest) target() []string {
	return []string{"--endpoint-url", c.g.s3, "s3://" + c.bucket + "/barman", "main"}
}

func (c *barmanTest) command(name string) *program {
	p := *c.program
	p.path = filepath.Join(filepath.Dir(c.path), "barman-cloud-"+name)
	return &p
}

func (c *barmanTest) on(name string, more ...string) string {
	c.t.Helper()
	return c.command(name).run(append(c.target(), more...)...)
}

func (c *barmanTest) backup(args ...string) {
	c.t.Helper()
	args = append(args, "--immediate-checkpoint", "-h", c.dir, "-p", c.port(), "-U", servers.PostgresUser, "-d", "postgres")
	c.run(append(args, c.target()...)...)
}

// backups are the ids of the backups, of which there are n, all whole.
func (c *barmanTest) backups(t *testing.T, n int) (ids []string) {
	t.Helper()
	var list struct {
		Backups []struct {
			ID     string `json:"backup_id"`
			Status string
		} `json:"backups_list"`
	}
	must(t, json.Unmarshal([]byte(c.on("backup-list", "--format", "json")), &list))
	for _, b := range list.Backups {
		if b.Status != "DONE" {
			t.Errorf("backup %s is %s", b.ID, b.Status)
		}
		ids = append(ids, b.ID)
	}
	if len(ids) != n {
		t.Fatalf("%d backups instead of %d", len(ids), n)
	}
	return ids
}

// restored demands that a backup, with all of the log that was archived since,
// is what the cluster is.
func (c *barmanTest) restored(t *testing.T, id, want string) {
	t.Helper()
	c.restores++
	dir, err := c.Share(strings.Repeat("r", c.restores))
	must(t, err)
	data := filepath.Join(dir, "data")
	c.on("restore", id, data)
	// Barman leaves it to the administrator to begin the recovery.
	_, err = c.ShareFile(filepath.Join(filepath.Base(dir), "data", "recovery.signal"), nil)
	must(t, err)
	_, err = c.ShareFile(filepath.Join(filepath.Base(dir), "data", "postgresql.auto.conf"), []byte("restore_command = "+
		quoteSQL("env AWS_ACCESS_KEY_ID="+accessKey+" AWS_SECRET_ACCESS_KEY="+secretKey+" AWS_DEFAULT_REGION="+region+" HOME=/nonexistent "+
			filepath.Join(filepath.Dir(c.path), "barman-cloud-wal-restore")+" "+strings.Join(c.target(), " ")+" %f %p")+"\n"))
	must(t, err)
	must(t, os.Chmod(data, 0o700))
	if got := openCluster(t, dir).digest(); got != want {
		t.Errorf("%s was restored instead of %s", got, want)
	}
}

func (c *barmanTest) refused(t *testing.T, id string) {
	dir, err := c.Share("refused")
	must(t, err)
	c.command("restore").fails("", append(c.target(), "20000101T000000", filepath.Join(dir, "data"))...)
	// An archive of the backup is gone.
	client := newMinio(t, c.g)
	key := "barman/main/base/" + id + "/data.tar.gz"
	must(t, client.Client.RemoveObject(t.Context(), c.bucket, key, minio.RemoveObjectOptions{}))
	c.command("restore").fails("", append(c.target(), id, filepath.Join(dir, "data"))...)
	wrong := c.command("backup-list").with("AWS_SECRET_ACCESS_KEY=another")
	wrong.fails("", c.target()...)
}
