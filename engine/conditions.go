package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

func (c Conditions) onWrite() bool {
	return c.IfMatch != "" || c.IfNoneMatch != "" || c.Replaces != nil
}

// mayReplace refuses to take the place of another tenant's object: of v, which is
// current, nil where there is none, and of the null version, which a write to a bucket
// with suspended versioning replaces even if it is not current.
func (e *Engine) mayReplace(ctx context.Context, b meta.Bucket, key string, v *meta.Version, owner *meta.ID) error {
	if owner == nil {
		return nil
	}
	// A delete marker belongs to nobody in this sense: it holds no data that could be lost.
	foreign := func(v *meta.Version) bool { return !v.Marker && (owner.IsZero() || v.Owner != *owner) }
	if v != nil && foreign(v) {
		return errNotReplaced
	}
	if b.Versioning != meta.VersioningSuspended {
		return nil
	}
	null, err := e.named(ctx, b.ID, key, meta.VersionRef{Null: true})
	if errors.Is(err, meta.ErrNotFound) {
		return nil
	} else if err != nil {
		return meta.Coded(err)
	}
	// The owner in the row decides, so the row is proved first.
	if _, err := e.openRow(ctx, &null); err != nil {
		return err
	}
	if foreign(&null) {
		return errNotReplaced
	}
	return nil
}

// errNotReplaced is the same for every object that exists, independent of its owner.
var errNotReplaced = s3err.Wrap(s3err.AccessDenied, errors.New("the key holds another tenant's object"))

// MayReplace decides now what Conditions.Replaces decides at the commit: AccessDenied
// where the key holds an object of another tenant than owner.
func (e *Engine) MayReplace(ctx context.Context, b meta.Bucket, key string, owner meta.ID) error {
	_, err := e.expectation(ctx, b, key, Conditions{Replaces: &owner})
	return err
}

// checkRead decides a read as RFC 9110, section 13.2.2 orders it: If-Match
// before If-Unmodified-Since, If-None-Match before If-Modified-Since, and the
// time conditions only where no tag condition is present.
func (c Conditions) checkRead(etag string, modified time.Time) error {
	modified = modified.Truncate(time.Second) // HTTP dates have no more
	switch {
	case c.IfMatch != "":
		if !matchTags(c.IfMatch, etag) {
			return preconditionFailed("If-Match")
		}
	case !c.IfUnmodifiedSince.IsZero():
		if modified.After(c.IfUnmodifiedSince) {
			return preconditionFailed("If-Unmodified-Since")
		}
	}
	switch {
	case c.IfNoneMatch != "":
		if matchTags(c.IfNoneMatch, etag) {
			return s3err.NotModified
		}
	case !c.IfModifiedSince.IsZero():
		if !modified.After(c.IfModifiedSince) {
			return s3err.NotModified
		}
	}
	return nil
}

// checkCopySource is checkRead for the x-amz-copy-source-if-* headers, where
// every failure is a 412.
func (c Conditions) checkCopySource(etag string, modified time.Time) error {
	err := c.checkRead(etag, modified)
	if errors.Is(err, s3err.NotModified) {
		return preconditionFailed("x-amz-copy-source-If-None-Match or x-amz-copy-source-If-Modified-Since")
	}
	return err
}

// checkRename decides one end of a rename, where every failure is a 412, as checkRead
// orders the conditions; etag is empty when the key holds nothing, which matches no
// entity tag and was not modified.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_RenameObject.html
func (c Conditions) checkRename(etag string, modified time.Time) error {
	switch {
	case etag == "" && c.IfMatch != "":
		return preconditionFailed("If-Match")
	case etag == "" && c.IfNoneMatch == "" && !c.IfModifiedSince.IsZero():
		return preconditionFailed("If-Modified-Since")
	case etag == "":
		return nil
	}
	err := c.checkRead(etag, modified)
	switch {
	case !errors.Is(err, s3err.NotModified):
		return err
	case c.IfNoneMatch != "":
		return preconditionFailed("If-None-Match")
	}
	return preconditionFailed("If-Modified-Since")
}

// checkWrite decides a write; etag is empty when the key holds nothing.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (c Conditions) checkWrite(key, etag string) error {
	exists := etag != ""
	if c.IfMatch != "" {
		if !exists {
			return noSuchKey(key)
		}
		if !matchTags(c.IfMatch, etag) {
			return preconditionFailed("If-Match")
		}
	}
	if c.IfNoneMatch != "" && exists && matchTags(c.IfNoneMatch, etag) {
		return preconditionFailed("If-None-Match")
	}
	return nil
}

func preconditionFailed(condition string) error {
	return s3err.New(s3err.PreconditionFailed, "").With("Condition", condition)
}

// It is the answer for a delete marker that nobody named, too.
func noSuchKey(key string) error {
	return s3err.New(s3err.NoSuchKey, "").With("Key", key)
}

// matchTags reports whether a header's list of entity tags, or *, names etag.
// Quotes are optional, as S3 has it, and weak tags match their strong form.
// Commas within an entity tag are not provided for: the gateway makes none, so no list that names
// an object has one.
func matchTags(list, etag string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || strings.Trim(tag, `"`) == etag {
			return true
		}
	}
	return false
}
