package sqlstore

import (
	"io/fs"
	"strings"
	"testing"
)

// A translated file is read completely, in the engine's dialect; folders and other
// files are unchanged.
func TestTranslated(t *testing.T) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	engine := translated{sub, strings.NewReplacer("BLOB", "BYTEA", "INTEGER", "BIGINT").Replace}
	names, err := fs.Glob(engine, "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	differ := 0
	for _, name := range names {
		was, err := fs.ReadFile(sub, name)
		if err != nil {
			t.Fatal(err)
		}
		is, err := fs.ReadFile(engine, name)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(strings.ReplaceAll(string(was), "BLOB", "BYTEA"), "INTEGER", "BIGINT")
		if string(is) != want {
			t.Errorf("%s was not translated", name)
		}
		if want != string(was) { // some have indexes alone
			differ++
		}
		info, err := fs.Stat(engine, name)
		if err != nil || info.Size() != int64(len(want)) || info.Name() != name {
			t.Errorf("%s: info %v, %v", name, info, err)
		}
	}
	if differ == 0 {
		t.Error("no migration has a type that is translated")
	}
}
