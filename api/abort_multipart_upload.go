package api

import "net/http"

// abortMultipartUpload ends an upload and gives up its parts.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
func abortMultipartUpload(s *Server, r *Request) (*Reply, error) {
	for _, name := range []string{"If-Match", "If-None-Match", "X-Amz-If-Match-Initiated-Time"} {
		if r.HasHeader(name) {
			return nil, unsupportedCondition(name)
		}
	}
	id, err := r.upload()
	if err != nil {
		return nil, err
	}
	if err := s.engine.AbortUpload(r.Context(), r.Bucket, r.Target.Key, id); err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, nil
}
