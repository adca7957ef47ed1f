package api

import (
	"net/url"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// parseCopySource takes apart x-amz-copy-source: [/]bucket/key[?versionId=id],
// percent-encoded once, with + for a space. The version is cut off before the
// rest is decoded, so that an encoded question mark stays part of the key.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
func parseCopySource(value string) (bucket, key string, version meta.VersionRef, err error) {
	path, id, versioned := strings.Cut(value, "?versionId=")
	if versioned {
		if version, err = parseVersion(id); err != nil {
			return "", "", version, err
		}
	}
	path, err = url.QueryUnescape(path)
	if err != nil {
		return "", "", version, badCopySource("Invalid copy source encoding", value)
	}
	path = strings.TrimPrefix(path, "/")
	if strings.HasPrefix(path, "arn:") {
		return "", "", version, s3err.New(s3err.NotImplemented, "Copy sources cannot be named by an ARN.")
	}
	bucket, key, _ = strings.Cut(path, "/")
	if engine.CheckBucketName(bucket) != nil {
		return "", "", version, badCopySource("Invalid copy source bucket name", value)
	}
	if key == "" {
		return "", "", version, badCopySource("Invalid copy source object key", key)
	}
	return bucket, key, version, CheckKey(key)
}

func badCopySource(message, value string) error {
	return s3err.New(s3err.InvalidArgument, "%s", message).
		With("ArgumentName", "x-amz-copy-source").With("ArgumentValue", value)
}

// copySource is the object that a request copies from.
type copySource struct {
	bucket  meta.Bucket
	key     string
	version meta.VersionRef // zero: the current one
}

// copySource finds the object that the request copies from: its bucket, which
// must exist and belong to whom the client expects, and its key. It is resolved
// once, so that what is read is what was authorized, even if the bucket is
// deleted and its name taken by somebody else in between.
func (r *Request) copySource() (meta.Bucket, string, error) {
	if r.source == nil {
		s, err := r.resolveSource()
		if err != nil {
			return meta.Bucket{}, "", err
		}
		r.source = &s
	}
	return r.source.bucket, r.source.key, nil
}

// sourceVersion is the version that is copied from, after copySource found it.
func (r *Request) sourceVersion() meta.VersionRef { return r.source.version }

func (r *Request) resolveSource() (s copySource, err error) {
	name, key, version, err := parseCopySource(r.Header("X-Amz-Copy-Source"))
	if err != nil {
		return s, err
	}
	s = copySource{bucket: r.Bucket, key: key, version: version}
	if name != r.Target.Bucket {
		if s.bucket, err = r.server.engine.Bucket(r.Context(), name); err != nil {
			return s, err
		}
	}
	return s, r.expectOwner("X-Amz-Source-Expected-Bucket-Owner", s.bucket)
}

// copyNeeds asks for both ends of a copy: to read the source and to write the
// target.
func copyNeeds(r *Request) ([]access.Need, error) {
	if r.Principal.Kind == access.Nobody {
		return nil, s3err.New(s3err.AccessDenied, "Anonymous users cannot copy objects. Please authenticate.")
	}
	needs, err := writeNeeds(r)
	if err != nil || !r.decide(needs...).Allow {
		return needs, err // who may not write learns nothing of the source
	}
	if r.HasQuery("partNumber") {
		if _, err := r.partNumber(); err != nil {
			return nil, err
		}
	}
	b, key, err := r.copySource()
	if err != nil {
		return nil, err
	}
	action := "s3:GetObject"
	if !r.sourceVersion().IsZero() {
		action = "s3:GetObjectVersion"
	}
	return append(needs, r.withObject(r.sourceNeed(action, b, key), b, r.sourceVersion())), nil
}
