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
const maxConditionTries = 8

// sealVersion makes a version's row from its manifest, under a new object key.
func (e *Engine) sealVersion(ctx context.Context, b meta.Bucket, key string, owner meta.ID, m *encrypt.Manifest, body meta.Body) (meta.Version, error) {
	keys, err := e.bucketKeys(ctx, b.ID)
	if err != nil {
		return meta.Version{}, err
	}
	v := meta.Version{
		Bucket: b.ID, Key: key, ID: meta.NewID(), Owner: owner, Size: m.Size,
		Modified: e.now().UTC(), Generation: keys.Generation(), Body: body,
	}
	name := e.name(b.ID, key, v.ID)
	objectKey := encrypt.NewObjectKey()
	v.WrappedKey = keys.WrapKey(objectKey, v.ID, encrypt.PurposeVersion)
	if v.Manifest, err = encrypt.SealManifest(objectKey, encrypt.PurposeVersion, name, m); err != nil {
		return v, err
	}
	record := encrypt.ListRecord{ETag: m.ETag}
	if m.Checksum != nil {
		record.ChecksumAlgorithm, record.ChecksumType = m.Checksum.Algorithm, m.Checksum.Type
	}
	v.ListRecord = keys.SealListRecord(name, &record)
	return v, nil
}

func (e *Engine) name(bucket meta.ID, key string, version meta.ID) encrypt.Name {
	return encrypt.Name{Deployment: e.deployment, Bucket: bucket, Key: []byte(key), Version: version}
}

// openVersion opens a version's manifest and holds it against the row.
func (e *Engine) openVersion(ctx context.Context, v meta.Version) (*encrypt.Manifest, error) {
	keys, err := e.bucketKeysOf(ctx, v.Bucket, v.Generation)
	if err != nil {
		return nil, err
	}
	objectKey, err := keys.UnwrapKey(v.WrappedKey, v.ID, encrypt.PurposeVersion)
	if err != nil {
		return nil, internal("unwrap an object key", err)
	}
	m, err := encrypt.OpenManifest(objectKey, encrypt.PurposeVersion, e.name(v.Bucket, v.Key, v.ID), v.Manifest)
	if err != nil {
		return nil, internal("open a manifest", err)
	}
	if m.Size != v.Size {
		return nil, errors.New("the size in an object's row differs from its sealed manifest")
	}
	return m, nil
}

// expectation decides a conditional write on what the key holds now, and
// returns what the store must find unchanged at the commit.
func (e *Engine) expectation(ctx context.Context, b meta.Bucket, key string, c Conditions) (meta.Expect, error) {
	if !c.onWrite() {
		return meta.Expect{}, nil
	}
	v, err := e.store.Object(ctx, b.ID, key)
	if errors.Is(err, meta.ErrNotFound) {
		return meta.Expect{Kind: meta.ExpectAbsent}, c.checkWrite(key, "")
	} else if err != nil {
		return meta.Expect{}, storeError(err)
	}
	etag, err := e.etag(ctx, v)
	if err != nil {
		return meta.Expect{}, err
	}
	return meta.Expect{Kind: meta.ExpectVersion, Version: v.ID}, c.checkWrite(key, etag)
}

// etag opens a version's list record, which is cheaper than its manifest.
func (e *Engine) etag(ctx context.Context, v meta.Version) (string, error) {
	keys, err := e.bucketKeysOf(ctx, v.Bucket, v.Generation)
	if err != nil {
		return "", err
	}
	r, err := keys.OpenListRecord(e.name(v.Bucket, v.Key, v.ID), v.ListRecord)
	if err != nil {
		return "", internal("open a list record", err)
	}
	return r.ETag, nil
}

// commitVersion makes v current under the conditions. share is meta.Commit's.
func (e *Engine) commitVersion(ctx context.Context, b meta.Bucket, v meta.Version, c Conditions, share bool) error {
	return e.conditionally(ctx, b, v.Key, c, func(expect meta.Expect) error {
		err := e.store.CommitObject(ctx, meta.Commit{Version: v, Expect: expect, Share: share, Holder: e.holder})
		if errors.Is(err, meta.ErrUnknown) {
			return e.settle(ctx, v, share, err)
		}
		return err
	})
}

// conditionally runs a compare-and-swap until it was decided on what the key
// really held.
func (e *Engine) conditionally(ctx context.Context, b meta.Bucket, key string, c Conditions, swap func(meta.Expect) error) error {
	for range maxConditionTries {
		expect, err := e.expectation(ctx, b, key, c)
		if err != nil {
			return err
		}
		err = swap(expect)
		if expect.Kind == meta.ExpectAny || !errors.Is(err, meta.ErrConflict) {
			return err
		}
	}
	return s3err.ConditionalRequestConflict
}

// settle learns whether a commit whose answer was lost has happened: its
// version is current, or its reservation has become a live blob. Otherwise it
// stays unknown: a blob that is dead may have been committed and replaced since,
// or condemned before, and one that the version shares was live all along.
func (e *Engine) settle(ctx context.Context, v meta.Version, share bool, unknown error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	now, err := e.store.Object(ctx, v.Bucket, v.Key)
	if err == nil && now.ID == v.ID {
		return nil
	}
	if err != nil && !errors.Is(err, meta.ErrNotFound) {
		return errors.Join(unknown, err)
	}
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
	case blob.State == meta.BlobReserved:
		return s3err.Wrap(s3err.ServiceUnavailable, unknown) // it did not happen
	}
	return unknown
}
