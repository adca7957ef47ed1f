package sqlstore

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/meta"
)

func (s *Store) Deployment(ctx context.Context) (d meta.Deployment, err error) {
	err = s.run.Read(ctx, func(tx Tx) error {
		err := tx.QueryRow("SELECT id, root, seed, created FROM deployment").Scan(
			(*idColumn)(&d.ID), (*idColumn)(&d.Root), &d.Seed, (*timeColumn)(&d.Created))
		return found(err, meta.ErrNotFound)
	})
	return d, err
}

func (s *Store) InitDeployment(ctx context.Context, d meta.Deployment, root meta.User, first meta.Backend) error {
	first.ID = meta.FirstBackend
	if err := errors.Join(checkBackend(first), checkUserResidency(root.Residency)); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error {
		err := inserted(tx, meta.ErrExists,
			"INSERT INTO deployment (one, id, root, seed, created, checks) VALUES (1, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
			d.ID[:], d.Root[:], blob(d.Seed), micros(d.Created))
		if err != nil {
			return err
		}
		if err := insertBackend(tx, first); err != nil {
			return err
		}
		return insertUser(tx, root)
	})
}
