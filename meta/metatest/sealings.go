package metatest

import (
	"context"
	"errors"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// SetVersioning calls the method of the same name with the bucket's current
// revision.
func SetVersioning(ctx context.Context, s meta.Store, id meta.ID, v meta.Versioning, lock bool) error {
	for {
		before, err := s.BucketSettings(ctx, id)
		if err != nil {
			return err
		}
		err = s.SetVersioning(ctx, id, meta.Change{Revision: before.Bucket.Revision}, v, lock)
		if !errors.Is(err, meta.ErrConflict) {
			return err
		}
		if now, again := s.BucketSettings(ctx, id); again != nil || now.Bucket.Revision == before.Bucket.Revision {
			return errors.Join(err, again)
		}
	}
}

func (f *fixture) setVersioning(id meta.ID, v meta.Versioning, lock bool) error {
	return SetVersioning(f.ctx, f.s, id, v, lock)
}

// updateTenant changes the current state of a tenant.
func (f *fixture) updateTenant(id meta.ID, change func(*meta.Tenant)) error {
	was, err := f.s.Tenant(f.ctx, id)
	if errors.Is(err, meta.ErrNotFound) {
		was.ID = id
	} else if err != nil {
		return err
	}
	now := was
	change(&now)
	return f.s.UpdateTenant(f.ctx, was, now)
}

// Records are returned as they were written, and a change based on an older read
// has no effect.
func testRecords(f *fixture) {
	u := meta.Tenant{ID: meta.NewID(), Name: "ann", Created: f.now, Record: []byte("first")}
	k := meta.AccessKey{ID: "AK", User: u.ID, Secret: []byte("sealed"), Created: f.now, Record: []byte{0}}
	f.ok(f.s.CreateTenant(f.ctx, u, k))
	again := u
	again.Residency, again.Limits, again.Record = "eu", []byte("limits"), []byte("second")
	f.ok(f.s.UpdateTenant(f.ctx, u, again))
	got, err := f.s.Tenant(f.ctx, u.ID)
	f.ok(err)
	same(f, got, again)
	for _, stale := range []meta.Tenant{u, {ID: u.ID, Residency: "eu", Limits: again.Limits}, {ID: u.ID, Limits: again.Limits, Record: again.Record}} {
		f.is(f.s.UpdateTenant(f.ctx, stale, u), meta.ErrConflict)
	}
	f.is(f.s.UpdateTenant(f.ctx, again, meta.Tenant{ID: u.ID, Record: make([]byte, meta.MaxRecord+1)}), meta.ErrLimit)

	off := k
	off.Inactive, off.Record = true, nil
	f.ok(f.s.UpdateAccessKey(f.ctx, k, off))
	f.is(f.s.UpdateAccessKey(f.ctx, k, off), meta.ErrConflict)
	f.ok(f.s.UpdateAccessKey(f.ctx, off, k))
	kept, err := f.s.AccessKey(f.ctx, "AK")
	f.ok(err)
	same(f, kept, k)

	b := meta.Bucket{ID: meta.NewID(), Name: "b", Owner: u.ID, Backend: here, Created: f.now}
	f.ok(f.s.CreateBucket(f.ctx, b, meta.BucketSeed{Bucket: b.ID, Generation: 1, Wrapped: []byte("seed")}, meta.MaxBucketCount))
	f.is(f.s.SetBucketRecord(f.ctx, b.ID, meta.Change{Revision: 1, Record: []byte("r")}), meta.ErrConflict)
	f.is(f.s.SetBucketRecord(f.ctx, meta.NewID(), meta.Change{Record: []byte("r")}), meta.ErrNoBucket)
	f.ok(f.s.SetBucketRecord(f.ctx, b.ID, meta.Change{Record: []byte("r0")}))
	f.is(f.s.SetBucketRecord(f.ctx, b.ID, meta.Change{Record: []byte("r")}), meta.ErrConflict)
	wantRecord := func(record string, revision int64) {
		f.Helper()
		all, err := f.s.BucketSettings(f.ctx, b.ID)
		f.ok(err)
		now, err := f.s.Bucket(f.ctx, "b")
		f.ok(err)
		same(f, all.Bucket, now)
		found, _, err := f.s.Vacant(f.ctx, "b", "k")
		f.ok(err)
		same(f, found, now)
		if string(now.Record) != record || now.Revision != revision {
			f.Fatalf("record %q of revision %d, want %q of %d", now.Record, now.Revision, record, revision)
		}
	}
	wantRecord("r0", 0)
	f.ok(f.s.SetSetting(f.ctx, b.ID, meta.Change{Record: []byte("r1")}, meta.Setting{Name: "s", Document: []byte("d")}))
	wantRecord("r1", 1)
	f.is(f.s.SetVersioning(f.ctx, b.ID, meta.Change{Record: []byte("r")}, meta.VersioningEnabled, false), meta.ErrConflict)
	f.ok(f.s.SetVersioning(f.ctx, b.ID, meta.Change{Revision: 1, Record: []byte("r2")}, meta.VersioningEnabled, false))
	wantRecord("r2", 2)
	f.ok(f.s.SetSetting(f.ctx, b.ID, meta.Change{Revision: 2}, meta.Setting{Name: "s"}))
	wantRecord("", 3)
	f.is(f.s.SetSetting(f.ctx, b.ID, meta.Change{Revision: 3, Record: make([]byte, meta.MaxRecord+1)}, meta.Setting{Name: "s"}), meta.ErrLimit)
}

// The sealing is raised when no holder writes by an earlier one.
func testSealing(f *fixture) {
	root := meta.Tenant{ID: meta.NewID(), Name: "root", Created: f.now}
	d := meta.Deployment{ID: meta.NewID(), Root: root.ID, Created: f.now, Sealing: meta.SealingLegacy}
	f.ok(f.s.InitDeployment(f.ctx, d, root, f.backend(here, "first")))
	want := func(sealing meta.Sealing, record string) {
		f.Helper()
		got, err := f.s.Deployment(f.ctx)
		f.ok(err)
		if got.Sealing != sealing || string(got.Record) != record {
			f.Fatalf("sealing %d with record %q, want %d with %q", got.Sealing, got.Record, sealing, record)
		}
	}
	raise := func(from, to meta.Sealing, gone ...meta.Holder) error {
		next := d
		next.Sealing, next.Record = to, []byte(strings.Repeat("r", int(to)))
		return f.s.SetSealing(f.ctx, from, next, gone)
	}
	want(meta.SealingLegacy, "")
	old := meta.NewID() // known by a reservation, without a sealing
	f.ok(f.s.Reserve(f.ctx, old, here, []meta.BlobID{{1}}, f.now))
	f.ok(f.s.Beat(f.ctx, f.holder, meta.SealingLegacy))
	f.is(raise(meta.SealingLegacy, meta.SealingRenewed), meta.ErrConflict)
	f.is(raise(meta.SealingLegacy, meta.SealingRenewed, meta.Holder{ID: old, Beat: 7}), meta.ErrConflict)
	want(meta.SealingLegacy, "")
	f.is(raise(meta.SealingRenewed, meta.SealingWhole, meta.Holder{ID: old}), meta.ErrConflict)
	f.ok(raise(meta.SealingLegacy, meta.SealingRenewed, meta.Holder{ID: old}))
	want(meta.SealingRenewed, "rr")

	f.is(raise(meta.SealingRenewed, meta.SealingWhole, meta.Holder{ID: old}), meta.ErrConflict)
	f.ok(f.s.Beat(f.ctx, f.holder, meta.SealingRenewed))
	hs, err := f.s.Holders(f.ctx)
	f.ok(err)
	if len(hs) != 2 {
		f.Fatalf("holders %v", hs)
	}
	for _, h := range hs {
		if h.ID == f.holder && h.Sealing != meta.SealingRenewed || h.ID == old && h.Sealing != 0 {
			f.Fatalf("holder %+v", h)
		}
	}
	l, err := f.s.TakeLease(f.ctx, meta.Lease{Name: "sealing"}, f.holder)
	f.ok(err)
	f.ok(f.s.NoteResealed(f.ctx, l, []byte("half")))
	got, err := f.s.Deployment(f.ctx)
	f.ok(err)
	if string(got.Resealed) != "half" {
		f.Fatalf("progress %q", got.Resealed)
	}
	f.is(f.s.NoteResealed(f.ctx, l, make([]byte, meta.MaxResealed+1)), meta.ErrLimit)
	f.ok(f.s.DropLease(f.ctx, l))
	f.is(f.s.NoteResealed(f.ctx, l, nil), meta.ErrConflict)
	f.ok(raise(meta.SealingRenewed, meta.SealingWhole, meta.Holder{ID: old}))
	f.is(raise(meta.SealingRenewed, meta.SealingWhole, meta.Holder{ID: old}), meta.ErrConflict)
	want(meta.SealingWhole, "rrr")
}

// Scans return all credentials and identities of all tenants, page by page.
func testScans(f *fixture) {
	var keys []string
	ids := make(map[meta.ID]bool)
	for _, name := range []string{"ann", "bob"} {
		u, k := f.tenant(name)
		second := meta.AccessKey{ID: "more" + name, User: u.ID, Created: f.now}
		f.ok(f.s.CreateAccessKey(f.ctx, second))
		keys = append(keys, k.ID, second.ID)
		for _, kind := range []meta.IdentityKind{meta.IdentityUser, meta.IdentityPolicy} {
			i := meta.Identity{ID: meta.NewID(), Tenant: u.ID, Kind: kind, Name: "n", Created: f.now, Document: []byte("d")}
			f.ok(f.s.CreateIdentity(f.ctx, i))
			ids[i.ID] = true
		}
	}
	for after := ""; ; {
		page, err := f.s.ScanAccessKeys(f.ctx, after, 1)
		f.ok(err)
		if len(page) == 0 {
			break
		}
		if page[0].ID <= after {
			f.Fatalf("%s after %s", page[0].ID, after)
		}
		after, keys = page[0].ID, keys[:len(keys)-1]
	}
	for after := (meta.ID{}); ; {
		page, err := f.s.ScanIdentities(f.ctx, after, 3)
		f.ok(err)
		if len(page) == 0 {
			break
		}
		for _, i := range page {
			delete(ids, i.ID)
			after = i.ID
		}
	}
	if len(keys)+len(ids) > 0 {
		f.Fatalf("%d access keys and %d identities were not scanned", len(keys), len(ids))
	}
	_, err := f.s.ScanAccessKeys(f.ctx, "", meta.MaxPage+1)
	f.is(err, meta.ErrLimit)
	_, err = f.s.ScanIdentities(f.ctx, meta.ID{}, 0)
	f.is(err, meta.ErrLimit)
}
