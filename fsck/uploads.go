package fsck

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

// readUploads checks every upload and counts the references of its parts.
// Parts of a dying upload count too: their references go with their rows.
func (c *check) readUploads(ctx context.Context) error {
	return scanUploads(ctx, c.rows, func(u meta.UploadRef) error {
		if c.countedNow(u.ID) {
			c.countUpload(u)
		}
		if c.first {
			c.Uploads++
			if err := c.upload(ctx, u); err != nil {
				return err
			}
		}
		return scanParts(ctx, c.rows, u.ID, func(p meta.Part) {
			if c.first {
				c.Parts++
			}
			l := length{}
			if len(p.Blobs) == 1 && p.Size >= 0 && p.Size <= encrypt.MaxBlobSize { // another one was edited, and no blob has it
				l = length{p.Size, padded}
			}
			for _, id := range p.Blobs {
				c.refer(id, l, Finding{Bucket: u.Bucket.String(), Key: u.Key, Upload: u.ID.String()})
			}
		})
	})
}

// countedNow reports whether this round counts an upload's references. Its id is
// drawn as those of blobs are, and a completed upload has some: so there are no more
// of them in a round.
func (c *check) countedNow(upload meta.ID) bool {
	var id meta.BlobID
	copy(id[:], upload[:])
	return c.inRound(id) || c.first && id == c.low
}

// countUpload holds what the store counts of an upload against the versions that
// refer to it, whose parts it keeps.
// It is called after all versions of the round were met.
func (c *check) countUpload(u meta.UploadRef) {
	at := Finding{Bucket: u.Bucket.String(), Key: u.Key, Upload: u.ID.String()}
	refs := c.uploads[u.ID]
	switch {
	case refs > 0 && u.State != meta.UploadCompleted:
		at.Kind, at.Severity, at.Detail = "upload-not-completed", SeverityLost, "objects are made of its parts, and the store has it as open or dying"
	case refs == 0 && u.State == meta.UploadCompleted:
		at.Kind, at.Severity, at.Detail = "upload-unneeded", SeverityLeak, "the store has it as completed, and no object is made of its parts"
	case refs > u.Refs:
		at.Kind, at.Severity = "upload-undercounted", SeverityLost
		at.Detail = fmt.Sprintf("the store counts %d references, there are %d", u.Refs, refs)
	case refs < u.Refs:
		at.Kind, at.Severity = "upload-overcounted", SeverityLeak
		at.Detail = fmt.Sprintf("the store counts %d references, there are %d", u.Refs, refs)
	default:
		return
	}
	c.report(at)
}

// upload proves that what an upload was begun with opens and agrees with its row, and
// the same of its parts while it is open. The row of a completed one has the parts as chosen
// that were sealed. Of a completed one the versions' manifests
// say which parts there have to be. The parts of SSE-C cannot be opened.
func (c *check) upload(ctx context.Context, ref meta.UploadRef) error {
	if ref.State == meta.UploadDying {
		return nil
	}
	at := Finding{Bucket: ref.Bucket.String(), Key: ref.Key, Upload: ref.ID.String()}
	row, err := c.rows.Upload(ctx, ref.ID)
	switch {
	case errors.Is(err, meta.ErrNotFound):
		return nil
	case errors.Is(err, meta.ErrUnreadable):
		c.report(at.of("upload-unreadable", uploadEdited, fmt.Errorf("%w: %w", records.ErrEdited, err)))
		return nil
	case err != nil:
		return err
	}
	u, err := c.in.OpenUpload(ctx, row)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, s3err.NoSuchBucket):
		return nil // its bucket was deleted: it ends, or is the body of another's versions
	case err != nil:
		c.report(at.of("upload-unreadable", uploadEdited, err))
		return nil
	case row.State == meta.UploadCompleted:
		if err := u.CheckChosen(ctx); err != nil {
			c.report(at.of("upload-unreadable", uploadEdited, err))
		}
		return ctx.Err()
	case row.State != meta.UploadOpen || u.IsLocked():
		return nil
	}
	return scanParts(ctx, c.rows, ref.ID, func(p meta.Part) {
		if err := u.CheckPart(&p); err != nil {
			c.report(at.of("part-unreadable", uploadEdited, fmt.Errorf("part %d: %w", p.Number, err)))
		}
	})
}
