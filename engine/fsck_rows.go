package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

// Kinds of rows that are not what was sealed.
const (
	versionEdited = "version-edited"
	uploadEdited  = "upload-edited"
)

// of is a finding of a kind, or where the row was edited, of another.
func (f Finding) of(kind, edited string, err error) Finding {
	if errors.Is(err, records.ErrEdited) {
		kind = edited
	}
	f.Kind, f.Severity, f.Detail = kind, SeverityLost, err.Error()
	if d, ok := errors.AsType[*Damage](err); ok {
		if f.Detail = d.cause.Error(); d.Backend != "" {
			f.Blob, f.Backend = d.BlobName(), d.Backend
		}
	}
	return f
}

// marker holds a delete marker against what was sealed, which is its row alone.
func (c *check) marker(ctx context.Context, r meta.Version) error {
	if !c.first {
		return nil
	}
	v, err := c.e.named(ctx, r.Bucket, r.Key, r.Ref())
	switch {
	case errors.Is(err, meta.ErrNotFound), err == nil && v.ID != r.ID:
		err = c.gone(ctx, r)
	case err == nil:
		_, err = c.e.openRow(ctx, &v)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.report(Finding{Bucket: r.Bucket.String(), Key: r.Key, Version: r.Ref().String()}.of("marker-unreadable", versionEdited, err))
	}
	return nil
}

// gone is nil where a version that was scanned, and not found by its name since, is not
// among its key's versions any more either.
func (c *check) gone(ctx context.Context, r meta.Version) error {
	after := meta.ObjectPosition{Bucket: r.Bucket, Key: r.Key}
	for {
		page, err := c.e.store.ScanObjects(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for i := range page {
			switch v := &page[i]; {
			case v.Bucket != r.Bucket || v.Key != r.Key:
				return nil
			case v.ID == r.ID:
				return errOtherVersion
			}
			after.Version = page[i].ID
		}
		if len(page) < meta.MaxPage {
			return nil
		}
	}
}

// partGroup holds rows of chosen parts against the manifest, and opens each.
func (c *check) partGroup(ctx context.Context, parts *encrypt.Parts, group int) error {
	rows, err := c.e.partGroup(ctx, parts, group)
	if err != nil {
		return err
	}
	for i := range rows {
		name := encrypt.PartName{Deployment: c.e.deployment, Bucket: parts.Bucket, Upload: parts.Upload, Number: uint32(rows[i].Number), Attempt: rows[i].Attempt}
		if err := checkPart(parts.Key, name, &rows[i]); err != nil {
			return fmt.Errorf("part %d: %w", rows[i].Number, err)
		}
	}
	return nil
}

// checkPart holds a part's row against its sealed record: the blobs in it are what the
// store counts and moves.
func checkPart(key encrypt.ObjectKey, name encrypt.PartName, row *meta.Part) error {
	record, err := encrypt.OpenPart(key, name, row.Record)
	if err != nil {
		return err
	}
	if record.Size != row.Size {
		return errPartSize
	}
	same := func(x encrypt.Extent, id meta.BlobID) bool { return meta.BlobID(x.Blob) == id }
	if !slices.EqualFunc(record.Extents, row.Blobs, same) {
		return fmt.Errorf("%w: the blobs in the row of a part are not those of its sealed record", records.ErrEdited)
	}
	return nil
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
// the same of its parts while it is open. Of a completed one the versions' manifests
// say which parts there have to be. The parts of SSE-C cannot be opened.
func (c *check) upload(ctx context.Context, ref meta.UploadRef) error {
	if ref.State == meta.UploadDying {
		return nil
	}
	at := Finding{Bucket: ref.Bucket.String(), Key: ref.Key, Upload: ref.ID.String()}
	row, err := c.e.store.Upload(ctx, ref.ID)
	if errors.Is(err, meta.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	u, err := c.e.openUpload(ctx, row)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, s3err.NoSuchBucket):
		return nil // as in resealUpload
	case err != nil:
		c.report(at.of("upload-unreadable", uploadEdited, err))
		return nil
	case u.State != meta.UploadOpen || u.locked():
		return nil
	}
	return c.e.scanParts(ctx, ref.ID, func(p meta.Part) {
		if err := checkPart(u.key, u.partName(c.e.deployment, p.Number, p.Attempt), &p); err != nil {
			c.report(at.of("part-unreadable", uploadEdited, fmt.Errorf("part %d: %w", p.Number, err)))
		}
	})
}
