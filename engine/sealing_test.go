package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// A process that was paused while the others sealed the store whole, and took it for
// gone, writes nothing by what it knew before, by whichever road.
func TestPausedWhileSealed(t *testing.T) {
	r := newRowRig(t)
	ctx := t.Context()
	off := r.bucket("never-versioned")
	kept := r.put(r.b, "kept", "text", lockedMarks())
	_, err := r.e.Accounts().CreateTenant(ctx, "acme", "", "", "")
	r.ok(err)
	tenant, err := r.e.Accounts().TenantByName(ctx, "acme")
	r.ok(err)
	key, err := r.e.Accounts().CreateAccessKey(ctx, tenant, tenant.ID, "", "")
	r.ok(err)
	// pause is until the others take the process for gone, and it knows what it knew.
	var knows meta.Sealing
	pause := func() {
		r.paused += blobs.AbandonAfter
		r.e.sealing.known.Store(uint32(knows))
	}
	n := 0
	unique := func(name string) string { n++; return fmt.Sprint(name, n) }
	roads := []struct {
		name string
		take func() error
	}{
		{"put", func() error {
			_, err := r.e.PutObject(ctx, PutObject{Bucket: r.b, Key: "put", Owner: r.b.Owner, Body: Body{Reader: strings.NewReader("x"), Size: 1}})
			return err
		}},
		{"copy", func() error {
			_, err := r.e.CopyObject(ctx, CopyObject{SourceBucket: r.b, SourceKey: "kept", Bucket: r.b, Key: "copy", Owner: r.b.Owner})
			return err
		}},
		{"complete", func() error {
			u, err := r.e.CreateUpload(ctx, CreateUpload{Bucket: r.b, Key: "parts", Owner: r.b.Owner})
			r.ok(err)
			p, err := r.e.UploadPart(ctx, UploadPart{Bucket: r.b, Key: "parts", Upload: u.ID, Number: 1, Body: Body{Reader: strings.NewReader("p"), Size: 1}})
			r.ok(err)
			pause()
			_, err = r.e.CompleteUpload(ctx, CompleteUpload{Bucket: r.b, Key: "parts", Upload: u.ID, Parts: []CompletedPart{{Number: 1, ETag: p.ETag}}, Size: -1})
			return err
		}},
		{"delete", func() error {
			_, err := r.e.DeleteObject(ctx, r.b, DeleteObject{Key: "put", Owner: r.b.Owner})
			return err
		}},
		{"rename", func() error {
			r.put(off, "from", "text", Marks{})
			pause() // again, which that has found out
			return r.e.RenameObject(ctx, RenameObject{Bucket: off, Source: "from", Key: "to", Asker: off.Owner})
		}},
		{"amend", func() error {
			_, err := r.e.ChangeMarks(ctx, Subject{Bucket: r.b, Key: "kept", Version: kept.Version}, func(m *Marks) error { m.Tags = []Pair{{Name: "a", Value: "b"}}; return nil })
			return err
		}},
		{"class", func() error {
			v, err := r.e.store.Version(ctx, r.b.ID, "kept", kept.Version)
			if err == nil {
				_, err = r.e.Reclass(ctx, r.b, &v, "GLACIER_IR")
			}
			return err
		}},
		{"bucket", func() error { r.bucket(unique("another")); return nil }},
		{"versioning", func() error { return r.e.Buckets().SetVersioning(ctx, off, meta.VersioningEnabled) }},
		{"tenant", func() error { _, err := r.e.Accounts().CreateTenant(ctx, unique("other"), "", "", ""); return err }},
		{"limits", func() error { return r.e.Accounts().SetResidency(ctx, "acme", "") }},
		{"access key", func() error { _, err := r.e.Accounts().CreateAccessKey(ctx, tenant, tenant.ID, "", ""); return err }},
		{"key is off", func() error { return r.e.Accounts().SetAccessKeyInactive(ctx, key.AccessKey, true) }},
	}
	for _, road := range roads {
		for _, knows = range []meta.Sealing{meta.SealingLegacy, meta.SealingRenewed} {
			pause()
			if err := road.take(); err != nil {
				t.Errorf("%s: %v", road.name, err)
			}
			if now := r.e.sealing.Now(); now != meta.SealingWhole {
				t.Errorf("%s: it wrote by %d, and the store was sealed whole", road.name, now)
				r.e.sealing.known.Store(uint32(meta.SealingWhole))
			}
		}
		for _, v := range r.rows() {
			if !encrypt.IsWholeRecord(v.ListRecord) {
				t.Errorf("%s: %s has no whole record", road.name, v.Key)
			}
		}
		if fs := r.findings(); slices.ContainsFunc(fs, func(f Finding) bool { return strings.Contains(string(f.Kind), "edited") }) {
			t.Errorf("%s: findings %+v", road.name, fs)
		}
	}
}

// While the sealing may be raised, a write that has begun ends before the others can
// take this process for gone.
func TestWriteEndsBeforeSilence(t *testing.T) {
	r := newRowRig(t)
	for s, limited := range map[meta.Sealing]bool{meta.SealingLegacy: true, meta.SealingRenewed: true, meta.SealingWhole: false} {
		r.setSealing(s)
		ctx, as, done, err := r.e.sealing.As(context.Background())
		if err != nil || as != s {
			t.Errorf("by %d: %d, %v", s, as, err)
		}
		end, ok := ctx.Deadline()
		if ok != limited || ok && time.Until(end) > blobs.AbandonAfter/2 {
			t.Errorf("by %d: a deadline %t, in %v", s, ok, time.Until(end))
		}
		done()
	}
}

// Of two rows of the deployment that are read at once, the older one may be observed
// last: it was not edited, and this process does not write by it again.
func TestOlderRowObservedLast(t *testing.T) {
	r := newRowRig(t)
	r.setSealing(meta.SealingRenewed)
	known := r.e.sealing.Now()
	older, err := r.e.store.Deployment(t.Context())
	r.ok(err)
	r.setSealing(meta.SealingWhole)
	if err := r.e.sealing.observe(older, known); err != nil || r.e.sealing.Now() != meta.SealingWhole {
		t.Errorf("%v, and it writes by %d", err, r.e.sealing.Now())
	}
	if err := r.e.sealing.observe(older, r.e.sealing.Now()); !errors.Is(err, records.ErrEdited) {
		t.Errorf("one that was read later: %v", err)
	}
}
