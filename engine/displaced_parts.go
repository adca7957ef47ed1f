package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// errPartBlobs: the row of a part names other blobs than its sealed record.
var errPartBlobs = fmt.Errorf("%w: the row of a part names other blobs than its sealed record", records.ErrEdited)

// displacedParts judges rows of one upload's parts as displaced does those of versions.
type displacedParts struct {
	sealer *sealer
	upload *openUpload
	err    error // of the first row that did not say what was sealed
}

// judge is proves, or nil where only a customer's key could tell.
func (d *displacedParts) judge() meta.ProvePart {
	if d.upload.locked() {
		return nil
	}
	return d.proves
}

// proves implements meta.ProvePart.
func (d *displacedParts) proves(p *meta.Part) bool {
	err := d.sealer.provePart(d.upload, p)
	if err != nil && d.err == nil {
		d.err = fmt.Errorf("part %d: %w", p.Number, err)
	}
	return err == nil
}

// report reports the damage that was met, after the store's transaction.
func (d *displacedParts) report() {
	u := d.upload
	_ = d.sealer.damage.Row(&meta.Version{Bucket: u.Bucket, Key: u.Key, ID: u.Version}, d.err) // the work goes on without the row
}

// provePart holds the blobs that a part's row names against its sealed record.
func (s *sealer) provePart(u *openUpload, p *meta.Part) error {
	record, err := encrypt.OpenPart(u.key, u.partName(s.deployment, p.Number, p.Attempt), p.Record)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(record.Extents, p.Blobs, func(x encrypt.Extent, id meta.BlobID) bool { return x.Blob == id }) {
		return errPartBlobs
	}
	return nil
}

// maxSweepKeys is for how many buckets one sweep reads the keys.
const maxSweepKeys = 100

// Judged implements blobs.Prover.
func (p prover) Judged(ctx context.Context, sweep func(meta.JudgeParts) (int, error)) (done int, err error) {
	j := sweepJudge{sealer: &p.e.sealer, keys: make(map[meta.ID]bucketKeys), away: make(map[meta.ID]error), again: make(map[meta.ID]bool)}
	defer j.report()
	var errs []error
	for range maxSweepKeys {
		j.lacks = nil
		n, err := sweep(j.judge)
		done += n
		if err != nil || j.lacks == nil {
			return done, errors.Join(append(errs, err)...)
		}
		keys, err := orNone(j.sealer.buckets.AllKeys(ctx, *j.lacks))
		if err != nil {
			err = fmt.Errorf("keys of the bucket %s of an ended upload: %w", j.lacks.ID, err)
			j.away[j.lacks.ID], errs = err, append(errs, err)
			continue
		}
		j.keys[j.lacks.ID] = keys
	}
	return done, errors.Join(errs...)
}

// sweepJudge judges the parts of ended uploads in the store's transaction.
type sweepJudge struct {
	sealer *sealer
	keys   map[meta.ID]bucketKeys
	away   map[meta.ID]error // by bucket: the keys cannot be read
	again  map[meta.ID]bool  // buckets whose keys were read again for a generation that they lacked
	lacks  *meta.Bucket      // a bucket whose keys are to be read, up to its generation
	judged []*displacedParts
	edited []unprovenRow // uploads
}

// judge implements meta.JudgeParts. It proves no part of an upload that does not open.
// Uploads of a bucket whose keys cannot be read now wait, and others are swept meanwhile. The
// blobs of a part that is not proven stay.
func (j *sweepJudge) judge(row *meta.Upload) (meta.ProvePart, error) {
	if err := j.away[row.Bucket]; err != nil {
		return nil, err
	}
	keysOf, known := j.keys[row.Bucket]
	if !known {
		j.lacks = &meta.Bucket{ID: row.Bucket, Generation: row.Generation}
		return nil, meta.ErrUnjudged
	}
	keys, err := keysOf(row.Generation)
	if errors.Is(err, buckets.ErrNoGeneration) && !j.again[row.Bucket] { // it may have come since
		j.again[row.Bucket], j.lacks = true, &meta.Bucket{ID: row.Bucket, Generation: row.Generation}
		return nil, meta.ErrUnjudged
	}
	var u *openUpload
	if err == nil {
		u, err = j.sealer.openUploadWith(keys, *row)
	}
	if err != nil {
		j.edited = append(j.edited, unprovenRow{meta.Version{Bucket: row.Bucket, Key: row.Key, ID: row.Version}, err})
		return func(*meta.Part) bool { return false }, nil
	}
	d := &displacedParts{sealer: j.sealer, upload: u}
	j.judged = append(j.judged, d)
	return d.judge(), nil
}

// report reports the damage that was met.
func (j *sweepJudge) report() {
	for _, d := range j.judged {
		d.report()
	}
	for _, row := range j.edited {
		_ = j.sealer.damage.Row(&row.version, row.err) // the work goes on without the row
	}
}
