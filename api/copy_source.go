package api

import (
	"net/url"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// parseCopySource takes apart x-amz-copy-source: [/]bucket/key[?versionId=id],
// percent-encoded once, with + for a space. The version is cut off before the
// rest is decoded, so that an encoded question mark stays part of the key.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
func parseCopySource(value string) (bucket, key string, err error) {
	path, version, versioned := strings.Cut(value, "?versionId=")
	if versioned {
		if err := checkVersion(version); err != nil {
			return "", "", err
		}
	}
	path, err = url.QueryUnescape(path)
	if err != nil {
		return "", "", badCopySource("Invalid copy source encoding", value)
	}
	path = strings.TrimPrefix(path, "/")
	if strings.HasPrefix(path, "arn:") {
		return "", "", s3err.New(s3err.NotImplemented, "Copy sources cannot be named by an ARN.")
	}
	bucket, key, _ = strings.Cut(path, "/")
	if bucket == "" {
		return "", "", badCopySource("Invalid copy source bucket name", value)
	}
	if key == "" {
		return "", "", badCopySource("Invalid copy source object key", value)
	}
	return bucket, key, checkTarget(Target{Bucket: bucket, Key: key})
}

func badCopySource(message, value string) error {
	return s3err.New(s3err.InvalidArgument, "%s", message).
		With("ArgumentName", "x-amz-copy-source").With("ArgumentValue", value)
}

// copySource is the object that a request copies from.
type copySource struct {
	bucket meta.Bucket
	key    string
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

func (r *Request) resolveSource() (s copySource, err error) {
	name, key, err := parseCopySource(r.Header("X-Amz-Copy-Source"))
	if err != nil {
		return s, err
	}
	s = copySource{bucket: r.Bucket, key: key}
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
	b, key, err := r.copySource()
	if err != nil {
		return nil, err
	}
	needs, err := writeNeeds(r)
	return append(needs, r.withObject(r.sourceNeed("s3:GetObject", b, key), b, meta.VersionRef{})), err
}

// checkVersion accepts the one version id that an unversioned bucket knows.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html
func checkVersion(id string) error {
	if id == "null" {
		return nil
	}
	return s3err.New(s3err.InvalidArgument, "Invalid version id specified").
		With("ArgumentName", "versionId").With("ArgumentValue", id)
}

// checkVersion refuses a request for a version that cannot exist. An empty
// versionId is refused like any other, as in S3.
func (r *Request) checkVersion() error {
	if !r.HasQuery("versionId") {
		return nil
	}
	if r.QueryValue("versionId") == "" {
		return s3err.New(s3err.InvalidArgument, "Version id cannot be the empty string").
			With("ArgumentName", "versionId").With("ArgumentValue", "")
	}
	return checkVersion(r.QueryValue("versionId"))
}
