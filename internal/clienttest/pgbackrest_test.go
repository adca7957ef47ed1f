//go:build clients

package clienttest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// TestPgBackRest backs a PostgreSQL cluster up, in full and by what has changed,
// with its log, and restores it. pgBackRest speaks S3 over TLS alone.
func TestPgBackRest(t *testing.T) {
	t.Parallel()
	certificate, err := servers.NewCertificate(t.TempDir())
	must(t, err)
	const bucket = "pgbackrest"
	g := start(t, "SANCTUM_TLS_CERT_FILE="+certificate.CertFile, "SANCTUM_TLS_KEY_FILE="+certificate.KeyFile, "SANCTUM_BUCKETS="+bucket)
	c := &pgBackRestTest{program: require(t, g, "pgbackrest", "pgbackrest"), cluster: newCluster(t, filepath.Join(t.TempDir(), "cluster"))}
	c.version("version")
	c.configure(t, g, bucket, certificate)
	c.archive(c.path + " --config=" + c.config + " --stanza=main archive-push %p")

	c.run(c.args("stanza-create")...)
	c.run(c.args("check")...)
	c.fill(20_000)
	c.run(c.args("backup", "--type=full")...)
	c.fill(2_000)
	c.exec("DELETE FROM t WHERE id % 7 = 0")
	c.run(c.args("backup", "--type=incr")...)
	c.fill(500)
	want := c.digest()
	c.archived()
	c.restored(t, want)
	c.backups(t, "full", "incr")
	c.run(c.args("verify")...)
	c.run(c.args("backup", "--type=full", "--repo1-retention-full=1")...)
	c.backups(t, "full")
	c.refused(t)
}

type pgBackRestTest struct {
	*program
	*cluster
	t      *testing.T
	config string
}

// configure writes pgBackRest's configuration, which belongs to the cluster's
// user, as whom it runs.
func (c *pgBackRestTest) configure(t *testing.T, g *gateway, bucket string, certificate servers.Certificate) {
	t.Helper()
	c.t, c.as = t, c.RunAs
	authority, err := os.ReadFile(certificate.CertFile)
	must(t, err)
	ca, err := c.ShareFile("ca.pem", authority)
	must(t, err)
	at, err := url.Parse(g.s3)
	must(t, err)
	work, err := c.Share("pgbackrest")
	must(t, err)
	c.config, err = c.ShareFile("pgbackrest.conf", fmt.Appendf(nil, `[global]
repo1-type=s3
repo1-path=/backups
repo1-s3-bucket=%s
repo1-s3-endpoint=localhost
repo1-s3-region=%s
repo1-s3-key=%s
repo1-s3-key-secret=%s
repo1-s3-uri-style=path
repo1-storage-host=localhost
repo1-storage-port=%s
repo1-storage-ca-file=%s
repo1-bundle=y
repo1-retention-full=5
log-level-file=off
log-level-console=warn
log-path=%[7]s
lock-path=%[7]s
spool-path=%[7]s
process-max=2
start-fast=y
[main]
pg1-path=%[8]s
pg1-port=%[9]s
pg1-socket-path=%[10]s
pg1-user=%[11]s
pg1-database=postgres
`, bucket, region, accessKey, secretKey, at.Port(), ca, work, c.Data(), c.port(), filepath.Dir(c.Data()), servers.PostgresUser))
	must(t, err)
	c.dir = filepath.Dir(c.Data())
}

func (c *pgBackRestTest) args(command string, more ...string) []string {
	return append([]string{"--config=" + c.config, "--stanza=main", command}, more...)
}

type pgBackRestInfo struct {
	Backup []struct{ Type, Label string }
	Status struct{ Message string }
}

func (c *pgBackRestTest) info(t *testing.T) pgBackRestInfo {
	t.Helper()
	var list []pgBackRestInfo
	must(t, json.Unmarshal([]byte(c.run(c.args("info", "--output=json")...)), &list))
	if len(list) != 1 || len(list[0].Backup) == 0 {
		t.Fatalf("info: %+v", list)
	}
	return list[0]
}

// backups demands that there are backups of these types, in turn.
func (c *pgBackRestTest) backups(t *testing.T, types ...string) {
	t.Helper()
	info := c.info(t)
	var got []string
	for _, b := range info.Backup {
		got = append(got, b.Type)
	}
	if info.Status.Message != "ok" || strings.Join(got, " ") != strings.Join(types, " ") {
		t.Errorf("%+v instead of %q", info, types)
	}
}

// restored demands that what is restored into a new cluster, with all of the log
// that was archived, is what it was.
func (c *pgBackRestTest) restored(t *testing.T, want string) {
	t.Helper()
	dir, err := c.Share("restored")
	must(t, err)
	c.run(c.args("restore", "--pg1-path="+filepath.Join(dir, "data"))...)
	if got := openCluster(t, dir).digest(); got != want {
		t.Errorf("%s was restored instead of %s", got, want)
	}
}

func (c *pgBackRestTest) refused(t *testing.T) {
	wrong := *c.program
	wrong.env = append(slices.Clone(c.env), "PGBACKREST_REPO1_S3_KEY_SECRET=another")
	wrong.fails("SignatureDoesNotMatch", c.args("check", "--io-timeout=5")...)
	other, err := servers.NewCertificate(t.TempDir())
	must(t, err)
	pem, err := os.ReadFile(other.CertFile)
	must(t, err)
	ca, err := c.ShareFile("other.pem", pem)
	must(t, err)
	c.fails("certificate", c.args("stanza-create", "--io-timeout=5", "--repo1-storage-ca-file="+ca)...)
	// The bundles of the backup are gone.
	label := c.info(t).Backup[0].Label
	c.run(c.args("repo-rm", "--recurse", "backup/main/"+label+"/bundle")...)
	dir, err := c.Share("broken")
	must(t, err)
	c.fails("unable to", c.args("restore", "--io-timeout=5", "--pg1-path="+filepath.Join(dir, "data"))...)
}
