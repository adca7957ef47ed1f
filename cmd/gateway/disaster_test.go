package main

import (
	"context"
	_ "embed"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sanctum-storage/gateway/internal/documents"
	"github.com/sanctum-storage/gateway/internal/servers"
)

const (
	disasterPage    = "docs/operating/disaster.md"
	disasterScripts = "testdata/disaster"
)

// systemctl replaces systemd: it starts and ends one gateway like the unit.
//
//go:embed testdata/disaster/systemctl
var systemctl []byte

// TestDisasterPage runs testdata/disaster/*.txtar, which types the commands of
// docs/operating/disaster.md on deployments that it destroys: SQLite and a folder,
// PostgreSQL and two S3 servers, SQLite and Google Cloud Storage.
func TestDisasterPage(t *testing.T) {
	around := startProviders(t)
	p := scripts(disasterScripts)
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		if err := setup(env); err != nil {
			return err
		}
		work := env.WorkDir
		for _, dir := range []string{"bin", "etc/sanctum", "var/lib/sanctum-gateway", "run", "backup", "safe"} {
			if err := os.MkdirAll(filepath.Join(work, dir), 0o700); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(work, "bin", "systemctl"), systemctl, 0o700); err != nil {
			return err
		}
		env.Defer(func() { endUnit(work) })
		replace := []string{"/usr/local/bin/gateway", "gateway"}
		for _, dir := range []string{"/var/lib", "/etc", "/run/systemd", "/backup", "/safe"} {
			replace = append(replace, dir, filepath.Join(work, dir))
		}
		env.Setenv("REPLACE", strings.Join(append(replace, around.replace...), " "))
		env.Setenv("PATH", filepath.Join(work, "bin")+string(filepath.ListSeparator)+around.bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
		for name, value := range around.env {
			env.Setenv(name, value)
		}
		for name, value := range map[string]string{"SANCTUM_ACCESS_KEY": "given-access-key",
			"SANCTUM_SECRET_KEY": "given-secret-key", "AK": "given-access-key", "SK": "given-secret-key"} {
			env.Setenv(name, value)
		}
		return nil
	}
	// sqlpostgres STATEMENT: run a statement as the database's administrator.
	p.Cmds["sqlpostgres"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(around.postgres.Exec(t.Context(), "postgres", args[0]))
	}
	testscript.Run(t, p)
}

// endUnit ends the gateway that a script has left running under systemctl.
func endUnit(work string) {
	text, err := os.ReadFile(filepath.Join(work, "unit.pid"))
	if err != nil {
		return // it has ended in order
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// providers are the servers that the deployments of the page use.
type providers struct {
	postgres *servers.Postgres
	bin      string // PostgreSQL's programs
	env      map[string]string
	replace  []string // addresses of the page and those of this machine
}

func startProviders(t *testing.T) *providers {
	t.Helper()
	dir, err := os.MkdirTemp("", "gateway-disaster-") // PostgreSQL's user must get in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	stop := func(end func() error) {
		t.Cleanup(func() {
			if err := end(); err != nil {
				t.Error(err)
			}
		})
	}
	p := &providers{env: map[string]string{
		"RCLONE_CONFIG": "/dev/null", "PGSERVICEFILE": filepath.Join(dir, "pg_service.conf"), "HOME": dir,
	}}
	if p.postgres, err = servers.StartPostgres(servers.Postgres15, dir, servers.PostgresOptions{}); err != nil {
		t.Fatal(err)
	}
	stop(p.postgres.Stop)
	if p.bin, err = servers.PostgresPrograms(servers.Postgres15, dir); err != nil {
		t.Fatal(err)
	}
	p.env["STORE_URL"] = p.postgres.URL("sanctum")
	host, port, _ := strings.Cut(p.postgres.Address, ":")
	service := "[sanctum]\nhost=" + host + "\nport=" + port + "\nuser=" + servers.PostgresUser + "\ndbname=sanctum\n"
	if err := os.WriteFile(p.env["PGSERVICEFILE"], []byte(service), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, page := range map[string]string{"PROVIDER": "https://s3.rescue.example", "COPY": "https://s3.north.example"} {
		s := startProvider(t, filepath.Join(dir, name))
		stop(s.Stop)
		p.replace = append(p.replace, page, s.Endpoint)
		p.env[name] = s.Endpoint
		for key, value := range map[string]string{"TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": s.Endpoint, "REGION": s.Region,
			"ACCESS_KEY_ID": s.AccessKey, "SECRET_ACCESS_KEY": s.SecretKey} {
			p.env["RCLONE_CONFIG_"+name+"_"+key] = value
		}
		p.env[name+"_ACCESS_KEY"], p.env[name+"_SECRET_KEY"] = s.AccessKey, s.SecretKey
	}
	google, err := servers.StartGCS(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	stop(google.Stop)
	if err := errors.Join(google.CreateBucket(t.Context(), "sealed"), google.CreateBucket(t.Context(), "sealed-copy")); err != nil {
		t.Fatal(err)
	}
	p.env["GCS"] = google.URL
	p.env["RCLONE_CONFIG_GCS_TYPE"], p.env["RCLONE_CONFIG_GCS_ENDPOINT"], p.env["RCLONE_CONFIG_GCS_ANONYMOUS"] = "google cloud storage", google.URL+"/storage/v1/", "true"
	return p
}

func startProvider(t *testing.T, dir string) *servers.S3Server {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), servers.StartTimeout)
	defer cancel()
	s, err := servers.StartVersitygw(ctx, dir, dir+".log")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A script runs the commands of each heading of the page.
func TestDisasterPageIsRunWhole(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(disasterPage)))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(disasterScripts + "/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	typed := ""
	for _, name := range files {
		script, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(script)) {
			if strings.HasPrefix(strings.TrimPrefix(line, "! "), "page "+disasterPage+" ") {
				typed += line
			}
		}
	}
	headings := map[string]bool{}
	for _, c := range documents.Parse(disasterPage, string(text)).Code {
		if c.Fence == "sh" {
			headings[c.Heading] = true
		} else if c.Fenced {
			t.Errorf("%s:%d is in a block that is no shell", disasterPage, c.Line)
		}
	}
	for heading := range headings {
		if !strings.Contains(typed, "'"+heading+"'") {
			t.Errorf("no script types what stands below %q", heading)
		}
	}
	if len(headings) < 15 {
		t.Errorf("only %d headings with commands were found", len(headings))
	}
}
