package engine

import (
	"context"
	"errors"
	"io"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// maxCopyTries is how often a copy starts over because its source was replaced
// under it.
const maxCopyTries = 4

// CopyObject makes another object of the same bytes. No data moves, whatever
// the size: the body gets one more reference and the manifest is sealed anew.
// The bytes are read only where another checksum is asked for.
func (e *Engine) CopyObject(ctx context.Context, in CopyObject) (Object, error) {
	if err := checkKey(in.Key); err != nil {
		return Object{}, err
	}
	for range maxCopyTries {
		o, err := e.copyOnce(ctx, in)
		if !errors.Is(err, meta.ErrBodyGone) {
			return o, storeError(err)
		}
	}
	return Object{}, s3err.OperationAborted
}

func (e *Engine) copyOnce(ctx context.Context, in CopyObject) (Object, error) {
	src, err := e.source(ctx, in.SourceBucket, in.SourceKey, in.SourceConditions)
	if err != nil {
		return Object{}, err
	}
	m := *src.manifest
	if in.Replace {
		set := newManifest(&in.Attributes)
		set.Size, set.ETag, set.Checksum, set.Tags = m.Size, m.ETag, m.Checksum, m.Tags
		set.Inline, set.Extents, set.Parts = m.Inline, m.Extents, m.Parts
		m = *set
	} else {
		m.StorageClass, m.WebsiteRedirect = in.StorageClass, in.WebsiteRedirect
	}
	if err := e.recheck(ctx, &m, in.ChecksumAlgorithm); err != nil {
		return Object{}, err
	}
	v, err := e.sealVersion(ctx, in.Bucket, in.Key, in.Owner, &m, src.version.Body)
	if err != nil {
		return Object{}, err
	}
	share := v.Body.Kind != meta.BodyInline
	if err := e.commitVersion(ctx, in.Bucket, v, in.Conditions, share); err != nil {
		return Object{}, err
	}
	return describe(v, &m), nil
}

// source finds the object that is to be copied, as far as its conditions allow.
func (e *Engine) source(ctx context.Context, b meta.Bucket, key string, c Conditions) (*Reading, error) {
	r, err := e.HeadObject(ctx, GetObject{Bucket: b, Key: key})
	if err != nil {
		return nil, err
	}
	if err := c.checkCopySource(r.Object.ETag, r.Object.Modified); err != nil {
		return nil, err
	}
	return r, nil
}

// recheck gives a manifest a full-object checksum of another algorithm.
func (e *Engine) recheck(ctx context.Context, m *encrypt.Manifest, algorithm string) error {
	if algorithm == "" || m.Checksum != nil && m.Checksum.Algorithm == algorithm && m.Checksum.Type != Composite {
		return nil
	}
	src := e.newSource(ctx, m, 0, m.Size)
	defer src.Close()
	h := NewChecksumHash(algorithm)
	n, err := io.Copy(h, src)
	if err != nil {
		return err
	}
	if n != m.Size {
		return io.ErrUnexpectedEOF
	}
	m.Checksum = &encrypt.Checksum{Algorithm: algorithm, Type: FullObject, Value: h.Sum(nil)}
	return nil
}
