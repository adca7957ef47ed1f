package edits

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	fsbackend "github.com/sanctum-storage/gateway/backends/fs"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/reseal"
)

const (
	lastUnsealed = "../../testdata/store/v8"
	// lastOfOneGeneration was made by the last release whose buckets have one generation of
	// their keys.
	lastOfOneGeneration = "../../testdata/store/v14"
)

// old is a copy of the store that an earlier release left, and what it answered.
type old struct {
	t       *testing.T
	path    string
	config  engine.Config
	scene   Scene
	answers []Answer
}

func openOld(t *testing.T) *old { return openOldOf(t, lastUnsealed) }

func openOldOf(t *testing.T, folder string) *old {
	t.Helper()
	o := &old{t: t}
	text, err := os.ReadFile(filepath.Join(folder, "scene.json"))
	if err != nil {
		t.Fatal(err)
	}
	var frozen struct {
		Scene
		Answers []Answer
	}
	if err := json.Unmarshal(text, &frozen); err != nil {
		t.Fatal(err)
	}
	o.scene, o.answers = frozen.Scene, frozen.Answers
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(folder, "data"))); err != nil {
		t.Fatal(err)
	}
	o.keepModes(dir)
	keys, err := keyring.Open(filepath.Join(dir, "keyring"), nil)
	if err != nil {
		t.Fatal(err)
	}
	backend, err := fsbackend.Open(filepath.Join(dir, "blobs"), fsbackend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o.path = filepath.Join(dir, "meta.db")
	store, err := sqlite.Open(o.path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(store.Close(), backend.Close(), keys.Close()); err != nil {
			t.Error(err)
		}
	})
	o.config = engine.Config{Store: store, Backends: []blobs.Backend{{Name: "local", Backend: backend}}, Keys: keys, Sole: true}
	return o
}

// keepModes gives the copy the modes that Git does not keep.
func (o *old) keepModes(dir string) {
	o.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		} else if err == nil {
			return os.Chmod(path, 0o600)
		}
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *old) open() *Gateway {
	o.t.Helper()
	g, err := Open(o.t.Context(), o.config)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { g.Engine.Close() })
	return g
}

// unsaid is what answers did not say in the release before: elements that are empty,
// and so their length.
var unsaid = regexp.MustCompile(`<(Prefix|NextKeyMarker|NextUploadIdMarker)></(Prefix|NextKeyMarker|NextUploadIdMarker)>|(?m)^Content-Length: [0-9]+$`)

// said is an answer as far as both releases say it alike.
func said(a Answer) Answer {
	a.Text = unsaid.ReplaceAllString(a.Text, "")
	return a
}

// same demands the answers of the release before, and a whole deployment.
func (o *old) same(g *Gateway, when string) {
	o.t.Helper()
	for i, now := range o.scene.Answers(g) {
		if was := o.answers[i]; said(now) != said(was) {
			o.t.Errorf("%s: %s: %d %s\nwas %d %s", when, o.scene.Questions[i], now.Status, now.Text, was.Status, was.Text)
		}
	}
	r, err := fsck.Run(o.t.Context(), g.Engine, fsck.Options{Deep: true})
	if err != nil || !r.Clean() {
		o.t.Errorf("%s: fsck: %v, %+v", when, err, r.Findings)
	}
}

// reseal takes steps until the sealing is the one given.
func (o *old) reseal(g *Gateway, until meta.Sealing) (steps int) {
	o.t.Helper()
	for steps = 1; steps < 100; steps++ {
		r, err := g.Resealing.Step(o.t.Context())
		if err != nil || r.Failed > 0 || r.Skipped {
			o.t.Fatalf("%+v, %v", r, err)
		}
		if r.Sealing == until {
			return steps
		}
	}
	o.t.Fatalf("sealing %d is never reached", until)
	return steps
}

func (o *old) edit(statement string) {
	o.t.Helper()
	db, err := openDB(o.t.Context(), o.path)
	if err != nil {
		o.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		o.t.Fatal(err)
	}
}

