package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"regexp"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// nullVersion is what clients call the version that was written while versioning
// was not enabled.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
const nullVersion = "null"

// foreignVersion is the shape of version ids that other S3 servers give. A client
// that was moved here may still ask for one: there is no such version, which is
// not the same as a request that makes no sense.
var foreignVersion = regexp.MustCompile(`^[A-Za-z0-9._-]{26,64}$`)

// ParseVersion reads a version id as clients have it: what meta.VersionRef.String
// wrote, or one of another S3 server, which becomes the name of no version.
// InvalidArgument for anything else; the zero ref is never returned without an
// error, for it would name another version.
func ParseVersion(s string) (meta.VersionRef, error) {
	if s == nullVersion {
		return meta.VersionRef{Null: true}, nil
	}
	id, err := meta.ParseID(s)
	if err != nil && foreignVersion.MatchString(s) {
		sum := sha256.Sum256([]byte("sanctum foreign version id\x00" + s))
		return meta.VersionRef{ID: meta.ID(sum[:16])}, nil
	}
	if err != nil || id.IsZero() {
		return meta.VersionRef{}, s3err.New(s3err.InvalidArgument, "Invalid version id specified").
			With("ArgumentName", "versionId").With("ArgumentValue", s)
	}
	return meta.VersionRef{ID: id}, nil
}

func noSuchVersion(key string, ref meta.VersionRef) error {
	return s3err.New(s3err.NoSuchVersion, "").With("Key", key).With("VersionId", ref.String())
}

// shown is how answers name a version: not at all where no client has asked for
// versions.
func shown(b meta.Bucket, v meta.Version) meta.VersionRef {
	if b.Versioning == meta.VersioningOff {
		return meta.VersionRef{}
	}
	return v.Ref()
}

// versionOf finds a version of a key, noncurrent ones included; ErrNotFound. The
// zero ref finds what the key holds.
// In a bucket that was never versioned no id is asked for: answers never gave one.
func (e *Engine) versionOf(ctx context.Context, b meta.Bucket, key string, ref meta.VersionRef) (meta.Version, error) {
	switch {
	case ref.IsZero(), ref.Null && b.Versioning == meta.VersioningOff: // there is no other than the null version
		return e.store.Object(ctx, b.ID, key)
	case b.Versioning == meta.VersioningOff:
		return meta.Version{}, meta.ErrNotFound
	}
	return e.named(ctx, b.ID, key, ref)
}

// named finds the version with that name, and no other.
// A store that was edited may have the row of one version under the name of another. Nothing is
// decided on such a row.
func (e *Engine) named(ctx context.Context, bucket meta.ID, key string, ref meta.VersionRef) (meta.Version, error) {
	v, err := e.store.Version(ctx, bucket, key, ref)
	if err == nil && v.Ref() != ref {
		return meta.Version{}, e.damage.Row(&meta.Version{Bucket: bucket, Key: key, ID: v.ID}, ErrOtherVersion)
	}
	return v, err
}

// versionByID finds the version with the id, whatever clients call it; ErrNotFound.
// The null version is asked for by name at last, because clients and the store call it null and
// not by its id.
func (e *Engine) versionByID(ctx context.Context, bucket meta.ID, key string, id meta.ID) (meta.Version, error) {
	v, err := e.store.Object(ctx, bucket, key) // mostly
	for _, ref := range []meta.VersionRef{{ID: id}, {Null: true}} {
		if err == nil && v.ID == id || err != nil && !errors.Is(err, meta.ErrNotFound) {
			return v, err
		}
		v, err = e.named(ctx, bucket, key, ref)
	}
	if err == nil && v.ID != id {
		err = meta.ErrNotFound
	}
	return v, err
}
