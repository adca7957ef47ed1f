package edits

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta/sqlite"
)

// stage is a scene in a store of its own, that is edited and put back.
type stage struct {
	config engine.Config
	path   string
}

func (s stage) open(path string) (engine.Config, func() error, error) {
	store, err := sqlite.Open(path, sqlite.Options{})
	c := s.config
	c.Store = store
	return c, func() error { return store.Close() }, err
}

// play is one store that is being edited.
type play struct {
	t      *testing.T
	scene  *Scene
	config engine.Config
	db     *DB
	was    map[string][]Row
	honest []Answer
}

// perTable are rows of each table that are edited, at most. A scene's first rows of a
// table are of different kinds.
const perTable = 4

func TestEveryEditIsNoticedOrListed(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	keys, err := keyring.Create(filepath.Join(dir, "keyring"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	backend := mem.New()
	defer backend.Close()
	s := stage{path: filepath.Join(dir, "meta.db"), config: engine.Config{
		Backends: []engine.Backend{{Name: "local", Backend: backend}}, Keys: keys, Sole: true, Grace: -1,
	}}
	scene, before := s.build(t, ctx)

	shards := max(2, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	var mu sync.Mutex
	seen := make(map[string]int)
	count := make(map[string]int)
	file, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	for shard := range shards {
		path := filepath.Join(dir, fmt.Sprint("shard", shard, ".db"))
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		wait.Go(func() {
			p, done := s.play(t, ctx, scene, path)
			if p == nil {
				return
			}
			defer done()
			n := 0
			for _, table := range p.db.Tables {
				for _, e := range Edits(table, choose(table, p.was[table.Name]), before[table.Name]) {
					if n++; n%shards != shard {
						continue
					}
					verdict := p.try(ctx, e)
					mu.Lock()
					count[verdict]++
					seen[e.String()+" → "+verdict]++
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	t.Logf("%v", count)
	if os.Getenv("EDITS") != "" {
		var lines []string
		for line, n := range seen {
			lines = append(lines, fmt.Sprintf("%s (%d)", line, n))
		}
		sort.Strings(lines)
		t.Log(strings.Join(lines, "\n"))
	}
}

// choose takes some rows of a table, of different kinds as far as their lengths tell.
func choose(t Table, rows []Row) []Row {
	var chosen, rest []Row
	shapes := make(map[string]bool)
	for _, r := range rows {
		var shape strings.Builder
		for i, v := range r {
			switch v := v.(type) {
			case nil:
				shape.WriteByte('n')
			case int64:
				if c := t.Columns[i]; c == "kind" || c == "state" || c == "versioning" || strings.HasPrefix(c, "lock") || c == "body_kind" || c == "encryption" || c == "marker" {
					fmt.Fprint(&shape, v, " ")
				}
			}
		}
		if shapes[shape.String()] {
			rest = append(rest, r)
			continue
		}
		shapes[shape.String()] = true
		chosen = append(chosen, r)
	}
	most := perTable
	if len(chosen) > most {
		most = len(chosen)
	}
	for len(chosen) < most && len(rest) > 0 {
		chosen, rest = append(chosen, rest[0]), rest[1:]
	}
	return chosen
}

// build makes the scene, and returns the rows as they were half way.
func (s stage) build(t *testing.T, ctx context.Context) (scene *Scene, before map[string][]Row) {
	t.Helper()
	c, closeStore, err := s.open(s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore()
	g, err := Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Engine.Close()
	scene, err = Build(ctx, g, func() error {
		db, err := openDB(ctx, s.path)
		if err != nil {
			return err
		}
		defer db.Close()
		before, err = db.All(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return scene, before
}

func openDB(ctx context.Context, path string) (*DB, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=synchronous(OFF)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return ReadTables(ctx, db)
}

func (s stage) play(t *testing.T, ctx context.Context, scene *Scene, path string) (*play, func()) {
	p := &play{t: t, scene: scene}
	var closeStore func() error
	var err error
	if p.config, closeStore, err = s.open(path); err != nil {
		t.Error(err)
		return nil, nil
	}
	if p.db, err = openDB(ctx, path); err != nil {
		t.Error(err)
		return nil, nil
	}
	g, err := Open(ctx, p.config)
	if err == nil {
		p.honest = scene.Answers(g)
		var r engine.FsckReport
		if r, err = g.Engine.Fsck(ctx, engine.FsckOptions{}); err == nil && !r.Clean() {
			err = fmt.Errorf("fsck of the honest store: %+v", r.Findings)
		}
	}
	if err == nil {
		p.was, err = p.db.All(ctx)
	}
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	return p, func() {
		p.db.Close()
		closeStore()
	}
}

// try makes an edit, looks what a new gateway makes of it, and puts everything back.
func (p *play) try(ctx context.Context, e Edit) (verdict string) {
	if err := p.db.Replace(ctx, e.Table, e.Old, e.New); err != nil {
		return "impossible"
	}
	defer func() {
		if err := p.db.Restore(ctx, p.was); err != nil {
			p.t.Errorf("%s: %v", e, err)
		}
	}()
	g, err := Open(ctx, p.config)
	if err != nil {
		return "refused"
	}
	defer g.Engine.Close()
	found := false
	if r, err := g.Engine.Fsck(ctx, engine.FsckOptions{}); err != nil || !r.Clean() {
		found = true
	}
	worst := "unchanged"
	var what []string
	for i, now := range p.scene.Answers(g) {
		q, was := p.scene.Questions[i], p.honest[i]
		switch {
		case now == was:
			continue
		case now.Broken, now.Status >= 500, now.Status == 403:
			if worst == "unchanged" {
				worst = "an error"
			}
			continue
		case now.Status == 404 && was.Status < 300, q.List && len(now.Text) < len(was.Text):
			if worst != "changed" {
				worst = "hidden"
			}
		default:
			worst = "changed"
		}
		what = append(what, fmt.Sprintf("%s: %d, was %d", q, now.Status, was.Status))
		if os.Getenv("EDITS") == "full" {
			what = append(what, "was "+was.Text, "now "+now.Text)
		}
	}
	if !found {
		worst += ", not found"
	}
	reason, listed := Listed(e)
	switch {
	case listed && reason.Effect.allows(worst):
	case worst == "unchanged", worst == "an error":
	default:
		p.t.Errorf("%s: %s\n%s", e, worst, strings.Join(what[:min(len(what), 6)], "\n"))
	}
	return worst
}

var _ = bytes.Equal
var _ = slices.Contains[[]string]