// A store of the release before is served as it is, while it is sealed, and after.
func TestUpgradeSealsAnOldStore(t *testing.T) {
	o := openOld(t)
	g := o.open()
	o.same(g, "before")
	o.reseal(g, meta.SealingRenewed)
	o.same(g, "begun")
	o.reseal(g, meta.SealingWhole)
	o.same(g, "done")
	again := o.open()
	o.same(again, "started anew")
	if r, err := again.Resealing.Step(t.Context()); err != nil || r != (reseal.Report{Sealing: meta.SealingWhole}) {
		t.Errorf("of a whole store: %+v, %v", r, err)
	}
	for _, rows := range []string{"users", "access_keys", "buckets"} {
		db, err := openDB(t.Context(), o.path)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := db.QueryRow("SELECT COUNT(*) FROM " + rows + " WHERE record IS NULL").Scan(&n); err != nil || n > 0 {
			t.Errorf("%d rows of %s have no record, %v", n, rows, err)
		}
		db.Close()
	}
}

// A store whose buckets have one generation each is what it was, and their keys can be
// rotated.
func TestUpgradeToGenerations(t *testing.T) {
	o := openOldOf(t, lastOfOneGeneration)
	g := o.open()
	o.same(g, "before")
	page, err := g.Engine.Buckets().List(t.Context(), meta.BucketQuery{Limit: meta.MaxPage})
	if err != nil || len(page) == 0 {
		t.Fatalf("%d buckets, %v", len(page), err)
	}
	for _, b := range page {
		if n, err := g.Engine.Buckets().Rotate(t.Context(), b); err != nil || n != 2 {
			t.Errorf("%s: generation %d, %v", b.Name, n, err)
		}
	}
	o.same(g, "rotated")
	o.same(o.open(), "rotated, started anew")
}

// Each step may be the last of its process.
func TestUpgradeInterrupted(t *testing.T) {
	o := openOld(t)
	steps := 0
	for ; steps < 100; steps++ {
		g, err := Open(t.Context(), o.config)
		if err != nil {
			t.Fatal(err)
		}
		r, err := g.Resealing.Step(t.Context()) // no Close: it was killed
		if err != nil {
			t.Fatal(err)
		}
		if r.Sealing == meta.SealingWhole {
			break
		}
	}
	o.same(o.open(), "after as many processes as steps")
	if steps < 5 {
		t.Errorf("only %d steps: nothing was interrupted", steps)
	}
}

// A store that is sealed whole cannot be made an old one again by an edit.
func TestSealingCannotBeTakenBack(t *testing.T) {
	for name, edit := range map[string]string{
		"legacy":         "UPDATE deployment SET sealing = 1, record = NULL",
		"nought":         "UPDATE deployment SET sealing = 0, record = NULL",
		"without record": "UPDATE deployment SET record = NULL",
		"only the mode":  "UPDATE deployment SET sealing = 2",
		"a root":         "UPDATE deployment SET root = (SELECT id FROM users WHERE name = CAST('alice' AS BLOB))",
		"more":           "UPDATE deployment SET sealing = 4",
	} {
		t.Run(name, func(t *testing.T) {
			o := openOld(t)
			g := o.open()
			o.reseal(g, meta.SealingWhole)
			o.edit(edit)
			if err := g.Engine.Beat(t.Context()); !errors.Is(err, records.ErrEdited) {
				t.Errorf("a gateway that runs takes it: %v", err)
			}
			_, err := Open(t.Context(), o.config)
			if !errors.Is(err, records.ErrEdited) && !errors.Is(err, blobs.ErrStoreRolledBack) {
				t.Errorf("a gateway starts: %v", err)
			}
		})
	}
}

// Only backends can tell that a store was sealed whole before. One that cannot be asked
// is not taken for one that says nothing.
func TestSealingCannotBeTakenBackWhileBackendsAreAway(t *testing.T) {
	o := openOld(t)
	o.reseal(o.open(), meta.SealingWhole)
	o.edit("UPDATE deployment SET sealing = 1, record = NULL, root = (SELECT id FROM users WHERE name = CAST('alice' AS BLOB))")
	away := faults.NewPlan(1, faults.Rule{Err: backends.ErrUnavailable})
	o.config.Backends[0].Backend = faults.Backend(o.config.Backends[0].Backend, away)
	e, err := engine.Open(t.Context(), o.config)
	if err == nil {
		t.Fatalf("a gateway starts, whose operator is %s", e.Accounts().Root().Name)
	}
	if !errors.Is(err, backends.ErrUnavailable) {
		t.Error(err)
	}
	away.Clear()
	if _, err := engine.Open(t.Context(), o.config); !errors.Is(err, blobs.ErrStoreRolledBack) {
		t.Errorf("once it is back: %v", err)
	}
}

