package sqlstore

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

// BucketSettings implements meta.Buckets. One snapshot, because the bucket's record vouches for
// exactly this list of settings.
func (s *Store) BucketSettings(ctx context.Context, id meta.ID) (all meta.BucketSettings, err error) {
	err = s.run.Snapshot(ctx, func(tx Tx) (err error) {
		all.Bucket, err = scanBucket(tx.QueryRow("SELECT "+bucketColumns+" FROM buckets WHERE id = ?", id[:]))
		if err != nil {
			return found(err, meta.ErrNoBucket)
		}
		all.Settings, err = collect(tx, scanSetting, "SELECT name, document FROM bucket_settings WHERE bucket_id = ? ORDER BY name", id[:])
		return err
	})
	if err != nil {
		return meta.BucketSettings{}, err
	}
	return all, nil
}

func scanSetting(r Row) (s meta.Setting, err error) {
	err = r.Scan((*textColumn)(&s.Name), &s.Document)
	return s, err
}

// SetSetting implements meta.Buckets.
func (s *Store) SetSetting(ctx context.Context, id meta.ID, c meta.Change, setting meta.Setting) error {
	if err := checkCount("bytes of a setting's name", len(setting.Name), meta.MaxSettingName); err != nil {
		return err
	}
	if len(setting.Document) > meta.MaxSetting {
		return checkCount("bytes of a setting", len(setting.Document), meta.MaxSetting)
	}
	if err := checkRecord(c.Record); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error {
		if err := nextRevision(tx, id, c); err != nil {
			return err
		}
		if len(setting.Document) == 0 {
			_, err := tx.Exec("DELETE FROM bucket_settings WHERE bucket_id = ? AND name = ?", id[:], text(setting.Name))
			return err
		}
		return putSetting(tx, id, setting)
	})
}

// nextRevision raises the bucket's revision from c's, and keeps the revision and
// the settings unchanged until the transaction ends.
func nextRevision(tx Tx, id meta.ID, c meta.Change) error {
	n, err := tx.Exec("UPDATE buckets SET revision = revision + 1, record = ? WHERE id = ? AND revision = ?", blob(c.Record), id[:], c.Revision)
	if err != nil || n == 1 {
		return err
	}
	return changedOrGone(tx, id)
}

// changedOrGone returns the reason why an update found no bucket with the revision.
func changedOrGone(tx Tx, id meta.ID) error {
	there, err := exists(tx, "SELECT 1 FROM buckets WHERE id = ?", id[:])
	if err == nil && there {
		return meta.ErrConflict
	} else if err == nil {
		return meta.ErrNoBucket
	}
	return err
}

// ErrLimit for one setting too many.
func putSetting(tx Tx, id meta.ID, s meta.Setting) error {
	n, err := tx.Exec("UPDATE bucket_settings SET document = ? WHERE bucket_id = ? AND name = ?", s.Document, id[:], text(s.Name))
	if err != nil || n == 1 {
		return err
	}
	// Counted under the lock of nextRevision, so that two calls at once cannot pass the limit
	// together.
	var have int
	if err := tx.QueryRow("SELECT COUNT(*) FROM bucket_settings WHERE bucket_id = ?", id[:]).Scan(&have); err != nil {
		return err
	}
	if have >= meta.MaxSettings {
		return checkCount("settings of a bucket", have+1, meta.MaxSettings)
	}
	_, err = tx.Exec("INSERT INTO bucket_settings (bucket_id, name, document) VALUES (?, ?, ?)", id[:], text(s.Name), s.Document)
	return err
}
