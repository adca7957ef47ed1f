package gatewaytest

import (
	"context"
	"database/sql"
	"testing"
)

// EditStore runs a statement on the store's file, as an intruder with access to it
// could. The gateway may still remember earlier rows for a while.
func (g *Gateway) EditStore(t testing.TB, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", g.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("PRAGMA busy_timeout = 10000"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// EditSetting writes an unsealed document into the row of a bucket's setting, or
// removes the row when document is nil, and makes sure that no gateway remembers
// the old one.
func (g *Gateway) EditSetting(t testing.TB, bucket, name string, document []byte) {
	t.Helper()
	ctx := context.Background()
	b, err := g.Engine.Buckets().Get(ctx, bucket)
	if err != nil {
		t.Fatal(err)
	}
	g.EditStore(t, "DELETE FROM bucket_settings WHERE bucket_id = ? AND name = ?", b.ID[:], []byte(name))
	if len(document) > 0 {
		g.EditStore(t, "INSERT INTO bucket_settings (bucket_id, name, document) VALUES (?, ?, ?)", b.ID[:], []byte(name), document)
	}
	for _, passing := range [][]byte{[]byte("{}"), nil} { // each is another revision
		if err := g.Engine.Buckets().SetSetting(ctx, b, "passing", passing); err != nil {
			t.Fatal(err)
		}
		if b, err = g.Engine.Buckets().Get(ctx, bucket); err != nil {
			t.Fatal(err)
		}
	}
}
