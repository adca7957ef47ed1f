package sqlstore

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// How backends are locked. A transaction that puts something on a backend (a
// reservation, a bucket, a moved blob) locks its row for reading, so that the
// backend stays active until the transaction ends. A transaction that changes the
// state waits for these and holds back later ones. The order of locks is: lease,
// backends by id, all others.

const backendColumns = `id, name, state, created, epoch, drain_target, drain_round, drain_after, drain_left, drain_blobs, drain_bytes`

// clearDrain resets the columns of a draining.
const clearDrain = "drain_after = NULL, drain_left = 0, drain_blobs = 0, drain_bytes = 0"

const (
	backendActive   = int64(meta.BackendActive)
	backendDraining = int64(meta.BackendDraining)
	backendRetired  = int64(meta.BackendRetired)
)

// The progress of a draining is only read as such when there is a target: the round alone outlives
// it.
func scanBackend(r Row) (b meta.Backend, err error) {
	var id, state, round, left int64
	var target *int64
	err = r.Scan(&id, (*textColumn)(&b.Name), &state, (*timeColumn)(&b.Created), &b.Epoch,
		&target, &round, (*blobIDColumn)(&b.Drain.After), &left, &b.Drain.Blobs, &b.Drain.Bytes)
	b.ID, b.State, b.Drain.Left = meta.BackendID(id), meta.BackendState(state), left != 0
	if target != nil {
		b.Drain.Target, b.Drain.Round = meta.BackendID(*target), round
	}
	return b, err
}

// ListBackends implements meta.Backends. At most meta.MaxBackends rows exist, so it needs no
// pages.
func (s *Store) ListBackends(ctx context.Context) (bs []meta.Backend, err error) {
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		bs, err = collect(tx, scanBackend, "SELECT "+backendColumns+" FROM backends ORDER BY id")
		return err
	})
	return bs, err
}

// AddBackend enforces MaxBackends by the number, because no number is given twice.
func (s *Store) AddBackend(ctx context.Context, b meta.Backend) error {
	if err := checkBackend(b); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error { return insertBackend(tx, b) })
}

// Both limits are errors of the caller and not of the store, so they are found before a
// transaction begins.
func checkBackend(b meta.Backend) error {
	if err := checkCount("as number of a backend", int(b.ID), meta.MaxBackends); err != nil {
		return err
	}
	return checkPlace(b.Name)
}

// living repeats the name while the backend is not retired. It is unique and NULL for retired
// ones, so a name is free again after retirement, without a partial index.
func insertBackend(tx Tx, b meta.Backend) error {
	return inserted(tx, meta.ErrExists, `INSERT INTO backends (id, name, living, state, created, epoch,
		drain_round, drain_left, drain_blobs, drain_bytes) VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, 0) ON CONFLICT DO NOTHING`,
		int64(b.ID), text(b.Name), text(b.Name), backendActive, micros(b.Created), b.Epoch)
}

// AdvanceEpoch implements meta.Backends. Two gateways advance from the same epoch at once; one
// of the two statements finds no row.
func (s *Store) AdvanceEpoch(ctx context.Context, id meta.BackendID, from, to int64) error {
	if to <= from {
		return fmt.Errorf("advance the epoch from %d to %d: no such intent", from, to)
	}
	return s.run.Write(ctx, func(tx Tx) error {
		return changed(tx, meta.ErrConflict, "UPDATE backends SET epoch = ? WHERE id = ? AND epoch = ?", to, int64(id), from)
	})
}

// holdBackend returns ErrConflict unless the backend is active, and keeps it active
// until the transaction ends.
func holdBackend(tx Tx, id meta.BackendID) error {
	// forRead and not forShare: the state must not change, and a share of the key alone would
	// let it.
	active, err := exists(tx, "SELECT 1 FROM backends WHERE id = ? AND state = ?"+forRead, int64(id), backendActive)
	if err == nil && !active {
		return fmt.Errorf("backend %d is not active: %w", id, meta.ErrConflict)
	}
	return err
}

