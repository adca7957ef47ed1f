package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// After a rotation of a bucket's keys, rows are brought under the new generation: object
// keys are wrapped, list records and marks sealed anew. No byte of an object changes, nor
// anything that a client sees, so a lock does not forbid it.

// Renewal brings rows under the newest generation of their buckets' keys. It serves any
// number of goroutines at once, for as long as the Engine is open.
type Renewal struct{ e *Engine }

// Renewal is that of the deployment.
func (e *Engine) Renewal() Renewal { return Renewal{e} }

// Job returns the document of a job; SetJob replaces it: see meta.Jobs.
func (r Renewal) Job(ctx context.Context, name string) ([]byte, error) {
	return r.e.store.Job(ctx, name)
}

// SetJob replaces the document of a job: see meta.Jobs.
func (r Renewal) SetJob(ctx context.Context, name string, was, now []byte) error {
	return r.e.store.SetJob(ctx, name, was, now)
}

// ScanVersions returns versions of all buckets as meta.Renewals does.
func (r Renewal) ScanVersions(ctx context.Context, after meta.ObjectPosition, limit int) ([]meta.ScannedVersion, error) {
	return r.e.store.ScanKeys(ctx, after, limit)
}

// ScanUploads returns uploads of all buckets as meta.Renewals does.
func (r Renewal) ScanUploads(ctx context.Context, after meta.ID, limit int) ([]meta.Upload, error) {
	return r.e.store.ScanUploadKeys(ctx, after, limit)
}

// Failed is told of a row that cannot be renewed, because it does not open or is not what
// was sealed. The row stays as it is.
type Failed func(row string, err error)

// Versions brings versions of one bucket under its newest generation, and returns how
// many were still as they were read. Errors: NoSuchBucket, meta.ErrConflict where the
// lease is another's, and faults of store and keys.
func (r Renewal) Versions(ctx context.Context, l meta.Lease, b meta.Bucket, vs []meta.Version, failed Failed) (done int, err error) {
	keys, err := r.e.buckets.Keys(ctx, b)
	if err != nil {
		return 0, err
	}
	for batch := range slices.Chunk(vs, meta.MaxBatch) {
		rs := make([]meta.Renewal, 0, len(batch))
		for i := range batch {
			next := batch[i]
			err := r.e.renewRow(&next, r.e.keysOf(ctx, next.Bucket), keys, func() { next.Revision++ })
			if damage.Unlike(err) {
				failed(fmt.Sprintf("version %s in bucket %s", next.ID, b.Name), err)
				continue
			} else if err != nil {
				return done, err
			}
			rs = append(rs, meta.Renewal{
				Bucket: next.Bucket, Key: next.Key, Version: next.ID, Revision: batch[i].Revision, Old: next.Marker || !next.Latest,
				Generation: next.Generation, WrappedKey: next.WrappedKey, ListRecord: next.ListRecord, Marks: next.Marks,
			})
		}
		if len(rs) == 0 {
			continue
		}
		n, err := r.e.store.RenewVersions(ctx, l, rs)
		if done += n; err != nil {
			return done, err
		}
	}
	return done, nil
}

// Uploads brings the keys of uploads of one bucket under its newest generation, as Versions
// does with versions. Whatever their state is: they are the bodies of versions, and of those
// that ended the parts are still proven.
func (r Renewal) Uploads(ctx context.Context, l meta.Lease, b meta.Bucket, us []meta.Upload, failed Failed) (done int, err error) {
	keys, err := r.e.buckets.Keys(ctx, b)
	if err != nil {
		return 0, err
	}
	for batch := range slices.Chunk(us, meta.MaxBatch) {
		rs := make([]meta.UploadRenewal, 0, len(batch))
		for i := range batch {
			u := &batch[i]
			wrapped, err := r.e.renewUpload(ctx, u, keys)
			if damage.Unlike(err) {
				failed(fmt.Sprintf("upload %s in bucket %s", u.ID, b.Name), err)
				continue
			} else if err != nil {
				return done, err
			}
			rs = append(rs, meta.UploadRenewal{Upload: u.ID, Was: u.WrappedKey, Generation: keys.Generation(), WrappedKey: wrapped})
		}
		if len(rs) == 0 {
			continue
		}
		n, err := r.e.store.RenewUploads(ctx, l, rs)
		if done += n; err != nil {
			return done, err
		}
	}
	return done, nil
}

// UnderOnly reports whether all that a version's row refers to is of one generation of its
// bucket's keys, as it says itself. Opening it proves that.
func UnderOnly(v *meta.Version, generation uint32) bool {
	return v.Generation == generation && !Refers(v, func(g uint32) bool { return g != generation })
}

// Refers reports whether anything in a version's row is of a generation that is picked, as
// it says itself; also where it does not say.
func Refers(v *meta.Version, picks func(generation uint32) bool) bool {
	if len(v.ListRecord) > 0 {
		if g, err := encrypt.ListRecordGeneration(v.ListRecord); err != nil || picks(g) {
			return true
		}
	}
	if len(v.Marks) > 0 {
		if g, err := encrypt.MarksGeneration(v.Marks); err != nil || picks(g) {
			return true
		}
	}
	return len(v.WrappedKey) > 0 && encrypt.AnyWrapIs(v.WrappedKey, picks)
}

// renewUpload returns an upload's keys wrapped under another generation.
func (s *sealer) renewUpload(ctx context.Context, u *meta.Upload, to *encrypt.BucketKeys) ([]byte, error) {
	keys, err := s.buckets.KeysOf(ctx, u.Bucket, u.Generation)
	if err != nil {
		return nil, err
	}
	wrapped, err := keys.RewrapUploadKeys(to, u.WrappedKey, u.ID)
	if err != nil {
		return nil, internal("rewrap an upload's keys", err)
	}
	return wrapped, nil
}

// renewRow brings all that is sealed in a version's row under another generation of its
// bucket's keys, after the row was proven and change was made to it. It needs no
// customer's key. The manifest, and so every byte of the object, stays as it is.
// After an error v is of no use.
func (s *sealer) renewRow(v *meta.Version, from bucketKeys, to *encrypt.BucketKeys, change func()) error {
	r, err := s.openRowWith(v, from)
	if err != nil {
		return err
	}
	if err := s.renewWraps(v, from, to); err != nil {
		return s.damage.Row(v, err)
	}
	change()
	s.sealRow(to, v, r, meta.SealingWhole)
	return nil
}

// renewWraps is renewRow of what the list record does not hold. A delete marker has none of
// it.
func (s *sealer) renewWraps(v *meta.Version, from bucketKeys, to *encrypt.BucketKeys) error {
	if len(v.Marks) > 0 {
		generation, err := encrypt.MarksGeneration(v.Marks)
		if err != nil {
			return internal("read an object's marks", err)
		}
		keys, err := from(generation)
		if err != nil {
			return err
		}
		name := s.name(v.Bucket, v.Key, v.ID)
		plain, err := keys.OpenMarks(name, v.Marks)
		if err != nil {
			return internal("open an object's marks", err)
		}
		v.Marks = to.SealMarks(name, plain)
	}
	if v.Marker {
		return nil
	}
	keys, err := from(v.Generation)
	if err != nil {
		return err
	}
	if v.WrappedKey, err = keys.RewrapVersionKey(to, v.WrappedKey, v.ID, v.Body.Upload); err != nil {
		return internal("rewrap an object's key", err)
	}
	return nil
}
