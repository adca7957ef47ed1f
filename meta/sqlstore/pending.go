package sqlstore

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/meta"
)

var errPending = errors.New("not there yet")

func (s *Store) BucketSettings(context.Context, meta.ID) (meta.BucketSettings, error) {
	return meta.BucketSettings{}, errPending
}
func (s *Store) SetSetting(context.Context, meta.ID, int64, meta.Setting) error { return errPending }
func (s *Store) SetLimits(context.Context, meta.ID, []byte) error               { return errPending }
func (s *Store) SetAccessKeyInactive(context.Context, string, bool) error       { return errPending }
func (s *Store) CreateIdentity(context.Context, meta.Identity) error            { return errPending }
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
