package sqlstore

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

const (
	keysOfObjects  = scannedObjects + ", wrapped_key"
	keysOfVersions = scannedVersions + ", wrapped_key"
)

// ScanKeys implements meta.Renewals.
func (s *Store) ScanKeys(ctx context.Context, after meta.ObjectPosition, limit int) ([]meta.ScannedVersion, error) {
	return s.scanVersions(ctx, after, limit, keysOfObjects, keysOfVersions, func(r Row) (meta.ScannedVersion, error) {
		var wrapped []byte
		v, err := scanScanned(r, &wrapped)
		v.WrappedKey = wrapped
		return v, err
	})
}

// RenewVersions implements meta.Renewals. An engine behind a network sends the statements
// together. Each names the table that had the row: one that has moved since is passed over, and
// found again by the next scan.
func (s *Store) RenewVersions(ctx context.Context, l meta.Lease, rs []meta.Renewal) (done int, err error) {
	if err := checkCount("renewals", len(rs), meta.MaxBatch); err != nil {
		return 0, err
	}
	for i := range rs {
		if err := checkChangeable(rs[i].Marks, ""); err != nil {
			return 0, err
		}
	}
	const renew = " SET generation = ?, wrapped_key = ?, list_record = ?, marks = ?, revision = revision + 1" +
		" WHERE bucket_id = ? AND key = ? AND version_id = ? AND revision = ?"
	err = s.run.Write(ctx, func(tx Tx) error {
		done = 0
		if err := holdLease(tx, l); err != nil {
			return err
		}
		count := func(rows int64) error { done += int(rows); return nil }
		for i := range rs {
			r := &rs[i]
			values := []any{int64(r.Generation), blob(r.WrappedKey), blob(r.ListRecord), blob(r.Marks), r.Bucket[:], text(r.Key), r.Version[:], r.Revision}
			query := "UPDATE objects" + renew
			if r.Old {
				// A version's public name is its id, or zero for the null version. Naming both
				// lets the statement use the index.
				query = "UPDATE versions" + renew + " AND public IN (?, ?)"
				values = append(values, r.Version[:], make([]byte, len(r.Version)))
			}
			if err := tx.Later(count, query, values...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return done, nil
}

// ScanUploadKeys implements meta.Renewals.
func (s *Store) ScanUploadKeys(ctx context.Context, after meta.ID, limit int) (us []meta.Upload, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		us, err = collect(tx, func(r Row) (u meta.Upload, err error) {
			r = &lenientRow{Row: r} // an edited row must not keep the others from being renewed
			err = r.Scan((*idColumn)(&u.ID), (*idColumn)(&u.Bucket), (*textColumn)(&u.Key), orZero(&u.Generation), &u.WrappedKey)
			return u, err
		}, "SELECT id, bucket_id, key, generation, wrapped_key FROM uploads WHERE id > ? AND "+possibleID+" ORDER BY id LIMIT ?", after[:], limit)
		return err
	})
	return us, err
}

// RenewUploads implements meta.Renewals. Wraps are random, so equal bytes are the same keys.
func (s *Store) RenewUploads(ctx context.Context, l meta.Lease, rs []meta.UploadRenewal) (done int, err error) {
	if err := checkCount("renewals", len(rs), meta.MaxBatch); err != nil {
		return 0, err
	}
	err = s.run.Write(ctx, func(tx Tx) error {
		done = 0
		if err := holdLease(tx, l); err != nil {
			return err
		}
		count := func(rows int64) error { done += int(rows); return nil }
		for i := range rs {
			r := &rs[i]
			err := tx.Later(count, "UPDATE uploads SET generation = ?, wrapped_key = ? WHERE id = ? AND wrapped_key = ?",
				int64(r.Generation), blob(r.WrappedKey), r.Upload[:], blob(r.Was))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return done, nil
}

// RenewSettings implements meta.Renewals.
func (s *Store) RenewSettings(ctx context.Context, l meta.Lease, id meta.ID, c meta.Change, settings []meta.Setting) error {
	if err := checkCount("settings", len(settings), meta.MaxBatch); err != nil {
		return err
	}
	for i := range settings {
		if err := checkCount("bytes of a setting", len(settings[i].Document), meta.MaxSetting); err != nil {
			return err
		}
	}
	if err := checkRecord(c.Record); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error {
		if err := holdLease(tx, l); err != nil {
			return err
		}
		if err := nextRevision(tx, id, c); err != nil {
			return err
		}
		for i := range settings {
			err := soon(tx, meta.ErrNotFound, "UPDATE bucket_settings SET document = ? WHERE bucket_id = ? AND name = ?",
				settings[i].Document, id[:], text(settings[i].Name))
			if err != nil {
				return err
			}
		}
		return nil
	})
}
