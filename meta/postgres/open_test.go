package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/internal/servers/strictpg"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// Several gateways that start at once on an empty database all succeed, without a
// lock that a session would hold.
func TestMigrateRace(t *testing.T) {
	for _, c := range []*cluster{files15, files18} {
		t.Run(c.version, func(t *testing.T) {
			t.Parallel()
			p := strict(t, c, strictpg.Options{Named: true})
			name := c.create(t, "")
			const openers = 4
			errs := make(chan error, openers)
			for range openers {
				go func() {
					s, err := Open(context.Background(), proxyURL(p, name), Options{Migrate: true})
					if err == nil {
						err = errors.Join(s.Check(context.Background()), s.Close())
					}
					errs <- err
				}()
			}
			for range openers {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
			if has, knows, err := Status(t.Context(), c.server.URL(name), Options{}); err != nil || has != knows || has == 0 {
				t.Errorf("version %d of %d, %v", has, knows, err)
			}
		})
	}
}

// Missing, older and newer schemas have different errors, and Status changes
// nothing.
func TestSchemaVersions(t *testing.T) {
	name := files15.create(t, "")
	url := files15.server.URL(name)
	for range 2 {
		if has, knows, err := Status(t.Context(), url, Options{}); err != nil || has != 0 || knows != SchemaVersion {
			t.Fatalf("version %d of %d, %v", has, knows, err)
		}
	}
	if _, err := Open(t.Context(), url, Options{}); !errors.Is(err, sqlstore.ErrOlderSchema) {
		t.Errorf("an empty database: %v", err)
	}
	if err := Migrate(t.Context(), url, Options{}); err != nil {
		t.Fatal(err)
	}
	openStore(t, url, Options{})
	if err := files15.server.Exec(t.Context(), name, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)"); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{}, {Migrate: true}} {
		if _, err := Open(t.Context(), url, o); !errors.Is(err, sqlstore.ErrNewerSchema) {
			t.Errorf("a newer schema, %+v: %v", o, err)
		}
	}
}

// Errors at the start have one line and no password.
func TestStartupErrors(t *testing.T) {
	server := files15.up(t)
	name := files15.database(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	free, err := servers.FreeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	const secret = "s3cr3t%2Fw0rd"
	guarded := func(password, address, database string) string {
		return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", servers.PostgresGuarded, password, address, database)
	}
	for _, sql := range []string{
		fmt.Sprintf("CREATE USER %s PASSWORD '%s'", servers.PostgresGuarded, servers.PostgresPassword),
		"CREATE USER hasty", "ALTER USER hasty SET synchronous_commit = off",
	} {
		if err := server.Exec(t.Context(), name, sql); err != nil {
			t.Fatal(err)
		}
	}
	empty := files15.create(t, "")
	for what, c := range map[string]struct{ url, want string }{
		"wrong password":     {guarded(secret, server.Address, name), "password authentication failed"},
		"no database":        {guarded(servers.PostgresPassword, server.Address, "nowhere"), `database "nowhere" does not exist`},
		"no permission":      {guarded(servers.PostgresPassword, server.Address, empty), "permission denied"},
		"nobody listens":     {guarded(secret, free[0], name), "connection refused"},
		"nobody answers":     {guarded(secret, silent.Addr().String(), name), "timeout"},
		"no such host":       {guarded(secret, "host.invalid:5432", name), "host.invalid"},
		"several hosts":      {guarded(secret, free[0]+","+free[0], name), "connection refused"},
		"password unescaped": {"postgres://u:s3cr3t/w0rd@localhost/db", "malformed"},
		"password with #":    {"postgres://u:s3cr3t#w0rd@localhost/db", "malformed"},
		"keywords":           {"host=localhost password=s3cr3t' user", "malformed"},
		"certificate":        {guarded(secret, free[0], name) + "&sslmode=verify-full&sslrootcert=/nowhere", "/nowhere"},
		"not durable":        {strings.Replace(server.URL(name), servers.PostgresUser+"@", "hasty@", 1), "synchronous_commit"},
	} {
		_, err := Open(t.Context(), c.url, Options{Migrate: true, ConnectTimeout: time.Second, AcquireTimeout: 3 * time.Second})
		if err == nil {
			t.Errorf("%s: no error", what)
			continue
		}
		text := err.Error()
		if !strings.Contains(text, c.want) || strings.Contains(text, "\n") ||
			strings.Contains(text, "s3cr3t") || strings.Contains(text, "w0rd") || strings.Contains(text, servers.PostgresPassword) {
			t.Errorf("%s: %q, want %q in it", what, text, c.want)
		}
	}
	for _, o := range []Options{{ExecMode: "fast"}, {Isolation: "none"}} {
		if _, err := Open(t.Context(), server.URL(name), o); err == nil {
			t.Errorf("opened with %+v", o)
		}
	}
}

// Of several hosts, the one that answers is used.
func TestSeveralHosts(t *testing.T) {
	server := files15.up(t)
	free, err := servers.FreeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(server.URL(files15.database(t)), "@", "@"+free[0]+",", 1)
	if err := openStore(t, url, Options{}).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// A closed store returns an error, and Close waits for current intents.
func TestClose(t *testing.T) {
	r := openRunner(t, files15.up(t).URL(files15.database(t)), Options{})
	s := sqlstore.New(r)
	began, end := make(chan struct{}), make(chan struct{})
	result := make(chan error, 1)
	go func() {
		result <- r.Write(context.Background(), func(tx sqlstore.Tx) error {
			close(began)
			<-end
			_, err := tx.Exec("INSERT INTO holders (id, beat) VALUES (?, 1)", idBytes())
			return err
		})
	}()
	<-began
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	close(end)
	if err := <-result; err != nil {
		t.Errorf("the intent under way: %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, meta.ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := s.Object(t.Context(), meta.NewID(), "k"); !errors.Is(err, meta.ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
}

// While the database is away, intents fail as unavailable; when it is back, they
// succeed without a restart.
func TestAwayAndBack(t *testing.T) {
	t.Parallel()
	server, err := servers.StartPostgres(servers.Postgres18, t.TempDir(), servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := openStore(t, server.URL("postgres"), Options{Migrate: true, Report: func(error) {}})
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, meta.ErrUnavailable) || errors.Is(err, meta.ErrUnknown) {
		t.Errorf("a database that is away: %v", err)
	}
	if _, err := s.Deployment(t.Context()); !errors.Is(err, meta.ErrUnavailable) {
		t.Errorf("a database that is away: %v", err)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
}
