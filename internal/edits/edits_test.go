package edits

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
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
	stored backends.Backend // of the gateway that was opened last
	late   time.Duration    // how late after Now it is, where time goes on
	seeds  int              // keys of buckets that the last background left
}

// perTable are rows of each table that are edited, at most. A scene's first rows of a
// table are of different kinds.
const perTable = 4

// perChange are rows of a table that changed in the same columns, at most.
const perChange = 8

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
		Backends: []blobs.Backend{{Name: "local", Backend: backend}}, Keys: keys, Sole: true, Grace: -1,
	}}
	scene, before := s.build(t, ctx)

	shards := max(2, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	var mu sync.Mutex
	seen := census{count: make(map[string]int), lines: make(map[string]int), used: make(map[string]bool)}
	file, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	seen.empty = s.empty(t, ctx)
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
				for _, e := range Edits(table, choose(table, p.was[table.Name], before[table.Name]), before[table.Name]) {
					if n++; n%shards != shard {
						continue
					}
					v := p.try(ctx, e)
					mu.Lock()
					seen.judge(t, e, v)
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	seen.end(t)
}

// census counts what came of all edits.
type census struct {
	count map[string]int // by verdict
	lines map[string]int // by edit and verdict
	used  map[string]bool
	empty map[string]bool // tables without rows: all of them is listed, for nothing is tried
}

// empty are the tables of which the scene has no row. The values that may stand
// there must be listed whole.
func (s stage) empty(t *testing.T, ctx context.Context) map[string]bool {
	db, err := openDB(ctx, s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all, err := db.All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	empty := make(map[string]bool)
	for _, table := range db.Tables {
		if len(all[table.Name]) > 0 {
			continue
		}
		empty[table.Name] = true
		for _, column := range append([]string{""}, table.Columns...) {
			if !slices.ContainsFunc(List, func(u Unbound) bool { return len(u.Kinds) == 0 && u.lists(Edit{Table: table, Column: column}) }) {
				t.Errorf("%s.%s is in no row of the scene, and not listed", table.Name, column)
			}
		}
	}
	return empty
}

// judge fails the test for an edit that is neither noticed nor listed.
func (c *census) judge(t *testing.T, e Edit, v verdict) {
	c.count[v.String()]++
	c.lines[e.String()+" → "+v.String()]++
	if v.impossible || v.refused || v.found && v.effect == Nothing {
		return
	}
	for _, u := range append(List[:len(List):len(List)], PostgresList...) {
		if u.lists(e) && v.effect <= u.Effect {
			if v.effect == u.Effect {
				c.used[u.Line()] = true
			}
			return
		}
	}
	t.Errorf("%s: %s, and it is not listed\n%s", e, v, strings.Join(v.what[:min(len(v.what), 6)], "\n"))
}

// end tells what came of all edits, and fails the test for what is listed in vain.
func (c *census) end(t *testing.T) {
	t.Logf("edits by what came of them: %v", c.count)
	for _, u := range List {
		if !c.used[u.Line()] && !c.empty[u.Table] {
			t.Errorf("no edit shows that this is so, or it has less effect: %s", u.Line())
		}
	}
	if os.Getenv("EDITS") == "" {
		return
	}
	var lines []string
	for line, n := range c.lines {
		lines = append(lines, fmt.Sprintf("%s (%d)", line, n))
	}
	sort.Strings(lines)
	t.Log(strings.Join(lines, "\n"))
}

// The threat model lists what remains, word for word.
func TestThreatModelListsWhatRemains(t *testing.T) {
	text, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), listHead)
	if !ok {
		t.Fatalf("docs/threat-model.md has no table that begins with %q", listHead)
	}
	section, _, _ = strings.Cut(section, "\n\n")
	var want []string
	for _, u := range List {
		want = append(want, u.Line())
	}
	if section != strings.Join(want, "\n") {
		t.Errorf("the table in docs/threat-model.md ought to be\n%s%s", listHead, strings.Join(want, "\n"))
	}
}

const listHead = "| table | in the clear | edits | can | why |\n|---|---|---|---|---|\n"

// choose takes some rows of a table: of each kind one, those that changed since before,
// up to perChange of each change, and others up to perTable. Ids are drawn, so the order
// is by what is not.
func choose(t Table, rows, before []Row) (chosen []Row) {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b Row) int { return strings.Compare(signature(t, b), signature(t, a)) })
	var rest []Row
	kinds, changes := make(map[string]bool), make(map[string]int)
	for _, r := range rows {
		kind, change := kindOf(t, r), changeOf(t, r, before)
		if change != "" {
			changes[change]++
		}
		if !kinds[kind] || change != "" && changes[change] <= perChange {
			chosen = append(chosen, r)
		} else {
			rest = append(rest, r)
		}
		kinds[kind] = true
	}
	return append(chosen, rest[:max(0, min(perTable-len(chosen), len(rest)))]...)
}

// changeOf names the columns that have another value than before, or is empty.
func changeOf(t Table, r Row, before []Row) string {
	i := slices.IndexFunc(before, func(was Row) bool { return t.sameKey(was, r) })
	if i < 0 {
		return ""
	}
	var columns []string
	for at, column := range t.Columns {
		if !sameValue(before[i][at], r[at]) {
			columns = append(columns, column)
		}
	}
	return strings.Join(columns, " ")
}

