package faults

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

func (f *faultyStore) SetSealing(ctx context.Context, from meta.Sealing, d meta.Deployment, gone []meta.Holder) error {
	return f.do("SetSealing", func() error { return f.s.SetSealing(ctx, from, d, gone) })
}

func (f *faultyStore) NoteResealed(ctx context.Context, l meta.Lease, progress []byte) error {
	return f.do("NoteResealed", func() error { return f.s.NoteResealed(ctx, l, progress) })
}

func (f *faultyStore) SetBucketRecord(ctx context.Context, id meta.ID, c meta.Change) error {
	return f.do("SetBucketRecord", func() error { return f.s.SetBucketRecord(ctx, id, c) })
}

func (f *faultyStore) ScanAccessKeys(ctx context.Context, after string, limit int) ([]meta.AccessKey, error) {
	return question(f, "ScanAccessKeys", func() ([]meta.AccessKey, error) { return f.s.ScanAccessKeys(ctx, after, limit) })
}

func (f *faultyStore) ScanIdentities(ctx context.Context, after meta.ID, limit int) ([]meta.Identity, error) {
	return question(f, "ScanIdentities", func() ([]meta.Identity, error) { return f.s.ScanIdentities(ctx, after, limit) })
}

func (f *faultyStore) SetVersioning(ctx context.Context, id meta.ID, c meta.Change, v meta.Versioning, lock bool) error {
	return f.do("SetVersioning", func() error { return f.s.SetVersioning(ctx, id, c, v, lock) })
}

func (f *faultyStore) SetSetting(ctx context.Context, id meta.ID, c meta.Change, s meta.Setting) error {
	return f.do("SetSetting", func() error { return f.s.SetSetting(ctx, id, c, s) })
}

func (f *faultyStore) UpdateTenant(ctx context.Context, was, now meta.Tenant) error {
	return f.do("UpdateTenant", func() error { return f.s.UpdateTenant(ctx, was, now) })
}

func (f *faultyStore) UpdateAccessKey(ctx context.Context, was, now meta.AccessKey) error {
	return f.do("UpdateAccessKey", func() error { return f.s.UpdateAccessKey(ctx, was, now) })
}
