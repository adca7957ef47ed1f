package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

// Rows that the release before wrote are resealed in steps, each of which is bounded
// and can be repeated. A row that is changed meanwhile is passed over: who changes it
// seals it whole.

// maxResealCursor is a bucket, a version and a key.
const maxResealCursor = 16 + 16 + meta.MaxKeyBytes

// ResealVersions gives versions above a cursor records that vouch for their rows, and
// looks at no more than limit. after is nil for the first of all; next is nil after the
// last. passed is told of rows that do not open, or are not what was sealed as far as
// that can be told: they stay as they are. An error is not about a row, and the page is
// looked at again.
// next is at most maxResealCursor bytes and belongs to the caller. seen counts the rows that were
// looked at, also those that needed nothing.
func (e *Engine) ResealVersions(ctx context.Context, after []byte, limit int, passed accounts.Passed) (next []byte, seen int, err error) {
	at, err := versionCursor(after)
	if err != nil {
		return nil, 0, err
	}
	limit = min(limit, meta.MaxPage)
	page, err := e.store.ScanObjects(ctx, at, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("scan versions: %w", err)
	}
	var todo []meta.Reseal
	for i := range page {
		v := &page[i].Version
		var r meta.Reseal
		err := page[i].Err
		if err != nil {
			err = fmt.Errorf("%w: its row cannot be read: %w", records.ErrEdited, err)
		} else {
			if encrypt.IsWholeRecord(v.ListRecord) {
				continue
			}
			r, err = e.wholeRow(ctx, v)
		}
		switch {
		case err == nil:
			todo = append(todo, r)
		case errors.Is(err, s3err.NoSuchBucket): // it was deleted since the scan
		default:
			if err := passed(fmt.Sprintf("version %s in bucket %s", v.ID, v.Bucket), err); err != nil {
				return nil, 0, err
			}
		}
	}
	for len(todo) > 0 {
		n := min(len(todo), meta.MaxBatch)
		if _, err := e.store.ResealVersions(ctx, todo[:n]); err != nil {
			return nil, 0, fmt.Errorf("store resealed versions: %w", err)
		}
		todo = todo[n:]
	}
	if len(page) == limit {
		last := page[limit-1].At
		// The fixed lengths come first, so that the key needs no separator.
		next = append(append(append(make([]byte, 0, 32+len(last.Key)), last.Bucket[:]...), last.Version[:]...), last.Key...)
	}
	return next, len(page), nil
}

// wholeRow seals a record for a version as it is, after what can be told of it was held against
// what was sealed. Fields that the old record does not cover are taken over as they stand in
// the row. That is why this is done once and then closed by SealingWhole.
func (s *sealer) wholeRow(ctx context.Context, v *meta.Version) (r meta.Reseal, err error) {
	if _, err := s.OpenMarks(ctx, *v); err != nil {
		return r, err
	}
	next := *v
	if err := s.resealRow(&next, s.keysOf(ctx, next.Bucket), meta.SealingRenewed, func() {}); err != nil {
		return r, err
	}
	return meta.Reseal{Bucket: v.Bucket, Key: v.Key, Version: v.ID, Revision: v.Revision, Generation: next.Generation, ListRecord: next.ListRecord}, nil
}

func versionCursor(b []byte) (at meta.ObjectPosition, err error) {
	if len(b) == 0 {
		return at, nil
	}
	if len(b) <= 32 || len(b) > maxResealCursor {
		return at, fmt.Errorf("a cursor of %d bytes among versions", len(b))
	}
	return meta.ObjectPosition{Bucket: meta.ID(b[:16]), Version: meta.ID(b[16:32]), Key: string(b[32:])}, nil
}

// ResealUploads does with uploads, open and completed, what ResealVersions does with
// versions.
func (e *Engine) ResealUploads(ctx context.Context, after []byte, limit int, passed accounts.Passed) (next []byte, seen int, err error) {
	var at meta.ID
	if len(after) > 0 && copy(at[:], after) != len(after) {
		return nil, 0, fmt.Errorf("a cursor of %d bytes among uploads", len(after))
	}
	limit = min(limit, meta.MaxPage)
	page, err := e.store.ScanUploads(ctx, at, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("scan uploads: %w", err)
	}
	for _, ref := range page {
		if err := passed("upload "+ref.ID.String(), e.resealUpload(ctx, ref)); err != nil {
			return nil, 0, err
		}
	}
	if len(page) == limit {
		next = page[limit-1].ID[:]
	}
	return next, len(page), nil
}

// The store compares the settings with those that were read, so an upload that was completed
// meanwhile is not set back.
func (e *Engine) resealUpload(ctx context.Context, ref meta.UploadRef) error {
	if ref.State == meta.UploadDying {
		return nil
	}
	row, err := e.store.Upload(ctx, ref.ID)
	if errors.Is(err, meta.ErrUnreadable) {
		return fmt.Errorf("%w: %w", errUpload, err)
	} else if err != nil {
		return err
	}
	u, err := e.openUpload(ctx, row)
	switch {
	case errors.Is(err, s3err.NoSuchBucket):
		return nil // its bucket was deleted: it ends, or is the body of another's versions
	case err != nil:
		return err
	case u.promised.Begun != begun{}:
		return nil
	}
	u.promised.Begun = begunAs(&row)
	sealed, err := e.sealSettings(u, u.promised)
	if err != nil {
		return err
	}
	return e.store.ResealUpload(ctx, row.ID, row.Settings, sealed)
}
