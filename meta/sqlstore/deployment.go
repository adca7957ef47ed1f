package sqlstore

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

func (s *Store) Deployment(ctx context.Context) (d meta.Deployment, err error) {
	err = s.run.Read(ctx, func(tx Tx) error {
		err := tx.QueryRow("SELECT id, root, seed, created, epoch FROM deployment").Scan(
			(*idColumn)(&d.ID), (*idColumn)(&d.Root), &d.Seed, (*timeColumn)(&d.Created), &d.Epoch)
		return found(err, meta.ErrNotFound)
	})
	return d, err
}

func (s *Store) InitDeployment(ctx context.Context, d meta.Deployment, root meta.User) error {
	return s.run.Write(ctx, func(tx Tx) error {
		err := inserted(tx, meta.ErrExists,
			"INSERT INTO deployment (one, id, root, seed, created, epoch, checks) VALUES (1, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
			d.ID[:], d.Root[:], blob(d.Seed), micros(d.Created), d.Epoch)
		if err != nil {
			return err
		}
		return insertUser(tx, root)
	})
}

func (s *Store) AdvanceEpoch(ctx context.Context, from int64) error {
	return s.run.Write(ctx, func(tx Tx) error {
		return changed(tx, meta.ErrConflict, "UPDATE deployment SET epoch = epoch + 1 WHERE epoch = ?", from)
	})
}
