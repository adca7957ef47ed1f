package engine

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// ListParts returns a page of the parts of an upload in progress.
// Errors: NoSuchUpload, and InvalidRequest for a customer's key that is not the upload's.
func (e *Engine) ListParts(ctx context.Context, in ListParts) (PartPage, error) {
	u, err := e.inProgress(ctx, in.Bucket, in.Key, in.Upload)
	if err != nil {
		return PartPage{}, err
	}
	if in.Customer != nil {
		if err := u.unlock(in.Customer); err != nil {
			return PartPage{}, err
		}
	}
	page := PartPage{Upload: u.describe(), Next: in.After}
	if in.Limit == 0 {
		return page, nil
	}
	// One more than the page shows, which tells whether there is another page.
	rows, err := e.store.Parts(ctx, u.ID, in.After, min(in.Limit+1, meta.MaxPage))
	if err != nil {
		return page, meta.Coded(err)
	}
	for _, row := range rows {
		if len(page.Parts) == in.Limit {
			page.More = true
			break
		}
		record := &encrypt.PartRecord{}
		if !u.locked() {
			if record, err = encrypt.OpenPart(u.key, u.partName(e.deployment, row.Number, row.Attempt), row.Record); err != nil {
				return page, internal("open a part", err)
			}
			if record.Size != row.Size {
				return page, errPartSize
			}
		}
		page.Parts = append(page.Parts, u.describePart(row, record))
		page.Next = row.Number
	}
	if in.Limit >= meta.MaxPage && len(rows) == meta.MaxPage { // no room to look one further
		more, err := e.store.Parts(ctx, u.ID, page.Next, 1)
		if err != nil {
			return page, meta.Coded(err)
		}
		page.More = len(more) > 0
	}
	return page, nil
}

// ObjectParts returns a page of the parts that an object was completed from: the
// one that in finds, if its ID is still id. It has no parts when the object was
// not made by a multipart upload.
func (e *Engine) ObjectParts(ctx context.Context, in GetObject, id meta.ID, after, limit int) (PartPage, error) {
	r, err := e.HeadObject(ctx, in)
	if err != nil {
		return PartPage{}, err
	}
	if r.Object.ID != id {
		return PartPage{}, s3err.OperationAborted // replaced since it was described
	}
	parts := r.manifest.Parts
	page := PartPage{Next: after}
	if parts == nil {
		return page, nil
	}
	page.Total = parts.Count()
	w := partWalk{e: e, ctx: ctx, parts: parts}
	for group := range parts.Groups {
		for _, number := range parts.GroupNumbers(group) {
			if int(number) <= after {
				continue
			}
			if len(page.Parts) == limit {
				page.More = true
				return page, nil
			}
			record, err := w.record(number)
			if err != nil {
				return page, fmt.Errorf("describe a part: %w", err)
			}
			page.Parts = append(page.Parts, Part{Number: int(number), Size: record.Size, Checksum: record.Checksum})
			page.Next = int(number)
		}
	}
	return page, nil
}

// ListUploads returns a page of the uploads in progress.
// An upload whose row does not open fails the page, as in ListObjects.
func (e *Engine) ListUploads(ctx context.Context, q meta.UploadQuery) (UploadPage, error) {
	page, err := e.store.ListUploads(ctx, q)
	if err != nil {
		return UploadPage{}, meta.Coded(err)
	}
	out := UploadPage{More: page.More, NextKey: page.NextKey, NextUpload: page.NextUpload}
	for _, row := range page.Entries {
		entry := UploadEntry{CommonPrefix: row.CommonPrefix}
		if row.CommonPrefix == "" {
			u, err := e.openUpload(ctx, row.Upload)
			if err != nil {
				return UploadPage{}, err
			}
			entry.Upload = u.describe()
		}
		out.Entries = append(out.Entries, entry)
	}
	return out, nil
}
