//go:build clients

package clienttest

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// replicaTimeout is for a change to be in the replica, on a busy machine.
const replicaTimeout = 2 * time.Minute

// TestLitestream replicates a SQLite database that is being written to, is
// killed, goes on, and restores.
func TestLitestream(t *testing.T) { onEach(t, testLitestream) }

func testLitestream(t *testing.T, g *gateway) {
	t.Parallel()
	p := installed(t, g, servers.Litestream)
	c := &litestreamTest{program: p, bucket: bucketName(t), file: filepath.Join(p.home, "app.db")}
	must(t, newMinio(t, g).MakeBucket(t.Context(), c.bucket, minio.MakeBucketOptions{}))
	c.config = c.configure("config.yml", g.s3, accessKey, secretKey)
	var err error
	c.db, err = sql.Open("sqlite", "file:"+c.file+"?_pragma=journal_mode(wal)&_pragma=busy_timeout(10000)")
	must(t, err)
	t.Cleanup(func() { c.db.Close() })
	c.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")

	running := c.replicate(t)
	c.insert(300, 20_000)
	c.restored(t)
	// It is killed in the middle of it all, and what is written meanwhile follows.
	c.insert(300, 5_000)
	running.Kill()
	c.insert(20, 100_000)
	c.exec("DELETE FROM t WHERE id % 3 = 0")
	again := time.Now()
	running = c.replicate(t)
	c.restored(t)
	c.exec("UPDATE t SET body = randomblob(3000) WHERE id % 7 = 0")
	c.exec("VACUUM")
	c.restored(t)
	must(t, running.Stop())
	// A new machine has nothing but the replica.
	c.run("ltx", "-config", c.config, c.file)
	wrong := c.configure("wrong.yml", g.s3, accessKey, "another")
	c.fails("SignatureDoesNotMatch", "restore", "-config", wrong, "-o", filepath.Join(c.home, "none"), c.file)
	// The upload that was under way when it was killed is left for a lifecycle to end.
	noUploadsSince(t, g, c.bucket, again)
}

type litestreamTest struct {
	*program
	bucket       string
	config, file string
	db           *sql.DB
	restores     int
}

func (c *litestreamTest) configure(name, url, key, secret string) string {
	c.t.Helper()
	return writeFile(c.t, filepath.Join(c.home, name), fmt.Sprintf(`dbs:
  - path: %q
    replica:
      type: s3
      bucket: %q
      path: app
      endpoint: %q
      region: %q
      access-key-id: %q
      secret-access-key: %q
      force-path-style: true
      sync-interval: 100ms
`, c.file, c.bucket, url, region, key, secret))
}

func (c *litestreamTest) exec(query string, args ...any) {
	c.t.Helper()
	if _, err := c.db.ExecContext(c.t.Context(), query, args...); err != nil {
		c.t.Fatalf("%s: %v", query, err)
	}
}

// insert adds rows, each in a transaction of its own.
func (c *litestreamTest) insert(rows, size int) {
	c.t.Helper()
	for range rows {
		c.exec("INSERT INTO t (body) VALUES (randomblob(?))", size)
	}
}

func (c *litestreamTest) replicate(t *testing.T) *servers.Process {
	t.Helper()
	p, err := servers.Start(servers.Spec{Name: "litestream", Program: c.path, Args: []string{"replicate", "-config", c.config}, Log: filepath.Join(c.home, "log")})
	must(t, err)
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Log(p.Tail())
		}
	})
	return p
}

// restored demands that the replica becomes the database, in time.
func (c *litestreamTest) restored(t *testing.T) {
	t.Helper()
	want, err := digestOfTable(t, c.db)
	must(t, err)
	for deadline := time.Now().Add(replicaTimeout); ; time.Sleep(200 * time.Millisecond) {
		c.restores++
		back := filepath.Join(c.home, fmt.Sprintf("back-%d.db", c.restores))
		_, stderr, err := c.try("", "restore", "-config", c.config, "-o", back, c.file)
		got := stderr
		if err == nil {
			got = c.read(t, back)
		}
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the replica is %s instead of %s after %s", got, want, replicaTimeout)
		}
	}
}

// read is the digest of a restored database, which must be whole.
func (c *litestreamTest) read(t *testing.T, path string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	must(t, err)
	defer db.Close()
	var check string
	must(t, db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&check))
	if check != "ok" {
		t.Fatalf("a restored database is broken: %s", check)
	}
	digest, err := digestOfTable(t, db)
	if err != nil {
		return err.Error() // from before the table was made
	}
	return digest
}

// digestOfTable tells tables with different rows apart.
func digestOfTable(t *testing.T, db *sql.DB) (string, error) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT id, body FROM t ORDER BY id")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	sum, n := sha256.New(), 0
	for rows.Next() {
		var id int64
		var body []byte
		if err := rows.Scan(&id, &body); err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%d %x\n", id, body)
		n++
	}
	return fmt.Sprintf("%d rows, %x", n, sum.Sum(nil)[:8]), rows.Err()
}
