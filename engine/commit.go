package engine

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// maxConditionTries is how often a conditional write is decided anew because
// the key changed between decision and commit.
// Each try means that somebody else wrote the key. A client that loses eight times gets a 409
// and repeats the request, as on S3.
const maxConditionTries = 8

// expectation decides a conditional write on what the key holds now, and
// returns what the store must find unchanged at the commit. A write on no other
// condition than that what was judged is still there goes by that the first time.
func (e *Engine) expectation(ctx context.Context, b meta.Bucket, key string, c Conditions) (meta.Expect, error) {
	switch {
	case c.Judged == nil && !c.onWrite():
		return meta.Expect{}, nil
	// The row that access was decided on is expected as it was, without another look at the
	// store. If it has changed, the commit fails, and the second turn decides anew.
	case !c.onWrite() && c.Judged.first():
		return c.Judged.expect(), nil
	}
	v, err := e.store.Object(ctx, b.ID, key)
	if errors.Is(err, meta.ErrNotFound) {
		if err := e.mayWrite(ctx, b, key, nil, c); err != nil {
			return meta.Expect{}, err
		}
		return meta.Expect{Kind: meta.ExpectAbsent}, c.checkWrite(key, "")
	} else if err != nil {
		return meta.Expect{}, meta.Coded(err)
	}
	etag, err := e.etag(ctx, v)
	if err != nil {
		return meta.Expect{}, err
	}
	// Permission comes before the conditions: the answer to If-Match would tell a sender
	// without permission the ETag of what is there.
	if err := e.mayWrite(ctx, b, key, &v, c); err != nil {
		return meta.Expect{}, err
	}
	return c.expectOf(&v), c.checkWrite(key, etag)
}

// precheck decides the conditions of a write before its body is taken.
// The answer holds for that moment alone. The commit decides again, because the body takes time;
// this one only saves the client a transfer that could not succeed.
func (e *Engine) precheck(ctx context.Context, b meta.Bucket, key string, c Conditions) error {
	if !c.onWrite() {
		return nil
	}
	_, err := e.expectation(ctx, b, key, c)
	return err
}

// mayWrite decides anew whether what a key holds, nil where that is nothing, may be
// replaced.
// The right to write is asked first and the owner of what is there second, so that a sender
// without the right learns nothing of the owner.
func (e *Engine) mayWrite(ctx context.Context, b meta.Bucket, key string, v *meta.Version, c Conditions) error {
	held := &Found{}
	if v != nil {
		held.version = *v
	}
	if err := c.Judged.permits(held); err != nil {
		return err
	}
	return e.mayReplace(ctx, b, key, v, c.Replaces)
}

// expectOf is what the store must find, which is v.
// With Judged the revision counts too: a right that rests on a tag is void when the tag changes,
// which makes no new version.
func (c Conditions) expectOf(v *meta.Version) meta.Expect {
	if c.Judged != nil {
		return meta.Expect{Kind: meta.ExpectRow, Version: v.ID, Revision: v.Revision}
	}
	return meta.Expect{Kind: meta.ExpectVersion, Version: v.ID}
}

// etag opens a version's list record, which is cheaper than its manifest.
// The row is proven by it. The caller may rest a condition on the answer.
func (s *sealer) etag(ctx context.Context, v meta.Version) (string, error) {
	r, err := s.openRow(ctx, &v)
	if err != nil {
		return "", err
	}
	return r.ETag, nil
}

// commitOptions are those of a commit that has any; the zero value is of a version whose
// body is its own.
type commitOptions struct {
	share  bool           // the body is another version's, too
	at     meta.BackendID // where its only blob has to be still; zero: anywhere
	vacant bool           // see PutObject.Vacant
}

// It takes a body that is reserved, shared or inline. After an error that is not ErrUnknown
// nothing was changed, and the caller gives the body up.
// commitVersion makes v current under the conditions. Where the bucket's versioning has
// changed, b and v are brought up to date.
func (e *Engine) commitVersion(ctx context.Context, b *meta.Bucket, v *meta.Version, c Conditions, o commitOptions) error {
	old, err := e.displacedIn(ctx, *b)
	if err != nil {
		return err
	}
	defer old.report()
	return e.versioned(ctx, b, v, meta.Usage{}, func() error {
		if err := old.follow(ctx, *b); err != nil {
			return err
		}
		return e.conditionally(ctx, *b, v.Key, c, func(expect meta.Expect) error {
			err := e.store.CommitObject(ctx, meta.Commit{
				Version: *v, Expect: expect, Versioning: b.Versioning, Share: o.share, At: o.at, Vacant: o.vacant, Holder: e.blobs.Holder(),
				Newest: b.Generation, Prove: old.proves,
			})
			// Settled within the loop, so that a commit that did happen is neither repeated nor
			// taken for a conflict with itself.
			if errors.Is(err, meta.ErrUnknown) {
				return e.settle(ctx, *b, *v, o.share, err)
			}
			return err
		})
	})
}

