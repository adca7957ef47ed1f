package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// States of an upload's row. Trimming is a completed upload with parts that were
// not chosen and that TrimUploads has not removed yet.
const (
	uploadOpen      = int64(meta.UploadOpen)
	uploadCompleted = int64(meta.UploadCompleted)
	uploadDying     = int64(meta.UploadDying)
	uploadTrimming  = uploadDying + 1
)

// maxPartNumber is the limit of S3:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const maxPartNumber = 10000

func outwardState(state int64) meta.UploadState {
	if state == uploadTrimming {
		return meta.UploadCompleted
	}
	return meta.UploadState(state)
}

// CreateUpload implements meta.Uploads.
func (s *Store) CreateUpload(ctx context.Context, u meta.Upload) error {
	if err := checkKey(u.Key); err != nil {
		return err
	}
	err := s.writeIn(growing(ctx), func(tx Tx) error {
		if err := holdGeneration(tx, u.Bucket, u.Generation); err != nil {
			return err
		}
		err := inserted(tx, meta.ErrExists, `INSERT INTO uploads (id, bucket_id, key, owner, created, generation,
			state, since, revision, refs, parts, wrapped_key, settings, counted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?, 1)
			ON CONFLICT DO NOTHING`,
			u.ID[:], u.Bucket[:], text(u.Key), u.Owner[:], micros(u.Created), int64(u.Generation),
			uploadOpen, micros(u.Created), blob(u.WrappedKey), blob(u.Settings))
		if err != nil {
			return err
		}
		return (&usageChange{Uploads: 1}).write(tx, u.Bucket)
	})
	return s.orNoBucket(ctx, u.Bucket, err)
}

// Upload implements meta.Uploads.
func (s *Store) Upload(ctx context.Context, id meta.ID) (u meta.Upload, err error) {
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		row := &lenientRow{Row: tx.QueryRow("SELECT "+uploadColumns+" FROM uploads WHERE id = ? AND state <> ?", id[:], uploadDying)}
		if u, err = scanUpload(row); err == nil && row.unreadable != nil {
			err = fmt.Errorf("%w: %w", meta.ErrUnreadable, row.unreadable)
		}
		return found(err, meta.ErrNotFound)
	})
	if err != nil {
		return meta.Upload{}, err
	}
	return u, nil
}

const uploadColumns = "id, bucket_id, key, owner, created, generation, state, revision, version_id, wrapped_key, settings, chosen"

func scanUpload(r Row) (u meta.Upload, err error) {
	var state int64
	var chosen []byte
	err = r.Scan((*idColumn)(&u.ID), (*idColumn)(&u.Bucket), (*textColumn)(&u.Key), (*idColumn)(&u.Owner), (*timeColumn)(&u.Created),
		orZero(&u.Generation), &state, &u.Revision, (*idColumn)(&u.Version), &u.WrappedKey, &u.Settings, &chosen)
	u.State = outwardState(state)
	u.Chosen, _ = splitRuns(chosen) // nil after an error
	return u, err
}

// PutPart implements meta.Uploads. The upload's row is locked first, so that parts of one
// upload follow one another, and none is added once it is completed or aborted. The bucket need
// not be held: DeleteBucket leaves open uploads to Sweep.
func (s *Store) PutPart(ctx context.Context, p meta.PutPart) error {
	if err := checkCount("as part number", p.Part.Number, maxPartNumber); err != nil {
		return err
	}
	if len(p.Part.Blobs) > meta.MaxPartBlobs {
		return checkCount("blobs", len(p.Part.Blobs), meta.MaxPartBlobs)
	}
	if p.At != nil && len(p.At) != len(p.Part.Blobs) {
		return fmt.Errorf("places of %d blobs for a part of %d: no such intent", len(p.At), len(p.Part.Blobs))
	}
	return s.run.Write(growing(ctx), func(tx Tx) error {
		upload := p.Part.Upload
		bucket, _, err := lockOpen(tx, upload)
		if err == nil && bucket.IsZero() {
			err = meta.ErrUnreadable
		}
		if err != nil {
			return err
		}
		for i, id := range p.Part.Blobs {
			var at meta.BackendID
			if p.At != nil {
				at = p.At[i]
			}
			if err := addPartBlob(tx, p, id, at); err != nil {
				return err
			}
		}
		used, err := storePart(tx, p.Part, p.Prove)
		if err != nil {
			return err
		}
		err = soon(tx, ErrRetry, `UPDATE uploads SET revision = revision + 1, parts = parts + ?,
			counted_parts = counted_parts + ?, counted_bytes = counted_bytes + ? WHERE id = ?`, used.Parts, used.Parts, used.PartBytes, upload[:])
		if err != nil {
			return err
		}
		return used.write(tx, bucket)
	})
}

// neverCompleted is the condition that no version was made of an upload's parts.
const neverCompleted = "refs = 0 AND version_id IS NULL AND " + unreferred

// bucketToTakeBackFrom reads the bucket of an upload that ends. An id that an edit made
// unreadable is that of no bucket: the upload ends all the same, and so do those after it.
type bucketToTakeBackFrom struct{ *meta.ID }

func (c bucketToTakeBackFrom) Scan(src any) error {
	if (*idColumn)(c.ID).Scan(src) != nil {
		*c.ID = meta.ID{}
	}
	return nil
}

// lockOpen returns an open upload's bucket and the usage that is counted for it,
// and keeps the upload open until the transaction ends; ErrNotFound otherwise. The bucket
// is zero where an edit made its id unreadable. An
// upload that versions refer to was completed, whatever an edit says of it, and keeps
// its parts.
func lockOpen(tx Tx, id meta.ID) (bucket meta.ID, counted usageChange, err error) {
	err = tx.QueryRow("SELECT bucket_id, counted, counted_parts, counted_bytes FROM uploads WHERE id = ? AND state = ? AND "+neverCompleted+forUpdate,
		id[:], uploadOpen).Scan(bucketToTakeBackFrom{&bucket}, &counted.Uploads, &counted.Parts, &counted.PartBytes)
	return bucket, counted, found(err, meta.ErrNotFound)
}

