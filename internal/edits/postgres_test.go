package edits

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/meta/postgres"
)

// sample is how many edits there are to one that is tried on PostgreSQL: the rules
// are the engine's, and the same; the columns' types and the schema are not.
const sample = 17

func TestEditsOfPostgres(t *testing.T) {
	ctx := t.Context()
	dir, err := os.MkdirTemp("", "edits-") // short: it holds a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	server, err := servers.StartPostgres(servers.Postgres15, dir, servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	if err := server.Exec(ctx, "postgres", "CREATE DATABASE edits"); err != nil {
		t.Fatal(err)
	}
	store, err := postgres.Open(ctx, server.URL("edits"), postgres.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	keys, err := keyring.Create(filepath.Join(t.TempDir(), "keyring"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	backend := mem.New()
	defer backend.Close()
	c := engine.Config{Store: store, Backends: []blobs.Backend{{Name: "local", Backend: backend}}, Keys: keys, Sole: true, Grace: -1}
	raw, err := sql.Open("pgx", server.URL("edits"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	db, err := ReadPostgres(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	g, err := Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	var before map[string][]Row
	scene, err := Build(ctx, g, func() (err error) { before, err = db.All(ctx); return err })
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Engine.Close(); err != nil {
		t.Fatal(err)
	}
	p := begin(t, ctx, scene, c, db)
	if p == nil {
		return
	}
	seen := census{count: make(map[string]int), lines: make(map[string]int), used: make(map[string]bool)}
	n := 0
	for _, table := range db.Tables {
		for _, e := range Edits(table, choose(table, p.was[table.Name], before[table.Name]), before[table.Name]) {
			if n++; n%sample == 0 {
				seen.judge(t, e, p.try(ctx, e))
			}
		}
	}
	t.Logf("edits by what came of them: %v", seen.count)
}
