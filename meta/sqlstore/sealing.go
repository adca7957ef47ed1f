package sqlstore

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// checkRecord returns ErrLimit for a record that is too long.
func checkRecord(record []byte) error {
	if len(record) > meta.MaxRecord {
		return fmt.Errorf("%w: a record of %d bytes, want at most %d", meta.ErrLimit, len(record), meta.MaxRecord)
	}
	return nil
}

// SetSealing implements meta.Sealings.
func (s *Store) SetSealing(ctx context.Context, from meta.Sealing, d meta.Deployment, gone []meta.Holder) error {
	if err := checkRecord(d.Record); err != nil {
		return err
	}
	dead := make(map[meta.ID]int64, len(gone))
	for _, h := range gone {
		dead[h.ID] = h.Beat
	}
	return s.run.Write(ctx, func(tx Tx) error {
		// The row is changed before the holders are read, so that the second of two
		// concurrent calls sees the change.
		err := changed(tx, meta.ErrConflict, "UPDATE deployment SET sealing = ?, record = ?, resealed = NULL WHERE sealing = ?",
			int64(d.Sealing), blob(d.Record), int64(from))
		if err != nil {
			return err
		}
		holders, err := collect(tx, scanHolder, "SELECT "+holderColumns+" FROM holders ORDER BY id")
		if err != nil {
			return err
		}
		for _, h := range holders {
			// The beat must be the one that the caller saw stand still: a holder that has
			// beaten since is not gone.
			if beat, ok := dead[h.ID]; h.Sealing < from && (!ok || beat != h.Beat) {
				return fmt.Errorf("%w: a gateway still writes by an earlier sealing", meta.ErrConflict)
			}
		}
		return nil
	})
}

// NoteResealed implements meta.Sealings.
func (s *Store) NoteResealed(ctx context.Context, l meta.Lease, progress []byte) error {
	if len(progress) > meta.MaxResealed {
		return checkCount("bytes of progress", len(progress), meta.MaxResealed)
	}
	return s.run.Write(ctx, func(tx Tx) error {
		if err := holdLease(tx, l); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE deployment SET resealed = ?", blob(progress))
		return err
	})
}

// SetBucketRecord implements meta.Sealings.
func (s *Store) SetBucketRecord(ctx context.Context, id meta.ID, c meta.Change) error {
	if err := checkRecord(c.Record); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error {
		n, err := tx.Exec("UPDATE buckets SET record = ? WHERE id = ? AND revision = ? AND record IS NULL", blob(c.Record), id[:], c.Revision)
		if err != nil || n == 1 {
			return err
		}
		return changedOrGone(tx, id)
	})
}

// ScanAccessKeys implements meta.Sealings.
func (s *Store) ScanAccessKeys(ctx context.Context, after string, limit int) (ks []meta.AccessKey, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		ks, err = collect(tx, scanAccessKey,
			"SELECT "+accessKeyColumns+" FROM access_keys WHERE id >= ? ORDER BY id LIMIT ?", keyAfter(after), limit)
		return err
	})
	return ks, err
}

// ScanIdentities implements meta.Sealings.
func (s *Store) ScanIdentities(ctx context.Context, after meta.ID, limit int) (is []meta.Identity, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		is, err = collect(tx, scanIdentity,
			"SELECT "+identityColumns+" FROM identities WHERE id > ? ORDER BY id LIMIT ?", after[:], limit)
		return err
	})
	return is, err
}
