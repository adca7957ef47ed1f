package engine

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// displaced judges the rows that one write to a bucket displaces or removes, as the
// store finds them in its transaction. There it has the bucket's keys at hand and does
// not call the store. The damage that it met is reported afterwards.
type displaced struct {
	sealer     *sealer
	generation uint32 // of the bucket, up to which the keys are at hand
	anyway     bool   // also without keys, where they were taken away
	keys       bucketKeys
	met        map[meta.ID]unprovenRow // by version: the store may repeat a transaction
}

// unprovenRow is a row that does not say what was sealed.
type unprovenRow struct {
	version meta.Version
	err     error
}

// displacedIn returns the judge of one write. Keys that do not open prove no row, so that
// what they sealed can still be removed; keys that cannot be had now are an error.
// It reads the keys before the transaction, because Prove is called inside of one and must not
// wait for the key provider.
func (s *sealer) displacedIn(ctx context.Context, b meta.Bucket) (*displaced, error) {
	d := &displaced{sealer: s}
	return d, d.follow(ctx, b)
}

// removedFrom is displacedIn for removals that seal nothing. They go on where the bucket's
// key was taken away: no row is proven then, so that the bytes of all of them stay.
func (s *sealer) removedFrom(ctx context.Context, b meta.Bucket) (*displaced, error) {
	d := &displaced{sealer: s, anyway: true}
	return d, d.follow(ctx, b)
}

// follow gets the keys of a bucket whose generation may be another than the judge knows.
// The store takes no write by an older one.
func (d *displaced) follow(ctx context.Context, b meta.Bucket) (err error) {
	if d.generation == b.Generation && d.keys != nil {
		return nil
	}
	d.generation = b.Generation
	all, err := d.sealer.buckets.AllKeys(ctx, b)
	if d.keys, err = orNone(all, err); d.anyway && buckets.KeyGone(err) {
		d.keys, err = noKeys(err), nil
	}
	return err
}

// bucketKeys are the keys of a bucket at hand.
type bucketKeys func(generation uint32) (*encrypt.BucketKeys, error)

// orNone are a bucket's keys, or none with their error if they are gone or do not open.
func orNone(keys bucketKeys, err error) (bucketKeys, error) {
	if damage.Unlike(err) || errors.Is(err, s3err.NoSuchBucket) {
		return noKeys(err), nil
	}
	return keys, err
}

// noKeys are the keys of a bucket that has none, and why.
func noKeys(why error) bucketKeys {
	return func(uint32) (*encrypt.BucketKeys, error) { return nil, why }
}

// proves implements meta.Prove.
// It is called on the goroutine of the write, so met needs no lock. It may be called again for the
// same row when the store repeats its transaction.
func (d *displaced) proves(v *meta.Version) bool {
	_, err := d.sealer.judgeRow(v, d.keys)
	if err == nil {
		return true
	}
	if d.met == nil {
		d.met = make(map[meta.ID]unprovenRow)
	}
	d.met[v.ID] = unprovenRow{*v, err}
	return false
}

// report reports the damage that was met, after the store's transaction.
func (d *displaced) report() {
	for _, row := range d.met {
		_ = d.sealer.damage.Row(&row.version, row.err) // the write goes by the row, and so mends it
	}
}
