package sqlstore

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/meta"
)

var errPending = errors.New("not there yet")

func (s *Store) SetVersioning(context.Context, meta.ID, meta.Versioning, bool) error {
	return errPending
}
func (s *Store) BucketSettings(context.Context, meta.ID) (meta.BucketSettings, error) {
	return meta.BucketSettings{}, errPending
}
func (s *Store) SetSetting(context.Context, meta.ID, int64, meta.Setting) error { return errPending }
func (s *Store) Version(context.Context, meta.ID, string, meta.VersionRef) (meta.Version, error) {
	return meta.Version{}, errPending
}
func (s *Store) AmendVersion(context.Context, meta.ID, meta.Amendment) error { return errPending }
func (s *Store) ListVersions(context.Context, meta.VersionQuery) (meta.VersionPage, error) {
	return meta.VersionPage{}, errPending
}
func (s *Store) BucketUsage(context.Context, meta.ID) (meta.Usage, error) {
	return meta.Usage{}, errPending
}
func (s *Store) OwnerUsage(context.Context, meta.ID) (meta.Usage, error) {
	return meta.Usage{}, errPending
}
func (s *Store) FoldUsage(context.Context, int) (int, error)              { return 0, errPending }
func (s *Store) SetLimits(context.Context, meta.ID, []byte) error         { return errPending }
func (s *Store) SetAccessKeyInactive(context.Context, string, bool) error { return errPending }
func (s *Store) CreateIdentity(context.Context, meta.Identity) error      { return errPending }
func (s *Store) Identity(context.Context, meta.ID, meta.IdentityKind, string) (meta.Identity, error) {
	return meta.Identity{}, errPending
}
func (s *Store) IdentitiesByID(context.Context, []meta.ID) ([]meta.Identity, error) {
	return nil, errPending
}
func (s *Store) ListIdentities(context.Context, meta.ID, meta.IdentityKind, string, int) ([]meta.Identity, error) {
	return nil, errPending
}
func (s *Store) UpdateIdentity(context.Context, meta.Identity) error  { return errPending }
func (s *Store) DeleteIdentity(context.Context, meta.ID, int64) error { return errPending }
