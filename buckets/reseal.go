package buckets

import (
	"context"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// Reseal gives bucket rows of an old store their records. It begins above after, which is
// nil or what an earlier call returned as next, and looks at no more than limit rows; next
// is nil after the last. passed says what becomes of a row; an error is of something else
// than a row, and the page is looked at again.
func (bs *Buckets) Reseal(ctx context.Context, after []byte, limit int, passed accounts.Passed) (next []byte, seen int, err error) {
	page, err := bs.Store.ListBuckets(ctx, meta.BucketQuery{After: string(after), Limit: min(limit, meta.MaxPage)})
	if err != nil {
		return nil, 0, err
	}
	for _, b := range page {
		next = []byte(b.Name)
		if len(b.Record) > 0 {
			continue
		}
		if err := passed("bucket "+b.ID.String(), bs.reseal(ctx, b)); err != nil {
			return nil, 0, err
		}
	}
	return meta.UnlessLast(next, len(page), limit), len(page), nil
}

// reseal takes the settings that there are for those that there should be: nothing tells
// of a setting that was removed from an old store.
func (bs *Buckets) reseal(ctx context.Context, b meta.Bucket) error {
	rows, err := bs.Store.BucketSettings(ctx, b.ID)
	if err != nil {
		return err
	}
	if rows.Bucket.Revision != b.Revision {
		return meta.ErrConflict
	}
	sums := sumSettings(rows.Settings)
	// Nothing was ever set, so rows that are there were put there by an edit, and the record
	// does not name them.
	if b.Revision == 0 {
		sums = nil
	}
	if err := bs.seal(bs.Records.Sealing(), &b, sums, nil); err != nil {
		return err
	}
	return bs.Store.SetBucketRecord(ctx, b.ID, meta.Change{Revision: b.Revision, Record: b.Record})
}
