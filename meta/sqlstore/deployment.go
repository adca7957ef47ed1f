package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// States of the deployment's row: whether this store is the one to serve.
const (
	deploymentServing  = 1
	deploymentArriving = 2 // Copy into this store is not complete
	deploymentMoved    = 3 // Copy has moved it to another store
)

// Deployment implements meta.Deployments. A store that must not be served returns nothing of
// the row, so that no caller can begin with it by mistake.
func (s *Store) Deployment(ctx context.Context) (d meta.Deployment, err error) {
	var state int64
	err = s.run.Read(ctx, func(tx Tx) error {
		d = meta.Deployment{}
		err := tx.QueryRow("SELECT id, root, seed, created, state, sealing, record, resealed FROM deployment").Scan(
			(*idColumn)(&d.ID), (*idColumn)(&d.Root), &d.Seed, (*timeColumn)(&d.Created), &state, &d.Sealing, &d.Record, &d.Resealed)
		return found(err, meta.ErrNotFound)
	})
	if err == nil {
		err = servable(state)
	}
	if err != nil {
		return meta.Deployment{}, err
	}
	return d, nil
}

// servable returns the reason not to serve a store in this state, or nil.
// A state that this release does not know is refused: a later release may mean by it that the
// store must not be served.
func servable(state int64) error {
	switch state {
	case deploymentServing:
		return nil
	case deploymentArriving:
		return meta.ErrUnfinished
	case deploymentMoved:
		return meta.ErrMoved
	}
	return fmt.Errorf("the deployment is in unknown state %d", state)
}

// InitDeployment implements meta.Deployments. The column one is always 1 and the primary key,
// which is why a second row cannot be added.
// The first backend and the root tenant are in the same transaction. A store never has a
// deployment without them.
func (s *Store) InitDeployment(ctx context.Context, d meta.Deployment, root meta.Tenant, first meta.Backend) error {
	first.ID = meta.FirstBackend
	if err := errors.Join(checkBackend(first), checkTenantResidency(root.Residency)); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error {
		err := inserted(tx, meta.ErrExists,
			"INSERT INTO deployment (one, id, root, seed, created, checks, demands, state, sealing, record) VALUES (1, ?, ?, ?, ?, 0, 0, ?, ?, ?) ON CONFLICT DO NOTHING",
			d.ID[:], d.Root[:], blob(d.Seed), micros(d.Created), deploymentServing, int64(d.Sealing), blob(d.Record))
		if err != nil {
			return err
		}
		if err := insertBackend(tx, first); err != nil {
			return err
		}
		return insertTenant(tx, root)
	})
}
