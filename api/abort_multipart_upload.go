package api

import (
	"net/http"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

// abortMultipartUpload ends an upload and discards its parts.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
func abortMultipartUpload(s *Server, r *Request) (*Reply, error) {
	// An ignored condition could end an upload that the client wants to keep.
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if r.HasHeader(name) {
			return nil, unsupportedCondition(name)
		}
	}
	id, err := r.upload()
	if err != nil {
		return nil, err
	}
	var initiated time.Time
	if r.HasHeader("X-Amz-If-Match-Initiated-Time") {
		if initiated = conditionDate(r.Header("X-Amz-If-Match-Initiated-Time")); initiated.IsZero() {
			return nil, s3err.New(s3err.InvalidArgument, "The value is not a valid date.").With("ArgumentName", "x-amz-if-match-initiated-time")
		}
	}
	if initiated.After(r.Now) {
		// RFC 9110 ignores conditions on future times.
		initiated = time.Time{}
	}
	if err := s.engine.AbortUpload(r.Context(), r.Bucket, r.Target.Key, id, initiated); err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, nil
}
