package sqlstore

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// usage compares the recorded usage of every bucket with its rows. A bucket whose
// usage changes meanwhile is in use and is skipped.
func (v *verification) usage(ctx context.Context) error {
	for q := (meta.BucketQuery{Limit: meta.MaxPage}); ; {
		bs, err := v.store.ListBuckets(ctx, q)
		if err != nil || len(bs) == 0 {
			return err
		}
		for _, b := range bs {
			q.After = b.Name
			before, err := v.store.BucketUsage(ctx, b.ID)
			if err != nil {
				return err
			}
			there, err := countUsage(ctx, v.run, b.ID)
			if err != nil {
				return err
			}
			after, err := v.store.BucketUsage(ctx, b.ID)
			if err != nil {
				return err
			}
			if before == after && (there.Bytes != before.Bytes || there.Versions != before.Versions) {
				v.fault(Fault{Kind: "usage", Table: "usage", Row: b.ID.String(), Detail: fmt.Sprintf(
					"it counts %d bytes in %d versions, but there are %d in %d", before.Bytes, before.Versions, there.Bytes, there.Versions)})
			}
		}
	}
}

// countUsage adds up the sizes of all objects and versions of a bucket. It leaves
// out markers and uploads: see migration 13.
func countUsage(ctx context.Context, run Runner, bucket meta.ID) (u meta.Usage, err error) {
	type sized struct {
		key          []byte
		rank, marker int64
		size         int64
	}
	for _, from := range []string{
		"0 FROM objects WHERE bucket_id = ? AND key >= ? AND (key, rank) > (?, ?) ORDER BY bucket_id, key LIMIT ?",
		"marker FROM versions WHERE bucket_id = ? AND key >= ? AND (key, rank) > (?, ?) ORDER BY bucket_id, key, rank LIMIT ?",
	} {
		after := sized{key: []byte{0}, rank: newest}
		for more := true; more; {
			var page []sized
			err := run.Read(ctx, func(tx Tx) (err error) {
				page, err = collect(tx, func(r Row) (s sized, err error) {
					err = r.Scan(&s.key, &s.rank, &s.size, &s.marker)
					return s, err
				}, "SELECT key, rank, size, "+from, bucket[:], after.key, after.key, after.rank, verifyRows)
				return err
			})
			if err != nil {
				return meta.Usage{}, err
			}
			for _, s := range page {
				u.Bytes += s.size
				u.Versions += 1 - s.marker
				after = s
			}
			more = len(page) == verifyRows
		}
	}
	return u, nil
}
