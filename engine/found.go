package engine

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/meta"
)

// Found is what a key, or a version of it that was named, held when somebody looked: a
// version or nothing. A decision about it holds for that row alone; so those who act
// on the decision are handed the Found, and do not look again. It is for one
// goroutine.
type Found struct {
	version meta.Version    // zero: there was none
	ref     meta.VersionRef // zero: the current one was looked for
	marks   *Marks          // nil until they were opened
}

// Permit decides again about a version that is not the one which was decided about,
// because that was replaced or changed meanwhile. Its error ends what asked for it.
type Permit func(*Found) error

// Find finds a bucket, as Bucket does, and with the same look what a key of it holds. A
// version that is named and is not the current one takes a second look.
// Errors: NoSuchBucket. That the key holds nothing is none.
func (e *Engine) Find(ctx context.Context, bucket, key string, ref meta.VersionRef) (meta.Bucket, *Found, error) {
	b, v, err := e.store.Find(ctx, bucket, key)
	if errors.Is(err, meta.ErrNoBucket) {
		return b, nil, buckets.NoSuch(bucket)
	} else if err != nil {
		return b, nil, meta.Coded(err)
	}
	if err := e.buckets.Prove(&b); err != nil {
		return b, nil, err
	}
	// The version's row is not proved here, but where something rests on it: in marksOf and
	// openVersion.
	if ref.IsZero() || !v.ID.IsZero() && v.Ref() == ref {
		return b, &Found{version: v, ref: ref}, nil
	}
	f, err := e.Look(ctx, b, key, ref)
	return b, f, err
}

// Vacant returns the bucket, and whether the key is without an object, for
// PutObject.Vacant. Errors: NoSuchBucket.
// It serves requests whose rights do not depend on what the key holds, and saves them reading a
// row.
func (e *Engine) Vacant(ctx context.Context, bucket, key string) (meta.Bucket, bool, error) {
	b, vacant, err := e.store.Vacant(ctx, bucket, key)
	if errors.Is(err, meta.ErrNoBucket) {
		return b, false, buckets.NoSuch(bucket)
	}
	if err == nil {
		err = e.buckets.Prove(&b)
	}
	return b, vacant, meta.Coded(err)
}

// Look finds what a key of a bucket holds, or a version of it. That there is none is no
// error.
func (e *Engine) Look(ctx context.Context, b meta.Bucket, key string, ref meta.VersionRef) (*Found, error) {
	v, err := e.versionOf(ctx, b, key, ref)
	if errors.Is(err, meta.ErrNotFound) {
		return &Found{ref: ref}, nil
	} else if err != nil {
		return nil, meta.Coded(err)
	}
	return &Found{version: v, ref: ref}, nil
}

// row is the version that was found; ErrNotFound where there was none.
func (f *Found) row() (meta.Version, error) {
	if f.version.ID.IsZero() {
		return meta.Version{}, meta.ErrNotFound
	}
	return f.version, nil
}

// Absent reports that there was nothing, or a delete marker that nobody named.
func (f *Found) Absent() bool { return f.version.ID.IsZero() }

// Owner is the tenant that owns what was found; zero where there was nothing.
func (f *Found) Owner() meta.ID { return f.version.Owner }

// NeedsKMS reports whether what was found was asked for as SSE-KMS.
func (f *Found) NeedsKMS() bool { return f.version.Encryption == meta.EncryptionKMS }

// Subject is a version of a key that a request is about.
type Subject struct {
	Bucket  meta.Bucket
	Key     string
	Version meta.VersionRef // zero: the current one
	// Found is what the sender's rights were decided on; nil: it is looked up, and they
	// do not depend on it.
	Found *Found
	// Permit decides again about any other; nil: the rights do not depend on it.
	Permit Permit
}

// seen is what was found of the subject, or is found now.
func (e *Engine) seen(ctx context.Context, s *Subject) (*Found, error) {
	if s.Found != nil {
		return s.Found, nil
	}
	return e.lookAgain(ctx, s)
}

// lookAgain is what is found of the subject now, for something else was before.
func (e *Engine) lookAgain(ctx context.Context, s *Subject) (*Found, error) {
	f, err := e.Look(ctx, s.Bucket, s.Key, s.Version)
	if err == nil && s.Permit != nil {
		err = s.Permit(f)
	}
	return f, err
}

// marksOf opens the marks of what was found, once.
// A Found that was handed on from the decision about access has them opened already.
func (e *Engine) marksOf(ctx context.Context, f *Found) (Marks, error) {
	if f.marks == nil {
		m, err := e.OpenMarks(ctx, f.version)
		if err != nil {
			return m, err
		}
		f.marks = &m
	}
	return *f.marks, nil
}
