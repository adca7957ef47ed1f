package api

import (
	"strings"

	"github.com/sanctum-storage/gateway/access"
)

// A request that compares an object with an entity tag, a size or a time learns
// something about it, because an entity tag is a digest of the bytes. So it
// needs the right to read the object too. A star tells only that there is an
// object.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-delete-enforce.html

// compares reports whether a value of If-Match compares an entity tag.
func compares(match string) bool { return match != "" && strings.TrimSpace(match) != "*" }

// comparesTarget reports whether the request compares the target. Of the
// operations that change it, only a rename takes the conditions of a GET.
func (r *Request) comparesTarget() bool {
	if compares(r.asked.match.value) || r.HasHeader("X-Amz-If-Match-Size") || r.HasHeader("X-Amz-If-Match-Last-Modified-Time") {
		return true
	}
	return r.Op.Name == "RenameObject" &&
		(compares(r.asked.none.value) || r.HasHeader("If-Modified-Since") || r.HasHeader("If-Unmodified-Since"))
}

// compareNeeds returns the rights that a comparison with the target needs.
func (r *Request) compareNeeds() []access.Need {
	if !r.comparesTarget() {
		return nil
	}
	if r.object.version.given { // the current version is compared, even if another is named
		return []access.Need{r.needOn("s3:GetObject", &object{bucket: r.Bucket, key: r.Target.Key})}
	}
	return []access.Need{r.need("s3:GetObject")}
}

// comparing adds the rights for a comparison in front of an operation's needs.
func comparing(needs func(*Request) ([]access.Need, error)) func(*Request) ([]access.Need, error) {
	return func(r *Request) ([]access.Need, error) {
		all, err := needs(r)
		return append(r.compareNeeds(), all...), err
	}
}

// compareNeeds returns the rights that an entry of DeleteObjects needs.
func (e *deleteEntry) compareNeeds(r *Request) []access.Need {
	if (e.ETag == nil || !compares(*e.ETag)) && e.Size == nil && e.LastModifiedTime == nil {
		return nil
	}
	return []access.Need{r.needOn("s3:GetObject", &object{bucket: r.Bucket, key: *e.Key})}
}