// kindOf is what kind of row it is, as far as its states and what it lacks tell.
func kindOf(t Table, r Row) string {
	var kind strings.Builder
	for i, v := range r {
		switch column := t.Columns[i]; {
		case v == nil:
			kind.WriteString(column)
		case strings.HasPrefix(column, "lock"), slices.Contains([]string{"kind", "state", "versioning", "body_kind", "encryption", "marker"}, column):
			fmt.Fprint(&kind, column, v)
		}
	}
	return kind.String()
}

// signature is what of a row is the same whenever the scene is made.
func signature(t Table, r Row) string {
	var s strings.Builder
	for i, v := range r {
		switch v := v.(type) {
		case int64:
			if t.Columns[i] != "rank" {
				fmt.Fprintf(&s, "%020d ", v)
			}
		case []byte:
			if strings.Trim(string(v), "abcdefghijklmnopqrstuvwxyz-/") == "" { // a name
				s.Write(v)
			}
			fmt.Fprintf(&s, " %05d ", len(v))
		}
	}
	return s.String()
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

func (s stage) play(t *testing.T, ctx context.Context, scene *Scene, path string) (*play, func()) {
	c, closeStore, err := s.open(path)
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	db, err := openDB(ctx, path)
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	p := begin(t, ctx, scene, c, db)
	return p, func() {
		db.Close()
		closeStore()
	}
}

// begin looks what an honest store answers; nil after an error.
func begin(t *testing.T, ctx context.Context, scene *Scene, c engine.Config, db *DB) *play {
	p := &play{t: t, scene: scene, config: c, db: db}
	was, err := db.All(ctx)
	if err == nil {
		p.was = was
		err = p.look(ctx)
	}
	if err != nil {
		t.Error(err)
		return nil
	}
	return p
}

// look is at the honest store.
func (p *play) look(ctx context.Context) error {
	g, err := p.open(ctx)
	if err != nil {
		return err
	}
	p.honest = p.scene.Answers(g)
	r, err := fsck.Run(ctx, g.Engine, fsck.Options{})
	if err == nil && !r.Clean() {
		err = fmt.Errorf("fsck of the honest store: %+v", r.Findings)
	}
	return errors.Join(err, g.Engine.Close(), p.db.Restore(ctx, p.was))
}

// open begins a gateway over the store and a backend as the scene left it: a start
// leaves traces in both, by which a store that was put back is noticed.
func (p *play) open(ctx context.Context) (*Gateway, error) {
	c, of := p.config, p.config.Backends[0]
	again := mem.New()
	for info, err := range of.List(ctx, backends.BlobID{}) {
		if err != nil {
			return nil, err
		}
		r, err := of.Get(ctx, info.ID, 0, info.Size)
		if err == nil {
			err = errors.Join(again.Put(ctx, info.ID, r, info.Size), r.Close())
		}
		if err != nil {
			return nil, err
		}
	}
	p.stored = again
	c.Backends = []blobs.Backend{{Name: of.Name, Backend: again}}
	return Open(ctx, c)
}

// verdict is what came of an edit.
type verdict struct {
	impossible bool // the schema admits no such row, or it is the same
	refused    bool // the gateway does not start
	found      bool // by fsck
	errors     bool // some answers became errors
	effect     Effect
	what       []string // answers that changed
}

func (v verdict) String() string {
	switch {
	case v.impossible:
		return "impossible"
	case v.refused:
		return "refused"
	}
	text := map[Effect]string{Nothing: "unchanged", Hides: "hidden", Changes: "changed"}[v.effect]
	if v.errors {
		text += " or errors"
	}
	if !v.found {
		text += ", not found"
	}
	return text
}

// try makes an edit, looks what a new gateway makes of it, and puts everything back.
func (p *play) try(ctx context.Context, e Edit) (v verdict) {
	if err := p.db.Replace(ctx, e.Table, e.Old, e.New); err != nil {
		return verdict{impossible: true}
	}
	edited, err := p.db.All(ctx)
	if err != nil {
		p.t.Errorf("%s: %v", e, err)
		return v
	}
	if sameRows(edited[e.Table.Name], p.was[e.Table.Name]) {
		return verdict{impossible: true}
	}
	defer func() {
		if err := p.db.Restore(ctx, p.was); err != nil {
			p.t.Errorf("%s: %v", e, err)
		}
	}()
	g, err := p.open(ctx)
	if err != nil {
		return verdict{refused: true}
	}
	defer g.Engine.Close()
	r, err := fsck.Run(ctx, g.Engine, fsck.Options{})
	v.found = err != nil || !r.Clean()
	for i, now := range p.scene.Answers(g) {
		q, was := p.scene.Questions[i], p.honest[i]
		effect := Changes
		switch {
		case now == was:
			continue
		case now.Broken, now.Status >= 400 && now.Status != 404:
			v.errors = true
			continue
		case now.Status == 404, q.Method == "DELETE" && !p.removed(ctx, edited), q.List && now.Status == 200 && len(now.Text) < len(was.Text):
			effect = Hides
		}
		v.effect = max(v.effect, effect)
		v.what = append(v.what, fmt.Sprintf("%s: %d, was %d", q, now.Status, was.Status))
		if os.Getenv("EDITS") == "full" {
			v.what = append(v.what, "was "+was.Text, "now "+now.Text)
		}
	}
	return v
}

// removed reports whether a question removed a version.
func (p *play) removed(ctx context.Context, edited map[string][]Row) bool {
	for _, t := range p.db.Tables {
		if t.Name == "objects" || t.Name == "versions" {
			if rows, err := p.db.Rows(ctx, t); err != nil || len(rows) < len(edited[t.Name]) {
				return true
			}
		}
	}
	return false
}
