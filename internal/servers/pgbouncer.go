//go:build linux

package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// pgbouncerPool is how many connections PgBouncer makes to a database at most:
// few, so that clients meet sessions that others have used.
const pgbouncerPool = 6

// PgBouncer is a pooler in transaction mode before a PostgreSQL server.
type PgBouncer struct {
	Address string
	process *Process
}

// StartPgBouncer starts Debian's pgbouncer before the server, with its files in
// dir, which must exist. All databases of the server can be reached through it.
func StartPgBouncer(dir string, p *Postgres) (*PgBouncer, error) {
	program, err := pgbouncerProgram()
	if err != nil {
		return nil, err
	}
	uid, gid, err := postgresUser()
	if err != nil {
		return nil, err
	}
	if uid != 0 {
		if err := errors.Join(traversable(dir), os.Chown(dir, int(uid), int(gid))); err != nil {
			return nil, err
		}
	}
	addresses, err := FreeAddresses(1)
	if err != nil {
		return nil, err
	}
	b := &PgBouncer{Address: addresses[0]}
	conf, err := b.config(p)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	b.process, err = Start(Spec{
		Name: "PgBouncer", Program: program, Args: []string{file}, Dir: dir,
		Log: filepath.Join(dir, "pgbouncer.log"), UID: uid, GID: gid,
	})
	if err != nil {
		return nil, err
	}
	err = b.process.Ready(context.Background(), func(ctx context.Context) error {
		c, err := pgx.Connect(ctx, b.URL("postgres"))
		if err != nil {
			return err
		}
		return c.Close(ctx)
	})
	if err != nil {
		return nil, errors.Join(err, b.Stop())
	}
	return b, nil
}

func (b *PgBouncer) config(p *Postgres) (string, error) {
	host, port, err := net.SplitHostPort(b.Address)
	if err != nil {
		return "", err
	}
	serverHost, serverPort, err := net.SplitHostPort(p.Address)
	return fmt.Sprintf(`[databases]
* = host=%s port=%s user=%s
[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = %d
max_client_conn = 1000
log_connections = 0
log_disconnections = 0
`, serverHost, serverPort, PostgresUser, host, port, pgbouncerPool), err
}

// pgbouncerProgram finds the program, also where PATH has no place for daemons.
func pgbouncerProgram() (string, error) {
	const debian = "/usr/sbin/pgbouncer"
	if _, err := os.Stat(debian); err == nil {
		return debian, nil
	}
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		return "", fmt.Errorf("PgBouncer is not installed; run scripts/setup.sh test: %w", err)
	}
	return program, nil
}

// URL names a database behind the pooler.
func (b *PgBouncer) URL(database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", PostgresUser, b.Address, database)
}

// Stop ends the pooler.
func (b *PgBouncer) Stop() error { return b.process.Stop() }

// Signal sends a signal: SIGSTOP and SIGCONT freeze the way to the database.
func (b *PgBouncer) Signal(s syscall.Signal) error { return b.process.Signal(s) }
