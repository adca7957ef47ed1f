package fsck

import (
	"context"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// scanBuckets calls f for every bucket.
func scanBuckets(ctx context.Context, rows engine.Rows, f func(meta.Bucket) error) error {
	for q := (meta.BucketQuery{Limit: meta.MaxPage}); ; {
		page, err := rows.ListBuckets(ctx, q)
		if err != nil {
			return err
		}
		for _, b := range page {
			q.After = b.Name
			if err := f(b); err != nil {
				return err
			}
		}
		if len(page) < meta.MaxPage {
			return nil
		}
	}
}

// scanObjects calls f for every version.
// Rows that are added behind the position are not met. They are newer than the pass.
func scanObjects(ctx context.Context, rows engine.Rows, f func(meta.ScannedVersion) error) error {
	var after meta.ObjectPosition
	for {
		refs, err := rows.ScanObjects(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for _, r := range refs {
			after = r.At
			if err := f(r); err != nil {
				return err
			}
		}
		if len(refs) < meta.MaxPage {
			return nil
		}
	}
}

// scanUploads calls f for every upload, open or completed.
func scanUploads(ctx context.Context, rows engine.Rows, f func(meta.UploadRef) error) error {
	var after meta.ID
	for {
		refs, err := rows.ScanUploads(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for _, r := range refs {
			after = r.ID
			if err := f(r); err != nil {
				return err
			}
		}
		if len(refs) < meta.MaxPage {
			return nil
		}
	}
}

// scanParts calls f for every part of an upload.
func scanParts(ctx context.Context, rows engine.Rows, upload meta.ID, f func(meta.Part)) error {
	for after := 0; ; {
		parts, err := rows.ScanParts(ctx, upload, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for _, p := range parts {
			after = p.Number
			f(p)
		}
		if len(parts) < meta.MaxPage {
			return nil
		}
	}
}