// A store that was restored from a backup of before its upgrade is accepted on
// demand, and sealed again.
func TestRestoredFromBeforeTheUpgrade(t *testing.T) {
	o := openOld(t)
	g := o.open()
	o.reseal(g, meta.SealingWhole)
	o.edit("UPDATE deployment SET sealing = 1, record = NULL, resealed = NULL")
	for _, table := range []string{"users", "access_keys", "buckets"} {
		o.edit("UPDATE " + table + " SET record = NULL")
	}
	if _, err := Open(t.Context(), o.config); !errors.Is(err, blobs.ErrStoreRolledBack) {
		t.Fatalf("it is not noticed: %v", err)
	}
	o.config.AcceptStore = true
	o.open()
	o.config.AcceptStore = false
	g = o.open()
	o.same(g, "accepted")
	o.reseal(g, meta.SealingWhole)
	o.same(o.open(), "sealed again")
}

// Records wait for a gateway of the release before, and for those that have not seen
// that it is gone.
func TestUpgradeWaitsForOldGateways(t *testing.T) {
	o := openOld(t)
	ctx := t.Context()
	var elapsed time.Duration
	o.config.Sole, o.config.Elapsed = false, func() time.Duration { return elapsed }
	g, other := o.open(), o.open()
	step := func(want meta.Sealing, waiting bool) {
		t.Helper()
		r, err := g.Resealing.Step(ctx)
		if err != nil || r.Sealing != want || r.Waiting != waiting {
			t.Fatalf("%+v, %v; want sealing %d, waiting %t", r, err, want, waiting)
		}
	}
	beats := func(e ...*Gateway) {
		t.Helper()
		for _, g := range e {
			if err := g.Engine.Beat(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	const before = "INSERT INTO holders (id, beat) VALUES (x'000102030405060708090a0b0c0d0e0f', 1) ON CONFLICT (id) DO UPDATE SET beat = beat + 1"
	o.edit(before)
	for range 3 { // it beats as the release before does, and changes rows so
		step(meta.SealingLegacy, true)
		elapsed += 40 * time.Second
		o.edit(before)
		beats(g, other)
	}
	o.edit("UPDATE buckets SET versioning = 2, revision = revision + 1 WHERE name = CAST('shared' AS BLOB)")
	if b, err := g.Engine.Buckets().Get(ctx, "shared"); err != nil || b.Versioning != meta.VersioningSuspended {
		t.Errorf("what the release before changed: %+v, %v", b, err)
	}
	elapsed += time.Minute // it has stopped
	beats(g, other)
	step(meta.SealingLegacy, true)
	elapsed += time.Minute
	beats(g, other)
	step(meta.SealingRenewed, false)

	// The other has not seen it yet, and writes no records.
	if _, err := other.Engine.Buckets().Create(ctx, "late-bucket", "", other.Engine.Accounts().Root().ID); err != nil {
		t.Fatal(err)
	}
	beats(g)
	step(meta.SealingRenewed, true)
	beats(other) // sees it, and says so with the next
	step(meta.SealingRenewed, true)
	beats(other)
	for range 20 {
		if r, err := g.Resealing.Step(ctx); err != nil {
			t.Fatal(err)
		} else if r.Sealing == meta.SealingWhole {
			break
		}
	}
	beats(other)
	for _, g := range []*Gateway{g, other} {
		if _, err := g.Engine.Buckets().Get(ctx, "late-bucket"); err != nil {
			t.Error(err)
		}
	}
	o.config.Sole = true
	third := o.open()
	if r, err := fsck.Run(ctx, third.Engine, fsck.Options{}); err != nil || !r.Clean() || r.Sealing != meta.SealingWhole {
		t.Errorf("%+v, %v", r, err)
	}
}

// fsck tells of a backend that has seen more than the store says.
func TestFsckFindsSealingUndone(t *testing.T) {
	o := openOld(t)
	o.reseal(o.open(), meta.SealingWhole)
	o.edit("UPDATE deployment SET sealing = 1, record = NULL")
	c := o.config
	c.ReadOnly = true
	e, err := engine.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	r, err := fsck.Run(t.Context(), e, fsck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Kind == "sealing-undone" && f.Backend == "local" {
			return
		}
	}
	t.Errorf("%+v", r.Findings)
}
