package sqlstore

import (
	"context"
	"errors"
	"math"

	"github.com/sanctum-storage/gateway/meta"
)

var errNoHolder = errors.New("the holder of a lease must not be empty")

// Lease implements meta.Leases.
// A lease that nobody ever took is free, with fence 0, and no error.
func (s *Store) Lease(ctx context.Context, name string) (l meta.Lease, err error) {
	if err := checkLease(name); err != nil {
		return l, err
	}
	err = s.run.Read(ctx, func(tx Tx) error {
		ls, err := collect(tx, func(r Row) (l meta.Lease, err error) {
			l.Name = name
			err = r.Scan((*idColumn)(&l.Holder), &l.Fence)
			return l, err
		}, "SELECT holder, fence FROM leases WHERE name = ?", text(name))
		l = meta.Lease{Name: name}
		if len(ls) > 0 {
			l = ls[0]
		}
		return err
	})
	return l, err
}

func checkLease(name string) error {
	return checkCount("bytes of a lease's name", len(name), meta.MaxLeaseName)
}

// TakeLease compares the fence only, because it grows with every change, also with
// DropLease. A stored fence of 0 is the result of an edit.
func (s *Store) TakeLease(ctx context.Context, seen meta.Lease, holder meta.ID) (meta.Lease, error) {
	if err := checkLease(seen.Name); err != nil {
		return meta.Lease{}, err
	}
	if holder.IsZero() {
		return meta.Lease{}, errNoHolder
	}
	err := s.run.Write(ctx, func(tx Tx) error {
		if seen.Fence == 0 {
			return inserted(tx, meta.ErrConflict,
				`INSERT INTO leases (name, holder, fence) VALUES (?, ?, 1)
					ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fence = 1 WHERE leases.fence = 0`, text(seen.Name), holder[:])
		}
		return changed(tx, meta.ErrConflict,
			"UPDATE leases SET holder = ?, fence = "+oneMore("fence")+" WHERE name = ? AND fence = ?", holder[:], text(seen.Name), seen.Fence)
	})
	if err != nil {
		return meta.Lease{}, err
	}
	// This repeats oneMore, because the statement does not return the new fence.
	fence := int64(1)
	if seen.Fence < math.MaxInt64 {
		fence = seen.Fence + 1
	}
	return meta.Lease{Name: seen.Name, Holder: holder, Fence: fence}, nil
}

// DropLease implements meta.Leases. The fence grows here too, so that a caller that read the
// lease as free before it was taken and dropped cannot take it by what it saw.
func (s *Store) DropLease(ctx context.Context, l meta.Lease) error {
	return s.run.Write(ctx, func(tx Tx) error {
		_, err := tx.Exec("UPDATE leases SET holder = NULL, fence = "+oneMore("fence")+" WHERE name = ? AND holder = ? AND fence = ?",
			text(l.Name), l.Holder[:], l.Fence)
		return err
	})
}

// holdLease returns ErrConflict unless the lease is still as it was taken, and
// keeps it so until the transaction ends.
// Progress that is written under it cannot be that of a process which has lost its turn.
func holdLease(tx Tx, l meta.Lease) error {
	held, err := exists(tx, "SELECT 1 FROM leases WHERE name = ? AND holder = ? AND fence = ?"+forRead,
		text(l.Name), l.Holder[:], l.Fence)
	if err == nil && !held {
		return meta.ErrConflict
	}
	return err
}
