package faults

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

func (f *faultyStore) BucketSettings(ctx context.Context, id meta.ID) (meta.BucketSettings, error) {
	return question(f, "BucketSettings", func() (meta.BucketSettings, error) { return f.s.BucketSettings(ctx, id) })
}

func (f *faultyStore) Version(ctx context.Context, bucket meta.ID, key string, ref meta.VersionRef) (meta.Version, error) {
	return question(f, "Version", func() (meta.Version, error) { return f.s.Version(ctx, bucket, key, ref) })
}

func (f *faultyStore) ResealVersions(ctx context.Context, rs []meta.Reseal) (int, error) {
	return change(f, "ResealVersions", func() (int, error) { return f.s.ResealVersions(ctx, rs) })
}

func (f *faultyStore) ResealUpload(ctx context.Context, id meta.ID, old, settings []byte) error {
	return f.do("ResealUpload", func() error { return f.s.ResealUpload(ctx, id, old, settings) })
}

func (f *faultyStore) AmendVersion(ctx context.Context, bucket meta.ID, a meta.Amendment) error {
	return f.do("AmendVersion", func() error { return f.s.AmendVersion(ctx, bucket, a) })
}

func (f *faultyStore) RenameObject(ctx context.Context, r meta.Rename) error {
	return f.do("RenameObject", func() error { return f.s.RenameObject(ctx, r) })
}

func (f *faultyStore) Renamed(ctx context.Context, token [32]byte) ([32]byte, error) {
	return question(f, "Renamed", func() ([32]byte, error) { return f.s.Renamed(ctx, token) })
}

func (f *faultyStore) ForgetRenames(ctx context.Context, before time.Time, limit int) (int, error) {
	return change(f, "ForgetRenames", func() (int, error) { return f.s.ForgetRenames(ctx, before, limit) })
}

func (f *faultyStore) ListVersions(ctx context.Context, q meta.VersionQuery) (meta.VersionPage, error) {
	return question(f, "ListVersions", func() (meta.VersionPage, error) { return f.s.ListVersions(ctx, q) })
}

func (f *faultyStore) BucketUsage(ctx context.Context, bucket meta.ID) (meta.Usage, error) {
	return question(f, "BucketUsage", func() (meta.Usage, error) { return f.s.BucketUsage(ctx, bucket) })
}

func (f *faultyStore) OwnerUsage(ctx context.Context, owner meta.ID) (meta.Usage, error) {
	return question(f, "OwnerUsage", func() (meta.Usage, error) { return f.s.OwnerUsage(ctx, owner) })
}

func (f *faultyStore) FoldUsage(ctx context.Context, limit int) (int, error) {
	return change(f, "FoldUsage", func() (int, error) { return f.s.FoldUsage(ctx, limit) })
}

func (f *faultyStore) CreateIdentity(ctx context.Context, i meta.Identity) error {
	return f.do("CreateIdentity", func() error { return f.s.CreateIdentity(ctx, i) })
}

func (f *faultyStore) Identity(ctx context.Context, tenant meta.ID, kind meta.IdentityKind, name string) (meta.Identity, error) {
	return question(f, "Identity", func() (meta.Identity, error) { return f.s.Identity(ctx, tenant, kind, name) })
}

func (f *faultyStore) IdentitiesByID(ctx context.Context, ids []meta.ID) ([]meta.Identity, error) {
	return question(f, "IdentitiesByID", func() ([]meta.Identity, error) { return f.s.IdentitiesByID(ctx, ids) })
}

func (f *faultyStore) ListIdentities(ctx context.Context, tenant meta.ID, kind meta.IdentityKind, after string, limit int) ([]meta.Identity, error) {
	return question(f, "ListIdentities", func() ([]meta.Identity, error) { return f.s.ListIdentities(ctx, tenant, kind, after, limit) })
}

func (f *faultyStore) UpdateIdentity(ctx context.Context, i meta.Identity) error {
	return f.do("UpdateIdentity", func() error { return f.s.UpdateIdentity(ctx, i) })
}

func (f *faultyStore) DeleteIdentity(ctx context.Context, id meta.ID, revision int64) error {
	return f.do("DeleteIdentity", func() error { return f.s.DeleteIdentity(ctx, id, revision) })
}
