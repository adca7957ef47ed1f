package api

import (
	"net/http"
	"slices"

	"github.com/sanctum-storage/gateway/s3err"
)

// bucketRegionHeader tells clients the region to sign for.
const bucketRegionHeader = "X-Amz-Bucket-Region"

// showRegion adds the bucket's region to an error: to that of a HeadBucket,
// which has no body to tell it, and where the region was the error. From it
// clients learn the region to sign for. For an absent bucket nothing is added.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
func (x *exchange) showRegion(e *s3err.Error) {
	// A failure of the gateway says nothing about the region.
	if e.Code.Status() >= http.StatusInternalServerError {
		return
	}
	heads := x.req.HTTP.Method == http.MethodHead && x.req.Target.Scope() == BucketScope
	misplaced := slices.ContainsFunc(e.Fields, func(f s3err.Field) bool { return f.Name == "Region" })
	if (heads || misplaced) && x.knowsBucket() {
		x.w.Header().Set(bucketRegionHeader, x.req.region())
	}
}

// knowsBucket reports whether the target's bucket exists. It looks the bucket
// up if the request was refused before that.
func (x *exchange) knowsBucket() bool {
	r := x.req
	if r.Target.Bucket == "" {
		return false
	}
	if !r.Bucket.ID.IsZero() {
		return true
	}
	b, err := x.server.engine.Buckets().Get(r.Context(), r.Target.Bucket)
	if err != nil {
		return false
	}
	r.Bucket = b
	return true
}
