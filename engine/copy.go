package engine

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// errCopyTooLarge: more than one request may copy.
var errCopyTooLarge = s3err.New(s3err.InvalidRequest, "The specified copy source is larger than the maximum allowable size for a copy source: %d", int64(MaxBodySize))

// CopyObject makes another object of the same bytes. No data moves, whatever
// the size: the body gets one more reference and the manifest is sealed anew.
// A body of which this gateway has met that a blob is missing is not copied.
// The bytes are read only where a checksum of them is needed that is not known
// (see recheck), and where they are at a backend that does not satisfy the
// destination bucket, or not padded as that bucket wants it: then, up to MaxBodySize,
// they are sealed anew.
func (e *Engine) CopyObject(ctx context.Context, in CopyObject) (Object, error) {
	if err := meta.CheckKey(in.Key); err != nil {
		return Object{}, err
	}
	if err := e.CheckClass(in.Bucket, in.StorageClass); err != nil {
		return Object{}, err
	}
	for c := (meta.Contest{}); ; { // until the source is not replaced under it
		o, err := e.copyOnce(ctx, in)
		if !errors.Is(err, meta.ErrBodyGone) {
			return o, meta.Coded(err)
		}
		if err := c.Again(ctx); err != nil {
			return Object{}, meta.Coded(err)
		}
		at := Subject{Bucket: in.SourceBucket, Key: in.SourceKey, Version: in.SourceVersion, Permit: in.SourcePermit}
		if in.SourceFound, err = e.lookAgain(ctx, &at); err != nil {
			return Object{}, err
		}
	}
}

// meta.ErrBodyGone: the source was replaced and its body given up between the look and the commit,
// or its blob was moved from where it has to be.
func (e *Engine) copyOnce(ctx context.Context, in CopyObject) (Object, error) {
	src, err := e.source(ctx, GetObject{Bucket: in.SourceBucket, Key: in.SourceKey, Version: in.SourceVersion, Found: in.SourceFound, Customer: in.SourceCustomer}, in.SourceConditions)
	if err != nil {
		return Object{}, err
	}
	m := *src.manifest
	// Of the version that is read here and not of an earlier look: tags and bytes are of one
	// version.
	if in.KeepTags {
		in.Marks.Tags = src.Object.Marks.Tags
	}
	// Class and redirect are those of the request in both cases. S3 copies neither with the
	// metadata.
	if in.Replace {
		m.Attributes = in.Attributes
	} else {
		m.StorageClass, m.WebsiteRedirect = in.StorageClass, in.WebsiteRedirect
	}
	// Decided before anything is sealed: a copy that may not share takes quite another way.
	share, at, err := e.mayShareAll(ctx, &in.SourceBucket, &in.Bucket, &m)
	if err == nil && share {
		share, err = e.isPaddedFor(ctx, &in.Bucket, &src.version, &m)
	}
	if err != nil {
		return Object{}, err
	}
	if !share {
		return e.copyBytes(ctx, in, src, &m)
	}
	// A copy that shares lost bytes would look like a backup of them.
	if err := e.damage.RefuseLost(ctx, &src.version); err != nil {
		return Object{}, err
	}
	if err := e.recheck(ctx, &src.version, &m, in.ChecksumAlgorithm); err != nil {
		return Object{}, err
	}
	if in.Customer != nil {
		m.ETag = opaqueETag()
	}
	ctx, how, sealed, err := e.sealing.As(ctx)
	if err != nil {
		return Object{}, err
	}
	defer sealed()
	v, err := e.sealVersion(ctx, draft{
		how: how, bucket: in.Bucket, key: in.Key, owner: in.Owner, manifest: &m, body: src.version.Body, marks: in.Marks, encryption: in.Encryption, customer: in.Customer,
	})
	if err != nil {
		return Object{}, err
	}
	o := commitOptions{share: v.Body.Kind != meta.BodyInline}
	if v.Body.Kind == meta.BodyBlob && len(at) == 1 {
		o.at = at[0]
	}
	if err := e.commitVersion(ctx, &in.Bucket, &v, in.Conditions, o); err != nil {
		return Object{}, err
	}
	made := describe(in.Bucket, v, &m, in.Marks)
	made.CopiedFrom = src.Object.Version
	return made, nil
}

// copyBytes seals the source's bytes anew for the destination's backend. A source that had
// parts becomes an object of one piece, with a checksum and an ETag of that. It is for a
// bucket whose demands the place of the source does not meet, for one that pads where the
// source is not padded, and for a class that names another backend. The client sees an
// object as from a PUT.
func (e *Engine) copyBytes(ctx context.Context, in CopyObject, src *Reading, m *encrypt.Manifest) (Object, error) {
	if src.Length > MaxBodySize {
		return Object{}, errCopyTooLarge
	}
	algorithm := in.ChecksumAlgorithm
	if algorithm == "" && m.Checksum != nil {
		algorithm = m.Checksum.Algorithm
	}
	// A condition that fails already must not cost the copy.
	if err := e.precheck(ctx, in.Bucket, in.Key, in.Conditions); err != nil {
		return Object{}, err
	}
	defer src.Close()
	if err := e.open(ctx, src); err != nil {
		return Object{}, err
	}
	s, err := e.ingest(ctx, in.Bucket, &Body{Reader: src, Size: src.Length, ChecksumAlgorithm: algorithm},
		intake{class: m.StorageClass, entry: meta.Usage{Versions: 1}})
	if err != nil {
		return Object{}, err
	}
	m.ETag, m.Checksum = hex.EncodeToString(s.md5[:]), s.checksum
	if in.Customer != nil {
		m.ETag = opaqueETag()
	}
	m.Inline, m.Parts, m.Extents = nil, nil, s.extents()
	ctx, how, sealed, err := e.sealing.As(ctx)
	if err != nil {
		e.giveUp(ctx, s, err)
		return Object{}, err
	}
	defer sealed()
	v, err := e.sealVersion(ctx, draft{
		how: how, bucket: in.Bucket, key: in.Key, owner: in.Owner, manifest: m, body: s.body(), marks: in.Marks, encryption: in.Encryption, customer: in.Customer,
	})
	if err == nil {
		err = e.commitVersion(ctx, &in.Bucket, &v, in.Conditions, commitOptions{})
	}
	if err != nil {
		e.giveUp(ctx, s, err)
		return Object{}, err
	}
	o := describe(in.Bucket, v, m, in.Marks)
	o.CopiedFrom = src.Object.Version
	return o, nil
}

// source finds the object that is to be copied, as far as its conditions allow.
// The conditions are those of the copy's source, for which a delete marker is an error of the
// request and not an object that is absent.
func (e *Engine) source(ctx context.Context, in GetObject, c Conditions) (*Reading, error) {
	r, err := e.HeadObject(ctx, in)
	if errors.Is(err, s3err.MethodNotAllowed) {
		return nil, s3err.New(s3err.InvalidRequest, "The source of a copy request may not specifically refer to a delete marker by version id.")
	} else if err != nil {
		return nil, err
	}
	if err := c.checkCopySource(r.Object.ETag, r.Object.Modified); err != nil {
		return nil, err
	}
	return r, nil
}