// DrainBackend locks all backends, because its condition concerns more than two:
// otherwise A could begin to drain into B while B begins to drain into C.
func (s *Store) DrainBackend(ctx context.Context, id, target meta.BackendID) error {
	return s.run.Write(ctx, func(tx Tx) error {
		all, err := collect(tx, scanBackend, "SELECT "+backendColumns+" FROM backends ORDER BY id"+forUpdate)
		if err != nil {
			return err
		}
		if err := mayDrain(all, id, target); err != nil {
			return err
		}
		return changed(tx, ErrRetry, "UPDATE backends SET state = ?, drain_target = ?, drain_round = drain_round + 1, "+clearDrain+" WHERE id = ?",
			backendDraining, int64(target), int64(id))
	})
}

// mayDrain returns the reason not to drain id into target, or nil.
// It judges the rows as they are locked, so its answer holds until the transaction ends.
func mayDrain(all []meta.Backend, id, target meta.BackendID) error {
	known, active := false, false
	for _, b := range all {
		switch {
		case b.Drain.Target == id:
			return fmt.Errorf("backend %d drains into backend %d: %w", b.ID, id, meta.ErrConflict)
		case b.ID == id && b.State == meta.BackendRetired:
			return fmt.Errorf("backend %d is retired: %w", id, meta.ErrConflict)
		case b.ID == id:
			known = true
		case b.ID == target:
			active = b.State == meta.BackendActive
		}
	}
	switch {
	case !known:
		return meta.ErrNotFound
	case !active:
		return fmt.Errorf("backend %d is not another that is active: %w", target, meta.ErrConflict)
	}
	return nil
}

// CancelDrain implements meta.Backends. The round is not reset, so that a mover of this
// draining cannot write into the next.
func (s *Store) CancelDrain(ctx context.Context, id meta.BackendID) error {
	return s.run.Write(ctx, func(tx Tx) error {
		b, err := scanBackend(tx.QueryRow("SELECT "+backendColumns+" FROM backends WHERE id = ?"+forUpdate, int64(id)))
		if err != nil {
			return found(err, meta.ErrNotFound)
		}
		if b.State != meta.BackendDraining {
			return meta.ErrConflict
		}
		return changed(tx, ErrRetry, "UPDATE backends SET state = ?, drain_target = NULL, "+clearDrain+" WHERE id = ?",
			backendActive, int64(id))
	})
}

// NoteDrain implements meta.Backends.
// The round keeps a mover that was paused from writing its progress into a later draining.
func (s *Store) NoteDrain(ctx context.Context, l meta.Lease, id meta.BackendID, d meta.Drain) error {
	left := 0
	if d.Left {
		left = 1
	}
	return s.run.Write(ctx, func(tx Tx) error {
		if err := holdLease(tx, l); err != nil {
			return err
		}
		return changed(tx, meta.ErrConflict, `UPDATE backends SET drain_after = ?, drain_left = ?, drain_blobs = ?, drain_bytes = ?
			WHERE id = ? AND state = ? AND drain_target = ? AND drain_round = ?`,
			d.After[:], left, d.Blobs, d.Bytes, int64(id), backendDraining, int64(d.Target), d.Round)
	})
}

// RetireBackend implements meta.Backends. It does not look for live blobs: the caller has found
// none in a whole pass, and nothing has been added since the draining began.
// ErrNotEmpty: a bucket, a reservation or a copy still needs the backend.
func (s *Store) RetireBackend(ctx context.Context, l meta.Lease, id meta.BackendID, round int64) error {
	return s.run.Write(ctx, func(tx Tx) error {
		if err := holdLease(tx, l); err != nil {
			return err
		}
		draining, err := exists(tx, "SELECT 1 FROM backends WHERE id = ? AND state = ? AND drain_round = ?"+forUpdate,
			int64(id), backendDraining, round)
		if err != nil {
			return err
		}
		if !draining {
			return meta.ErrConflict
		}
		// Nothing is added to a draining backend, so these answers stay true. All
		// reservations are read: they are few, and an index over them would cost
		// every PUT.
		for _, query := range []string{
			"SELECT 1 FROM buckets WHERE backend = ? LIMIT 1",
			"SELECT 1 FROM reservations AS held WHERE backend = ? LIMIT 1",
			"SELECT 1 FROM copies AS held WHERE backend = ? LIMIT 1",
		} {
			if used, err := exists(tx, query, int64(id)); err != nil {
				return err
			} else if used {
				return meta.ErrNotEmpty
			}
		}
		return changed(tx, ErrRetry, "UPDATE backends SET state = ?, living = NULL, drain_target = NULL, "+clearDrain+" WHERE id = ?",
			backendRetired, int64(id))
	})
}