// versioned runs a commit of v until it was tried under the versioning that the
// bucket really has, and under the newest generation of its keys. frees is usage below zero, of the rows that the commit replaces. A version
// that the quotas have no room for is not committed: ingest asked before the body, and others
// may have filled them since.
// The number of turns is that of a meta.Contest: somebody would have to switch the versioning of
// the bucket, or rotate its keys, for each.
func (e *Engine) versioned(ctx context.Context, b *meta.Bucket, v *meta.Version, frees meta.Usage, commit func() error) error {
	end, err := e.buckets.Claim(ctx, *b, frees.Plus(meta.Usage{Bytes: v.Size, Versions: 1}))
	if err != nil {
		return err
	}
	err = e.inVersioning(ctx, b, v, commit)
	end(err == nil)
	return err
}

// inVersioning is versioned without a look at the quotas.
func (e *Engine) inVersioning(ctx context.Context, b *meta.Bucket, v *meta.Version, commit func() error) error {
	// The row is not stored yet, so the generation that it was sealed under may be destroyed
	// while the commit waits.
	sealed, err := e.buckets.AllKeys(ctx, meta.Bucket{ID: b.ID, Generation: v.Generation})
	if err != nil {
		return err
	}
	for c := (meta.Contest{}); ; {
		err := commit()
		if !errors.Is(err, meta.ErrVersioning) {
			return err
		}
		if err := c.Again(ctx); err != nil {
			return meta.Coded(err)
		}
		now, err := e.buckets.Reread(ctx, *b)
		if err != nil {
			return err
		}
		*b = now
		// Only the list record covers the null flag. The manifest and the blob are sealed to
		// the version's id, and stay as they are.
		if null := now.Versioning != meta.VersioningEnabled; null != v.Null {
			if err := e.resealRow(v, sealed, meta.SealingLegacy, func() { v.Null = null }); err != nil {
				return err
			}
		}
		if now.Generation != v.Generation {
			keys, err := e.buckets.Keys(ctx, now)
			if err != nil {
				return err
			}
			if err := e.renewRow(v, sealed, keys, func() {}); err != nil {
				return err
			}
			sealed = func(uint32) (*encrypt.BucketKeys, error) { return keys, nil } // nothing in the row is of another
		}
	}
}

// conditionally runs a compare-and-swap until it was decided on what the key
// really held.
// The error after the last try is ConditionalRequestConflict, a 409.
func (e *Engine) conditionally(ctx context.Context, b meta.Bucket, key string, c Conditions, swap func(meta.Expect) error) error {
	for range maxConditionTries {
		expect, err := e.expectation(ctx, b, key, c)
		if err != nil {
			return err
		}
		err = swap(expect)
		// Without an expectation there is nothing to decide anew.
		if expect.Kind == meta.ExpectAny || !errors.Is(err, meta.ErrConflict) {
			return err
		}
	}
	return s3err.ConditionalRequestConflict
}

// settle learns whether a commit whose answer was lost has happened: its
// version is there, or its reservation has become a live blob. Otherwise it
// stays unknown: a blob that is dead may have been committed and replaced since,
// or condemned before, and one that the version shares was live all along.
func (e *Engine) settle(ctx context.Context, b meta.Bucket, v meta.Version, share bool, unknown error) error {
	// The client may have gone, and the question must be answered all the same: whether the
	// blob is released depends on it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	now, err := e.versionOf(ctx, b, v.Key, v.Ref())
	if err == nil && now.ID == v.ID {
		return nil
	}
	if err != nil && !errors.Is(err, meta.ErrNotFound) {
		return errors.Join(unknown, err)
	}
	// Of a shared or inline body no blob of this call's own says what happened.
	if v.Body.Kind != meta.BodyBlob || share {
		return unknown
	}
	blob, err := e.store.Blob(ctx, v.Body.Blob)
	switch {
	case errors.Is(err, meta.ErrNotFound):
		return unknown
	case err != nil:
		return errors.Join(unknown, err)
	case blob.State == meta.BlobLive:
		return nil // committed, and copied before it was replaced
	// A commit ends the reservation in its transaction, so while the blob is reserved the
	// commit has not happened. If it is still under way, it fails once the caller has released
	// the reservation.
	case blob.State == meta.BlobReserved:
		if blob.Holder != e.blobs.Holder() { // this process was taken for dead
			e.blobs.Suspect()
		}
		return s3err.Wrap(s3err.ServiceUnavailable, unknown) // it did not happen
	}
	return unknown
}
