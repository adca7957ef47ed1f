package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// TestScriptsWithPostgres runs testdata/postgres/*.txtar with a PostgreSQL
// server. V1 is a data folder with the first released schema.
func TestScriptsWithPostgres(t *testing.T) {
	dir, err := os.MkdirTemp("", "gateway-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	server, err := servers.StartPostgres(servers.Postgres15, dir, servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	v1, err := filepath.Abs("../../testdata/store/v1/data")
	if err != nil {
		t.Fatal(err)
	}
	p := scripts("testdata/postgres")
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		env.Setenv("V1", v1)
		return setup(env)
	}
	var n atomic.Int64
	// database VAR: create an empty database and set VAR to its URL, VAR_NAME
	// to its name.
	p.Cmds["database"] = func(ts *testscript.TestScript, _ bool, args []string) {
		name := fmt.Sprint("d", n.Add(1))
		ts.Check(server.Exec(t.Context(), "postgres", "CREATE DATABASE "+name))
		ts.Setenv(args[0], server.URL(name))
		ts.Setenv(args[0]+"_NAME", name)
	}
	// pgsql NAME STATEMENT: change a database without the gateway.
	p.Cmds["pgsql"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(server.Exec(t.Context(), args[0], args[1]))
	}
	testscript.Run(t, p)
}
