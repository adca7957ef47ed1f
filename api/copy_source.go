package api

import (
	"net/url"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// copySourceHeader makes a PUT a copy.
const copySourceHeader = "X-Amz-Copy-Source"

// sourceName is the decoded value of x-amz-copy-source.
type sourceName struct {
	bucket, key string
	version     said[meta.VersionRef]
}

// String is the source without its version, in the form of the condition key
// s3:x-amz-copy-source: bucket/key.
func (n sourceName) String() string { return n.bucket + "/" + n.key }

// parseCopySource parses x-amz-copy-source: [/]bucket/key[?versionId=id],
// percent-encoded once, with + for a space. The version is cut off before the
// rest is decoded, so that an encoded question mark stays part of the key.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
func parseCopySource(value string) (n sourceName, err error) {
	path, id, versioned := strings.Cut(value, "?versionId=")
	if versioned {
		if n.version = saying(parseVersion(id)); n.version.err != nil {
			return n, n.version.err
		}
	}
	path, err = url.QueryUnescape(path)
	if err != nil {
		return n, badCopySource("Invalid copy source encoding", value)
	}
	path = strings.TrimPrefix(path, "/")
	if strings.HasPrefix(path, "arn:") {
		return n, s3err.New(s3err.NotImplemented, "Copy sources cannot be given as an ARN; use bucket/key.")
	}
	n.bucket, n.key, _ = strings.Cut(path, "/")
	if buckets.CheckName(n.bucket) != nil {
		return n, badCopySource("Invalid copy source bucket name", value)
	}
	if n.key == "" {
		return n, badCopySource("Invalid copy source object key", n.key)
	}
	return n, CheckKey(n.key)
}

func badCopySource(message, value string) error {
	return s3err.New(s3err.InvalidArgument, "%s", message).
		With("ArgumentName", "x-amz-copy-source").With("ArgumentValue", value)
}

// findSource looks up the object that the request copies from. Its bucket must
// exist and have the owner that the client expects. It is looked up once, so
// that the object that is read is the one that was authorized, even if
// meanwhile the object is replaced, or the bucket is deleted and its name taken
// by somebody else.
func (r *Request) findSource() error {
	if r.source != nil {
		return nil
	}
	name, err := r.asked.source.get()
	if err != nil {
		return err
	}
	o := &object{bucket: r.Bucket, key: name.key, version: name.version}
	if name.bucket != r.Target.Bucket {
		if o.bucket, err = r.server.engine.Buckets().Get(r.Context(), name.bucket); err != nil {
			return err
		}
	}
	if err := r.expectOwner("X-Amz-Source-Expected-Bucket-Owner", o.bucket); err != nil {
		return err
	}
	if _, err := r.look(o); err != nil {
		return err
	}
	r.source = o
	return nil
}

// permitSource decides again when the engine finds another source than the one
// decided on.
func (r *Request) permitSource(f *engine.Found) error {
	r.source.found = f
	return r.authorizeAgain()
}

// keptTags are the condition keys of tags that a copy may keep from its source.
var keptTags = map[string]bool{"s3:requestobjecttag/": true, "s3:requestobjecttagkeys": true}

// copyNeeds demands to read the source and to write the target. If the copy
// keeps tags, it demands also to read them at the source and to set them at the
// target.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
func copyNeeds(r *Request) ([]access.Need, error) {
	if r.Principal.Kind == access.Nobody {
		return nil, s3err.New(s3err.AccessDenied, "Anonymous users cannot copy objects. Please authenticate.")
	}
	keeps := r.Op.Name == "CopyObject" && !r.asked.replaceTags.value
	if r.source == nil {
		if keeps {
			r.object.open = keptTags
		}
		needs, err := writeNeeds(r)
		if r.object.open = nil; err != nil || !r.decide(needs...).Allow {
			return needs, err // without the right to write, nothing is told of the source
		}
	}
	if r.HasQuery("partNumber") {
		if _, err := r.partNumber(); err != nil {
			return nil, err
		}
	}
	if err := r.findSource(); err != nil {
		return nil, err
	}
	var tags []engine.Pair
	if keeps {
		var err error
		if tags, err = r.tagsOf(r.source); err != nil {
			return nil, err
		}
		r.object.context = requestTags(tags)
	}
	needs, err := writeNeeds(r)
	if err != nil {
		return nil, err
	}
	needs = append(needs, r.needVersion("s3:GetObject", "s3:GetObjectVersion", r.source))
	if len(tags) > 0 {
		needs = append(needs, r.need("s3:PutObjectTagging"), r.needVersion("s3:GetObjectTagging", "s3:GetObjectVersionTagging", r.source))
	}
	return needs, nil
}

// tagsOf returns the tags of an object; none for an absent one.
func (r *Request) tagsOf(o *object) ([]engine.Pair, error) {
	was, err := r.marksOf(o)
	if isAbsent(err) {
		return nil, nil
	}
	return was.Marks.Tags, err
}
