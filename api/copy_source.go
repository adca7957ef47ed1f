package api

import (
	"net/url"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const copySourceHeader = "X-Amz-Copy-Source"

// sourceName is what x-amz-copy-source says, decoded.
type sourceName struct {
	bucket, key string
	version     said[meta.VersionRef]
}

// String is the source without its version, in the one form that the condition key
// s3:x-amz-copy-source has: bucket/key.
func (n sourceName) String() string { return n.bucket + "/" + n.key }

// parseCopySource takes apart x-amz-copy-source: [/]bucket/key[?versionId=id],
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
		return n, s3err.New(s3err.NotImplemented, "Copy sources cannot be named by an ARN.")
	}
	n.bucket, n.key, _ = strings.Cut(path, "/")
	if engine.CheckBucketName(n.bucket) != nil {
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

// findSource finds the object that the request copies from: its bucket, which must
// exist and belong to whom the client expects, and what its key holds. It is looked up
// once, so that what is read is what was authorized, even if the object is replaced, or
// the bucket is deleted and its name taken by somebody else in between.
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
		if o.bucket, err = r.server.engine.Bucket(r.Context(), name.bucket); err != nil {
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

// permitSource decides again where the source of a copy is another than the one that was
// decided about.
func (r *Request) permitSource(f *engine.Found) error {
	r.source.found = f
	return r.authorizeAgain()
}

// keptTags are the row keys of what a copy may bring along from its source.
var keptTags = map[string]bool{"s3:requestobjecttag/": true, "s3:requestobjecttagkeys": true}

// copyNeeds asks for both ends of a copy: to read the source and to write the
// target. The tags that a copy keeps are read at the source and set at the target.
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
			return needs, err // who may not write learns nothing of the source
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

// tagsOf are the tags of an object; none where there is no object.
func (r *Request) tagsOf(o *object) ([]engine.Pair, error) {
	was, err := r.marksOf(o)
	if isAbsent(err) {
		return nil, nil
	}
	return was.Marks.Tags, err
}
