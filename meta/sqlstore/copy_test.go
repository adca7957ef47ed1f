package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
	"github.com/sanctum-storage/gateway/meta/postgres"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// Copy and Verify know all tables and columns of the migrations.
func TestDeclared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	openSQLite(t, path)
	db := openRaw(t, "sqlite", path)
	rows, err := db.Query(`SELECT s.name, c.name FROM sqlite_schema AS s, pragma_table_info(s.name) AS c
		WHERE s.type = 'table' AND s.name NOT LIKE 'goose%' AND s.name NOT LIKE 'sqlite%' ORDER BY 1, 2`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	made := map[string][]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		made[table] = append(made[table], column)
	}
	declared := sqlstore.Declared()
	for _, columns := range declared {
		slices.Sort(columns)
	}
	if err := rows.Err(); err != nil || !reflect.DeepEqual(made, declared) {
		t.Errorf("declared %v\nmade     %v\n%v", declared, made, err)
	}
}

// dump reads every table, bypassing the store; of the deployment's row not the
// state.
func dump(t *testing.T, db *sql.DB) map[string][][]any {
	t.Helper()
	all := map[string][][]any{}
	for table, columns := range sqlstore.Declared() {
		columns = slices.DeleteFunc(columns, func(c string) bool { return table == "deployment" && c == "state" })
		key := "1, 2"
		if len(columns) == 1 {
			key = "1"
		}
		rows, err := db.Query("SELECT " + strings.Join(columns, ", ") + " FROM " + table + " ORDER BY " + key)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values, dest := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				dest[i] = &values[i]
			}
			if err := rows.Scan(dest...); err != nil {
				t.Fatal(err)
			}
			all[table] = append(all[table], values)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func wantSame(t *testing.T, got, want map[string][][]any) {
	t.Helper()
	for table := range sqlstore.Declared() {
		if len(want[table]) == 0 {
			t.Errorf("%s: the source has no row: the test sees nothing", table)
		}
		if !reflect.DeepEqual(got[table], want[table]) {
			t.Errorf("%s: %d rows differ from the source's %d", table, len(got[table]), len(want[table]))
		}
	}
}

func wantClean(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	if err := metatest.CheckLedger(t.Context(), s); err != nil {
		t.Error(err)
	}
	if r, err := s.Verify(t.Context()); err != nil || !r.Clean() {
		t.Errorf("verify: %v, %+v", err, r.Faults)
	}
}

// A store is copied to Postgres and back, in every mode that sends values
// differently, and the source is no longer served.
func TestCopy(t *testing.T) {
	for _, mode := range []string{postgres.ModeCacheStatement, postgres.ModeExec, postgres.ModeSimple} {
		t.Run(mode, func(t *testing.T) {
			path := filledFile(t)
			url, _ := newDatabase(t, "")
			from, to := openSQLite(t, path), openPostgres(t, url, postgres.Options{ExecMode: mode})
			was, err := from.Deployment(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			done, err := sqlstore.Copy(t.Context(), from, to, sqlstore.CopyOptions{})
			if err != nil || done.Deployment.ID != was.ID || done.Rows["objects"] < bulk {
				t.Fatalf("copied %+v, %v", done, err)
			}
			want := dump(t, openRaw(t, "sqlite", path))
			wantSame(t, dump(t, openRaw(t, "pgx", url)), want)
			wantClean(t, to)
			if d, err := to.Deployment(t.Context()); err != nil || !reflect.DeepEqual(d, was) {
				t.Errorf("the copy is %+v, %v", d, err)
			}
			if _, err := from.Deployment(t.Context()); !errors.Is(err, meta.ErrMoved) {
				t.Errorf("the source: %v", err)
			}
			if _, err := sqlstore.Copy(t.Context(), from, to, sqlstore.CopyOptions{}); !errors.Is(err, sqlstore.ErrTargetInUse) {
				t.Errorf("copied once more: %v", err)
			}
			again := filepath.Join(t.TempDir(), "back.db")
			back := openSQLite(t, again)
			if _, err := sqlstore.Copy(t.Context(), from, back, sqlstore.CopyOptions{}); !errors.Is(err, meta.ErrMoved) {
				t.Errorf("copied elsewhere: %v", err)
			}
			if _, err := sqlstore.Copy(t.Context(), to, back, sqlstore.CopyOptions{}); err != nil {
				t.Fatal(err)
			}
			wantSame(t, dump(t, openRaw(t, "sqlite", again)), want)
		})
	}
}

var errCut = errors.New("cut off")

// cutting is a target whose n-th write fails, before or after its effect.
type cutting struct {
	sqlstore.Runner
	n     int
	after bool
}

func (c *cutting) Write(ctx context.Context, intent func(sqlstore.Tx) error) error {
	c.n--
	if c.n != 0 {
		return c.Runner.Write(ctx, intent)
	}
	if c.after {
		if err := c.Runner.Write(ctx, intent); err != nil {
			return err
		}
	}
	return errCut
}

// A copy that is interrupted at every write continues, and until its end neither
// store can be served by mistake.
func TestCopyInterrupted(t *testing.T) {
	for _, after := range []bool{false, true} {
		path := filledFile(t)
		url, _ := newDatabase(t, "")
		from, to := openSQLite(t, path), openPostgres(t, url, postgres.Options{})
		// The first write of a run only reads. The second one has its effect and
		// then fails, or the one behind it fails.
		n := 3
		if after {
			n = 2
		}
		cuts := 0
		for {
			cut := sqlstore.New(&cutting{Runner: to.Below(), n: n, after: after})
			_, err := sqlstore.Copy(t.Context(), from, cut, sqlstore.CopyOptions{})
			if err == nil || after && errors.Is(err, sqlstore.ErrTargetInUse) { // the last write failed after its effect
				break
			}
			if cuts++; cuts > 100 || !errors.Is(err, errCut) {
				t.Fatalf("after %d cuts: %v", cuts, err)
			}
			notBoth(t, from, to)
		}
		if cuts < len(sqlstore.Declared()) {
			t.Errorf("%d cuts: not every table was reached", cuts)
		}
		if _, err := to.Deployment(t.Context()); err != nil {
			t.Errorf("the copy: %v", err)
		}
		notBoth(t, from, to)
		wantSame(t, dump(t, openRaw(t, "pgx", url)), dump(t, openRaw(t, "sqlite", path)))
		wantClean(t, to)
	}
}

// notBoth fails the test when both stores could be served, or a gateway could begin
// a deployment in a target.
func notBoth(t *testing.T, from, to *sqlstore.Store) {
	t.Helper()
	_, source := from.Deployment(t.Context())
	_, target := to.Deployment(t.Context())
	if source == nil && target == nil {
		t.Fatal("both stores would be served")
	}
	for what, err := range map[string]error{"source": source, "target": target} {
		if err != nil && !errors.Is(err, meta.ErrMoved) && !errors.Is(err, meta.ErrUnfinished) {
			t.Fatalf("%s: %v", what, err)
		}
	}
	root := meta.Tenant{ID: meta.NewID(), Name: "another"}
	err := to.InitDeployment(t.Context(), meta.Deployment{ID: meta.NewID(), Root: root.ID}, root, meta.Backend{Name: "another", Epoch: 1})
	if !errors.Is(err, meta.ErrExists) {
		t.Fatalf("another deployment was begun in the target: %v", err)
	}
}

// A target that is not an unfinished copy of the source is not changed, and a
// source that was used meanwhile is detected.
func TestCopyRefused(t *testing.T) {
	ctx := t.Context()
	stop := func(from, to *sqlstore.Store) {
		t.Helper()
		cut := sqlstore.New(&cutting{Runner: to.Below(), n: 14})
		if _, err := sqlstore.Copy(ctx, from, cut, sqlstore.CopyOptions{}); !errors.Is(err, errCut) {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		prepare func(from, to *sqlstore.Store) error
		want    error
	}{
		{"another deployment", func(_, to *sqlstore.Store) error {
			root := meta.Tenant{ID: meta.NewID(), Name: "root"}
			return to.InitDeployment(ctx, meta.Deployment{ID: meta.NewID(), Root: root.ID}, root, meta.Backend{Name: "b", Epoch: 1})
		}, sqlstore.ErrTargetInUse},
		{"rows of nobody", func(_, to *sqlstore.Store) error { return to.Beat(ctx, meta.NewID(), meta.SealingWhole) }, sqlstore.ErrTargetInUse},
		{"unfinished copy of another", func(_, to *sqlstore.Store) error {
			other := openSQLite(t, filledAnew(t))
			cut := sqlstore.New(&cutting{Runner: to.Below(), n: 2})
			if _, err := sqlstore.Copy(ctx, other, cut, sqlstore.CopyOptions{}); !errors.Is(err, errCut) {
				return err
			}
			return nil
		}, sqlstore.ErrTargetInUse},
		{"source was served", func(from, to *sqlstore.Store) error {
			stop(from, to)
			return from.Check(ctx)
		}, sqlstore.ErrSourceChanged},
		{"source was changed", func(from, to *sqlstore.Store) error {
			stop(from, to)
			b, err := from.Bucket(ctx, "bucket")
			if err != nil {
				return err
			}
			_, err = from.RemoveObjects(ctx, b.ID, meta.VersioningOff, []meta.Removal{{Key: "bulk/1\xff"}}, b.Created)
			return err
		}, sqlstore.ErrCopyDiffers},
		{"source is an unfinished copy", func(from, to *sqlstore.Store) error {
			return from.Below().Write(ctx, func(tx sqlstore.Tx) error {
				_, err := tx.Exec("UPDATE deployment SET state = 2")
				return err
			})
		}, meta.ErrUnfinished},
		{"nothing to copy", func(from, to *sqlstore.Store) error {
			return from.Below().Write(ctx, func(tx sqlstore.Tx) error {
				_, err := tx.Exec("DELETE FROM deployment")
				return err
			})
		}, meta.ErrNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filledFile(t)
			url, _ := newDatabase(t, "")
			from, to := openSQLite(t, path), openPostgres(t, url, postgres.Options{})
			if err := c.prepare(from, to); err != nil {
				t.Fatal(err)
			}
			before := dump(t, openRaw(t, "pgx", url))
			_, err := sqlstore.Copy(ctx, from, to, sqlstore.CopyOptions{})
			if !errors.Is(err, c.want) {
				t.Fatalf("copied: %v, want %v", err, c.want)
			}
			if !errors.Is(err, sqlstore.ErrCopyDiffers) && !reflect.DeepEqual(before, dump(t, openRaw(t, "pgx", url))) {
				t.Error("the target was changed")
			}
			if _, err := from.Deployment(ctx); errors.Is(err, meta.ErrMoved) {
				t.Error("the source was given up")
			}
		})
	}
}

// filledAnew returns a small file of another deployment.
func filledAnew(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "other.db")
	s := openSQLite(t, path)
	root := meta.Tenant{ID: meta.NewID(), Name: "root"}
	err := s.InitDeployment(t.Context(), meta.Deployment{ID: meta.NewID(), Root: root.ID}, root, meta.Backend{Name: "b", Epoch: 1})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}
