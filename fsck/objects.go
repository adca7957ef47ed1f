package fsck

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// scanned checks a row that the scan met. One that cannot be read refers to nothing that
// is known: what it referred to shows as a blob without use.
func (c *check) scanned(ctx context.Context, r meta.ScannedVersion) error {
	if r.Err == nil {
		return c.object(ctx, r.Version)
	}
	if c.first {
		at := Finding{Bucket: r.At.Bucket.String(), Key: r.At.Key, Version: r.At.Version.String()}
		c.report(at.of("object-unreadable", versionEdited, fmt.Errorf("%w: its row cannot be read: %w", records.ErrEdited, r.Err)))
	}
	return nil
}

// object checks a version, or a delete marker, and counts its reference to a body.
// Each round meets every version. It is counted in the first round alone, and opened in that and
// in the round of its blob.
func (c *check) object(ctx context.Context, r meta.Version) error {
	if r.Marker {
		return c.deleteMarker(ctx, r)
	}
	if r.Body.Kind == meta.BodyUpload && c.countedNow(r.Body.Upload) {
		c.uploads[r.Body.Upload]++
	}
	if c.first {
		c.Objects++
		c.Bytes += r.Size
	} else if r.Body.Kind != meta.BodyBlob || !c.inRound(r.Body.Blob) {
		return nil
	}
	at := Finding{Bucket: r.Bucket.String(), Key: r.Key, Version: r.Ref().String()}
	l := length{}
	if c.first || c.inRound(r.Body.Blob) {
		var err error
		if l, err = c.openObject(ctx, r); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			c.report(at.of("object-unreadable", versionEdited, err))
			l = length{}
		}
	}
	if r.Body.Kind == meta.BodyBlob {
		c.refer(r.Body.Blob, l, at)
	}
	return nil
}

// openObject proves that a version's row is what was sealed, that its manifest opens
// and agrees with it, and when deep that its bytes do. It returns what is known of the
// length of its blob.
func (c *check) openObject(ctx context.Context, r meta.Version) (length, error) {
	// Read again with its keys and manifest, which the scan leaves out.
	v, err := c.in.Version(ctx, r.Bucket, r.Key, r.ID)
	if errors.Is(err, meta.ErrNotFound) {
		return length{}, c.gone(ctx, r)
	} else if err != nil {
		return length{}, err
	}
	if err := c.in.ProveVersion(ctx, v); err != nil {
		return length{}, err
	}
	if v.Encryption == meta.EncryptionCustomer {
		return c.customerObject(v), nil
	}
	opened, err := c.in.OpenVersion(ctx, v)
	if err != nil {
		return length{}, err
	}
	blobSize, err := opened.CheckBody(r.Body)
	if err != nil || r.Body.Kind == meta.BodyUpload && !c.first {
		return length{}, err
	}
	if err := opened.CheckParts(ctx); err != nil {
		return length{}, err
	}
	l := length{}
	if blobSize >= 0 {
		l = length{blobSize, exactly}
	}
	if c.o.Deep && c.first {
		return l, c.readAll(ctx, v, opened)
	}
	return l, nil
}

// customerObject checks an SSE-C object as far as that goes without its customer's key,
// after its row was checked: by the size in it, that its blob is not shorter.
// That its manifest opens and that every byte is authentic cannot be; it is counted.
// The size in the row was proven by the row's record. The blob of a form or a padded one is
// longer, as the manifest says.
func (c *check) customerObject(v meta.Version) length {
	if c.first {
		c.Customer++
	}
	if v.Body.Kind == meta.BodyBlob {
		return length{v.Size, least}
	}
	return length{}
}

// readAll reads every byte of a version. One that was removed while it was read is no
// finding.
func (c *check) readAll(ctx context.Context, v meta.Version, opened *engine.OpenedVersion) error {
	err := opened.ReadAll(ctx)
	if err != nil {
		if _, again := c.in.Version(ctx, v.Bucket, v.Key, v.ID); again != nil {
			return nil
		}
	}
	return err
}

// deleteMarker holds a delete marker against what was sealed, which is its row alone.
func (c *check) deleteMarker(ctx context.Context, r meta.Version) error {
	if !c.first {
		return nil
	}
	v, err := c.in.VersionNamed(ctx, r.Bucket, r.Key, r.Ref())
	switch {
	case errors.Is(err, meta.ErrNotFound), err == nil && v.ID != r.ID:
		err = c.gone(ctx, r)
	case err == nil:
		err = c.in.ProveVersion(ctx, v)
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
// A row that is still there, and is not found by its name, carries the name of another.
func (c *check) gone(ctx context.Context, r meta.Version) error {
	after := meta.ObjectPosition{Bucket: r.Bucket, Key: r.Key}
	for {
		page, err := c.rows.ScanObjects(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for i := range page {
			switch v := &page[i]; {
			case v.Bucket != r.Bucket || v.Key != r.Key:
				return nil
			case v.ID == r.ID:
				return engine.ErrOtherVersion
			}
			after = page[i].At
		}
		if len(page) < meta.MaxPage {
			return nil
		}
	}
}