// The order of claims follows the part's blobs, of which there are at most meta.MaxPartBlobs.
func addPartBlob(tx Tx, p meta.PutPart, id meta.BlobID, at meta.BackendID) error {
	if p.Share {
		return shareBlob(tx, id, at)
	}
	return claimBlob(tx, id, p.Holder)
}

// storePart writes the part's row, drops the blobs of the replaced attempt, and
// returns the change of the upload's usage. The upload must be locked.
func storePart(tx Tx, p meta.Part, prove meta.ProvePart) (used usageChange, err error) {
	old, err := scanHeld(p.Upload)(tx.QueryRow("SELECT "+heldColumns+" FROM parts WHERE upload_id = ? AND number = ?", p.Upload[:], p.Number))
	values := []any{p.Attempt[:], p.Size, micros(p.Modified), joinBlobs(p.Blobs), blob(p.Record), p.Upload[:], p.Number}
	if errors.Is(err, sql.ErrNoRows) {
		_, err := tx.Exec(`INSERT INTO parts (attempt, size, modified, blobs, record, upload_id, number)
			VALUES (?, ?, ?, ?, ?, ?, ?)`, values...)
		return usageChange{Parts: 1, PartBytes: p.Size}, err
	}
	if err != nil {
		return used, err
	}
	if _, err := tx.Exec(`UPDATE parts SET attempt = ?, size = ?, modified = ?, blobs = ?, record = ?
		WHERE upload_id = ? AND number = ?`, values...); err != nil {
		return used, err
	}
	used = usageChange{PartBytes: p.Size - old.Size}
	if !old.proven(prove) {
		return used, nil
	}
	return used, dropBlobs(tx, old.Blobs, p.Modified)
}

// dropBlobs drops the references of a part. If an edit made its row unreadable, or
// name the blobs of another object, the bytes stay, as in dropBlob.
func dropBlobs(tx Tx, ids []meta.BlobID, now time.Time) error {
	for _, id := range ids {
		if err := dropBlob(tx, id, now); err != nil {
			return err
		}
	}
	return nil
}

// AbortUpload implements meta.Uploads.
// The parts stay until Sweep, so that the transaction is small whatever their number.
func (s *Store) AbortUpload(ctx context.Context, id meta.ID) error {
	return s.run.Write(ctx, func(tx Tx) error { return endUpload(tx, id) })
}

// endUpload hands an open upload to Sweep, which dates its end.
func endUpload(tx Tx, id meta.ID) error {
	bucket, counted, err := lockOpen(tx, id)
	if err != nil {
		return err
	}
	err = soon(tx, ErrRetry, "UPDATE uploads SET state = ?, since = NULL, "+uncounted+" WHERE id = ?", uploadDying, id[:])
	if err != nil {
		return err
	}
	return counted.takeBack(tx, bucket)
}

// uncounted resets the usage that is counted for an upload. takeBack follows.
const uncounted = "counted = 0, counted_parts = 0, counted_bytes = 0"

// takeBack subtracts the usage of an upload from that of its bucket, unless the
// bucket is gone.
func (u *usageChange) takeBack(tx Tx, bucket meta.ID) error {
	if *u == (usageChange{}) {
		return nil
	}
	there, err := exists(tx, "SELECT 1 FROM buckets WHERE id = ?", bucket[:])
	if err != nil || !there {
		return err
	}
	return u.negated().write(tx, bucket)
}

func scanID(r Row) (id meta.ID, err error) {
	err = r.Scan((*idColumn)(&id))
	return id, err
}

// ExpireUploads implements meta.Uploads. Each upload is locked and looked at again: a client
// may complete it at this moment.
func (s *Store) ExpireUploads(ctx context.Context, t time.Time, limit int) (n int, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return 0, err
	}
	err = s.run.Write(ctx, func(tx Tx) error {
		ids, err := collect(tx, scanID,
			"SELECT id FROM uploads WHERE state = ? AND since < ? AND "+neverCompleted+" ORDER BY since LIMIT ?", uploadOpen, micros(t), limit)
		if err != nil {
			return err
		}
		n = 0
		for _, id := range ids {
			if err := endUpload(tx, id); errors.Is(err, meta.ErrNotFound) {
				continue // it ended meanwhile
			} else if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// ScanUploads implements meta.Uploads.
func (s *Store) ScanUploads(ctx context.Context, after meta.ID, limit int) (refs []meta.UploadRef, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		refs, err = collect(tx, func(r Row) (u meta.UploadRef, err error) {
			var state int64
			r = &lenientRow{Row: r}
			err = r.Scan((*idColumn)(&u.ID), (*idColumn)(&u.Bucket), (*textColumn)(&u.Key), &state, &u.Refs)
			u.State = outwardState(state)
			return u, err
		}, "SELECT id, bucket_id, key, state, refs FROM uploads WHERE id > ? AND "+possibleID+" ORDER BY id LIMIT ?", after[:], limit)
		return err
	})
	return refs, err
}

// checkComplete refuses a Complete that contradicts itself or its upload.
func checkComplete(c meta.Complete, bucket meta.ID, key string) error {
	v := c.Version
	if v.Bucket != bucket || v.Key != key || v.Body != (meta.Body{Kind: meta.BodyUpload, Upload: c.Upload}) {
		return fmt.Errorf("complete of upload %s: the version has another bucket, key or body", c.Upload)
	}
	return nil
}
