package api

import (
	"strings"

	"github.com/sanctum-storage/gateway/access"
)

// A request that compares what is there with an entity tag, a size or a time tells what it is,
// so that it takes the right to read it besides: an entity tag is the digest of the bytes.
// A star tells no more than that there is an object.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-delete-enforce.html

// compares reports whether a value of If-Match compares anything.
func compares(match string) bool { return match != "" && strings.TrimSpace(match) != "*" }

// compareNeeds are the rights that it takes to have the target compared.
func (r *Request) compareNeeds() []access.Need {
	if !compares(r.asked.match.value) && !r.HasHeader("X-Amz-If-Match-Size") && !r.HasHeader("X-Amz-If-Match-Last-Modified-Time") {
		return nil
	}
	if r.object.version.given { // the current version is compared, whichever is named
		return []access.Need{r.needOn("s3:GetObject", &object{bucket: r.Bucket, key: r.Target.Key})}
	}
	return []access.Need{r.need("s3:GetObject")}
}

// comparing puts the rights to compare before others.
func comparing(needs func(*Request) ([]access.Need, error)) func(*Request) ([]access.Need, error) {
	return func(r *Request) ([]access.Need, error) {
		all, err := needs(r)
		return append(r.compareNeeds(), all...), err
	}
}

// compareNeeds are those of an entry of DeleteObjects.
func (e *deleteEntry) compareNeeds(r *Request) []access.Need {
	if (e.ETag == nil || !compares(*e.ETag)) && e.Size == nil && e.LastModifiedTime == nil {
		return nil
	}
	return []access.Need{r.needOn("s3:GetObject", &object{bucket: r.Bucket, key: *e.Key})}
}
