package edits

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/meta"
)

// ledgerTables say what of the bytes is needed.
var ledgerTables = []string{"backends", "blobs", "condemned", "copies", "deployment", "dying_buckets", "entry_changes", "holders", "leases", "renames", "reservations", "uploads", "usage", "usage_changes"}

// An edit of the ledger alone, however it is made, has no bytes deleted that an object
// is made of and no key of a bucket, keeps none of them from being replaced or deleted by
// its owner, and keeps no collection from its work.
func TestEditsOfTheLedgerDeleteNothing(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	ring, err := keyring.Create(filepath.Join(dir, "keyring"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ring.Close()
	backend := mem.New()
	defer backend.Close()
	s := stage{path: filepath.Join(dir, "meta.db"), config: engine.Config{
		Backends: []blobs.Backend{{Name: "local", Backend: backend}}, Keys: ring, Sole: true, Grace: -1,
	}}
	scene, before := s.build(t, ctx)
	p, done := s.play(t, ctx, scene, s.path)
	if p == nil {
		return
	}
	defer done()
	p.config.Now = func() time.Time { return Now.Add(p.late) }
	needed := p.needed(ctx)
	if len(needed) < 5 {
		t.Fatalf("objects are made of only %d blobs", len(needed))
	}
	keys, tried := p.seeds, 0 // of the background without an edit
	for _, table := range p.db.Tables {
		if !slices.Contains(ledgerTables, table.Name) {
			continue
		}
		called := p.called(table)
		edits := append(called, extremes(table, p.was[table.Name])...)
		edits = append(edits, Edits(table, choose(table, p.was[table.Name], before[table.Name]), before[table.Name])...)
		for i, e := range edits {
			left, found := p.background(ctx, e)
			if left == nil {
				continue
			}
			if p.seeds < keys {
				t.Errorf("%s: %d of %d keys of buckets are left", e, p.seeds, keys)
			}
			if i < len(called) && !found && table.Name != "dying_buckets" {
				t.Errorf("%s: fsck finds nothing", e)
			}
			tried++
			for _, id := range needed {
				if !left[id] {
					t.Errorf("%s: %v is gone, of which an object is made", e, id)
				}
			}
		}
	}
	if tried < 200 {
		t.Errorf("only %d edits were tried", tried)
	}
}

// needed are the blobs that objects are made of: those that the background leaves, but
// for those of uploads that are open, which an edit can end.
func (p *play) needed(ctx context.Context) (ids []backends.BlobID) {
	blobs, parts, uploads := p.table("blobs"), p.table("parts"), p.table("uploads")
	left, _ := p.background(ctx, Edit{Table: blobs})
	for _, part := range p.was[parts.Name] {
		for _, upload := range p.was[uploads.Name] {
			if sameValue(upload[slices.Index(uploads.Columns, "id")], part[slices.Index(parts.Columns, "upload_id")]) &&
				upload[slices.Index(uploads.Columns, "refs")] == int64(0) {
				for id := range slices.Chunk(part[slices.Index(parts.Columns, "blobs")].([]byte), len(backends.BlobID{})) {
					delete(left, backends.BlobID(id))
				}
			}
		}
	}
	for _, row := range p.was[blobs.Name] {
		if id := backends.BlobID(row[slices.Index(blobs.Columns, "id")].([]byte)); left[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

func (p *play) table(name string) Table {
	return p.db.Tables[slices.IndexFunc(p.db.Tables, func(t Table) bool { return t.Name == name })]
}

// trimming is the state of a completed upload whose surplus parts are to be removed.
const trimming = int64(4)

// called are edits by which a blob that lives is also dead, reserved or about to be
// copied where it is, and an upload of which an object is made open or dying, since long,
// or completed with other parts. A bucket that is there is also deleted.
func (p *play) called(t Table) (all []Edit) {
	if t.Name == "uploads" {
		for _, was := range p.was[t.Name] {
			for _, state := range []int64{int64(meta.UploadOpen), int64(meta.UploadDying)} {
				now := slices.Clone(was)
				now[slices.Index(t.Columns, "state")], now[slices.Index(t.Columns, "since")] = state, int64(0)
				if was[slices.Index(t.Columns, "refs")] != int64(0) {
					all = append(all, Edit{t, "state", Another, []Row{was}, []Row{now}})
					now = slices.Clone(now)
					now[slices.Index(t.Columns, "refs")] = int64(0)
					all = append(all, Edit{t, "state refs", Another, []Row{was}, []Row{now}})
				}
			}
			for _, chosen := range [][]byte{{1, 1}, {5, 1}, {2, 2}, {1, 1, 5, 1}, {3, 100}} { // of parts 2 and 5 it was 2
				now := slices.Clone(was)
				now[slices.Index(t.Columns, "state")], now[slices.Index(t.Columns, "chosen")] = trimming, chosen
				if was[slices.Index(t.Columns, "refs")] != int64(0) {
					all = append(all, Edit{t, "chosen", Another, []Row{was}, []Row{now}})
				}
			}
		}
		return all
	}
	if t.Name == "dying_buckets" {
		var rows []Row
		buckets := p.table("buckets")
		for _, bucket := range p.was[buckets.Name] {
			rows = append(rows, Row{bucket[slices.Index(buckets.Columns, "id")]})
		}
		return []Edit{{t, "", Forged, nil, rows}}
	}
	if !slices.Contains([]string{"condemned", "copies", "reservations"}, t.Name) {
		return nil
	}
	blobs := p.table("blobs")
	for _, changed := range []int64{0, math.MaxInt64} {
		var rows []Row
		for _, blob := range p.was[blobs.Name] {
			row := make(Row, len(t.Columns))
			for i, column := range t.Columns {
				switch column {
				case "id", "backend":
					row[i] = blob[slices.Index(blobs.Columns, column)]
				case "holder":
					row[i] = []byte("nobody's holder!")
				case "changed":
					row[i] = changed
				}
			}
			rows = append(rows, row)
		}
		all = append(all, Edit{t, "", Forged, nil, rows})
	}
	return all
}

// extremes are edits that set a number of every row to the least or most there is.
func extremes(t Table, rows []Row) (all []Edit) {
	for i, column := range t.Columns {
		for _, n := range []int64{math.MinInt64, math.MaxInt64} {
			e := Edit{Table: t, Column: column, Kind: Another}
			for _, was := range rows {
				if _, ok := was[i].(int64); ok {
					now := slices.Clone(was)
					now[i] = n
					e.Old, e.New = append(e.Old, was), append(e.New, now)
				}
			}
			if len(e.Old) > 0 {
				all = append(all, e)
			}
		}
	}
	return all
}

// background makes an edit, lets a new gateway do all that it does in the background,
// and returns which blobs are there then, nil where the schema forbids the edit, and
// whether fsck found something before. Where the gateway serves, objects can still be
// replaced and deleted. It puts everything back.
func (p *play) background(ctx context.Context, e Edit) (left map[backends.BlobID]bool, found bool) {
	if err := p.db.Replace(ctx, e.Table, e.Old, e.New); err != nil {
		return nil, false
	}
	defer func() {
		if err := p.db.Restore(ctx, p.was); err != nil {
			p.t.Errorf("%s: %v", e, err)
		}
	}()
	left, p.late = make(map[backends.BlobID]bool), 0
	g, err := p.open(ctx)
	if err == nil {
		defer g.Engine.Close()
		r, failed := fsck.Run(ctx, g.Engine, fsck.Options{})
		found = failed != nil || !r.Clean()
		g.Ask(p.scene.People["alice"], "PUT", "/plain/multi?partNumber=2&uploadId="+p.scene.People["done"].AccessKey, []byte("a part of an upload that has ended"))
		var last error
		for range 3 {
			p.late += time.Second // what is condemned now is deleted in the next round
			_, last = g.Engine.Blobs().Collect(ctx)
			for _, step := range []func() error{
				func() error { return g.Engine.Beat(ctx) },
				func() error { _, err := g.Engine.Blobs().Move(ctx); return err },
				func() error { _, err := g.Lifecycles.Step(ctx); return err },
				func() error { _, err := g.Inventories.Step(ctx); return err },
			} {
				_ = step() // its errors are told to operators
			}
		}
		if last != nil {
			p.t.Errorf("%s: the third collection: %v", e, last)
		}
	}
	seeds, failed := p.db.Rows(ctx, p.table("bucket_seeds"))
	if p.seeds = len(seeds); failed != nil {
		p.t.Fatal(failed)
	}
	for info, err := range p.stored.List(ctx, backends.BlobID{}) {
		if err != nil {
			p.t.Fatal(err)
		}
		left[info.ID] = true
	}
	counts := strings.Contains(e.Table.Name, "usage") || e.Table.Name == "entry_changes" // with which the quota is exceeded
	if err == nil && !counts && !(e.Table.Name == "backends" && e.Column == "state") {   // one that is not active takes nothing
		p.mend(e, g)
	}
	return left, found
}

// mend replaces and deletes objects.
func (p *play) mend(e Edit, g *Gateway) {
	for _, d := range []struct{ who, method, target string }{
		{"alice", "PUT", "/plain/one"}, {"alice", "PUT", "/plain/multi"}, {"alice", "DELETE", "/plain/two"}, {"alice", "DELETE", "/plain/multi"}, {"robert", "DELETE", "/roberts/one"},
	} {
		if a, _ := g.Ask(p.scene.People[d.who], d.method, d.target, []byte("anew")); a.Status/100 != 2 {
			p.t.Errorf("%s: %s %s: %d %.300s", e, d.method, d.target, a.Status, a.Text)
		}
	}
}
