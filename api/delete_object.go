package api

import "net/http"

// deleteObject removes a key. It succeeds when there was nothing to remove.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
func deleteObject(s *Server, r *Request) (*Reply, error) {
	if err := r.checkVersion(); err != nil {
		return nil, err
	}
	d, err := r.deleteConditions()
	if err != nil {
		return nil, err
	}
	d.Key = r.Target.Key
	if _, err := s.engine.DeleteObject(r.Context(), r.Bucket, d); err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, nil
}
