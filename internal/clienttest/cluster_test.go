//go:build clients

package clienttest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// recoveryTimeout is for a restored cluster to have played back its log.
const recoveryTimeout = 2 * time.Minute

// cluster is a PostgreSQL server that is backed up.
type cluster struct {
	*servers.Postgres
	t *testing.T
}

// newCluster starts a server that hands finished segments of its log to the
// command, which is written as archive_command is.
func newCluster(t *testing.T, dir string) *cluster {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o700))
	p, err := servers.StartPostgres(servers.Postgres15, dir, servers.PostgresOptions{Settings: map[string]string{
		"wal_level": "replica", "archive_mode": "on", "archive_command": "false", "unix_socket_directories": dir,
	}})
	must(t, err)
	return stopped(t, p)
}

func stopped(t *testing.T, p *servers.Postgres) *cluster {
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &cluster{p, t}
}

// openCluster starts what was restored into dir/data, and returns when all that
// was archived has been played back.
func openCluster(t *testing.T, dir string) *cluster {
	t.Helper()
	p, err := servers.OpenPostgres(servers.Postgres15, dir, servers.PostgresOptions{Settings: map[string]string{"unix_socket_directories": dir}})
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "postgres.log"))
		t.Fatalf("%v\n%s", err, last(string(log)))
	}
	c := stopped(t, p)
	for deadline := time.Now().Add(recoveryTimeout); c.query("SELECT pg_is_in_recovery()::text") != "false"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(dir, "postgres.log"))
			t.Fatalf("still in recovery\n%s", last(string(log)))
		}
	}
	return c
}

// archive sets how segments are archived from now on.
func (c *cluster) archive(command string) {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.URL("postgres"))
	must(c.t, err)
	defer conn.Close(c.t.Context())
	_, err = conn.Exec(c.t.Context(), "ALTER SYSTEM SET archive_command = "+quoteSQL(command))
	must(c.t, err)
	_, err = conn.Exec(c.t.Context(), "SELECT pg_reload_conf()")
	must(c.t, err)
}

func quoteSQL(s string) string {
	quoted := "'"
	for _, r := range s {
		if quoted += string(r); r == '\'' {
			quoted += "'"
		}
	}
	return quoted + "'"
}

func (c *cluster) exec(sql string) {
	c.t.Helper()
	must(c.t, c.Exec(c.t.Context(), "postgres", sql))
}

func (c *cluster) query(sql string) (text string) {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.URL("postgres"))
	must(c.t, err)
	defer conn.Close(context.WithoutCancel(c.t.Context()))
	must(c.t, conn.QueryRow(c.t.Context(), sql).Scan(&text))
	return text
}

// fill adds rows of 1 kB that do not compress.
func (c *cluster) fill(rows int) {
	c.t.Helper()
	c.exec(fmt.Sprintf(`CREATE TABLE IF NOT EXISTS t (id bigserial, body text);
		INSERT INTO t (body) SELECT (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 32) WHERE g = g) FROM generate_series(1, %d) g`, rows))
}

// digest tells tables with different rows apart.
func (c *cluster) digest() string {
	c.t.Helper()
	return c.query("SELECT count(*) || ' ' || md5(string_agg(id || body, ',' ORDER BY id)) FROM t")
}

// archived switches to another segment of the log and returns when the one
// before has been archived.
func (c *cluster) archived() {
	c.t.Helper()
	segment := c.query("SELECT pg_walfile_name(pg_switch_wal())")
	for deadline := time.Now().Add(recoveryTimeout); c.query("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver") < segment; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(filepath.Dir(c.Data()), "postgres.log"))
			c.t.Fatalf("%s was not archived\n%s", segment, last(string(log)))
		}
	}
}

func (c *cluster) port() string {
	_, port, err := net.SplitHostPort(c.Address)
	must(c.t, err)
	return port
}
