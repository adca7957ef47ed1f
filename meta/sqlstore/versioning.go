package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// SetVersioning implements meta.Buckets. Locks and versioning only go one way: a bucket with
// locks keeps versions for ever, and no bucket returns to VersioningOff.
func (s *Store) SetVersioning(ctx context.Context, id meta.ID, c meta.Change, v meta.Versioning, lock bool) error {
	if v != meta.VersioningEnabled && (v != meta.VersioningSuspended || lock) {
		return fmt.Errorf("%w: versioning cannot become %d with locks %t", meta.ErrConflict, v, lock)
	}
	if err := checkRecord(c.Record); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error {
		// The lock waits for writes under the old state, and blocks later ones: see
		// holdVersioning.
		var locks bool
		var revision int64
		err := tx.QueryRow("SELECT locks, revision FROM buckets WHERE id = ?"+forUpdate, id[:]).Scan((*flagColumn)(&locks), &revision)
		if err != nil {
			return found(err, meta.ErrNoBucket)
		}
		if locks && v != meta.VersioningEnabled {
			return fmt.Errorf("%w: the bucket has locks", meta.ErrConflict)
		}
		if revision != c.Revision {
			return fmt.Errorf("%w: the bucket has another revision", meta.ErrConflict)
		}
		if err := changeGuards(tx, id, "versioning", int64(v)); err != nil {
			return err
		}
		return changed(tx, ErrRetry, "UPDATE buckets SET versioning = ?, locks = ?, revision = revision + 1, record = ? WHERE id = ?",
			int64(v), number(locks || lock), blob(c.Record), id[:])
	})
}

// orNoBucket replaces ErrVersioning by ErrNoBucket if the bucket does not exist,
// because holdVersioning and holdGeneration cannot tell the two apart.
// The look is outside the transaction, which is over. A bucket that is deleted in between is
// ErrNoBucket, which is true by then.
func (s *Store) orNoBucket(ctx context.Context, id meta.ID, err error) error {
	if !errors.Is(err, meta.ErrVersioning) {
		return err
	}
	there := false
	if again := s.run.Read(ctx, func(tx Tx) (err error) {
		there, err = exists(tx, "SELECT 1 FROM buckets WHERE id = ?", id[:])
		return err
	}); again != nil {
		return again
	}
	if !there {
		return meta.ErrNoBucket
	}
	return err
}
