package buckets

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// Renewed is what became of a bucket's settings.
type Renewed struct {
	Settings int              // that there are
	Done     int              // of those, brought under the newest generation of the bucket's keys
	Broken   map[string]error // why those do not open that stay as they are, by name
}

// renewTurns bounds the batches of a bucket's settings, and how often they are read anew
// because somebody else changed one.
const renewTurns = 2 * meta.MaxSettings / meta.MaxBatch

// OldSettings counts the settings that are not under the newest generation of the bucket's
// keys. of is the generation that is counted; 0: every older one.
func (bs *Buckets) OldSettings(ctx context.Context, b meta.Bucket, of uint32) (all, old int, err error) {
	rows, err := bs.Store.BucketSettings(ctx, b.ID)
	if errors.Is(err, meta.ErrNoBucket) {
		return 0, 0, NoSuch(b.Name)
	} else if err != nil {
		return 0, 0, meta.Coded(err)
	}
	for _, row := range rows.Settings {
		if g, ok := settingGeneration(row); !ok || of == 0 && g != b.Generation || of != 0 && g == of {
			old++
		}
	}
	return len(rows.Settings), old, nil
}

// settingGeneration is false for a document that names none.
func settingGeneration(row meta.Setting) (uint32, bool) {
	g, err := encrypt.MarksGeneration(row.Document)
	return g, err == nil
}

// RenewSettings brings a bucket's settings under the newest generation of its keys, under a
// lease. Those that do not open stay as they are, and are named. Errors: NoSuchBucket,
// meta.ErrConflict where the lease is another's or the bucket goes on changing.
func (bs *Buckets) RenewSettings(ctx context.Context, l meta.Lease, b meta.Bucket) (r Renewed, err error) {
	r.Broken = map[string]error{}
	for range renewTurns {
		rows, err := bs.Store.BucketSettings(ctx, b.ID)
		if errors.Is(err, meta.ErrNoBucket) {
			return r, NoSuch(b.Name)
		} else if err != nil {
			return r, meta.Coded(err)
		}
		batch, sums, seeds, err := bs.renewed(ctx, &rows, &r)
		if err != nil || len(batch) == 0 {
			return r, err
		}
		for _, row := range batch {
			sums = sums.with(row)
		}
		err = bs.change(ctx, rows.Bucket, sums, seeds, func(ctx context.Context, c meta.Change) error {
			return bs.Store.RenewSettings(ctx, l, b.ID, c, batch)
		})
		switch {
		case err == nil:
			r.Done += len(batch)
		case !errors.Is(err, meta.ErrConflict) && !errors.Is(err, meta.ErrNotFound):
			return r, meta.Coded(err)
		}
	}
	return r, meta.ErrConflict
}

// renewed seals the next settings of a bucket anew, meta.MaxBatch at the most, and returns
// them with what the bucket's record says now.
func (bs *Buckets) renewed(ctx context.Context, rows *meta.BucketSettings, r *Renewed) (batch []meta.Setting, sums settingSums, seeds []seedFacts, err error) {
	if sums, seeds, err = bs.recordedSums(rows); err != nil {
		return nil, nil, nil, err
	}
	keys, err := bs.keysFor(ctx, &rows.Bucket)
	if err != nil {
		return nil, nil, nil, err
	}
	newest, err := keys.key(rows.Bucket.ID, rows.Bucket.Generation)
	if err != nil {
		return nil, nil, nil, err
	}
	r.Settings = len(rows.Settings)
	for _, row := range rows.Settings {
		if g, ok := settingGeneration(row); ok && g == rows.Bucket.Generation || r.Broken[row.Name] != nil {
			continue
		}
		// A row that is not the one which the record names must not be sealed as if it were.
		document, err := openSetting(keys.of, row)
		if sum, ok := sums[nameSum(row.Name)]; err == nil && (!ok || sum != documentSum(row.Document)) {
			err = records.Edited("the row of a setting", errors.New("it is not the one that the bucket's record names"))
		}
		if err != nil {
			r.Broken[row.Name] = fmt.Errorf("open the setting %s of bucket %s: %w", row.Name, rows.Bucket.Name, err)
			continue
		}
		if batch = append(batch, meta.Setting{Name: row.Name, Document: newest.SealSetting(row.Name, document)}); len(batch) == meta.MaxBatch {
			break
		}
	}
	return batch, sums, seeds, nil
}
