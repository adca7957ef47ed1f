package api

import "net/http"

// deleteObject deletes a key, or one version of it permanently. It succeeds
// when there is nothing to delete.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
func deleteObject(s *Server, r *Request) (*Reply, error) {
	if err := r.checkBypass(); err != nil {
		return nil, err
	}
	d, err := r.deleteConditions()
	if err != nil {
		return nil, err
	}
	if d.Version, err = r.version(); err != nil {
		return nil, err
	}
	d.Key, d.Owner, d.Bypass = r.Target.Key, r.objectOwner(), r.bypass(&r.object)
	if d.Version.IsZero() {
		d.Replaces = r.replacesBy("s3:DeleteObject", &r.object)
	}
	d.Judged = r.judged()
	done, err := s.engine.DeleteObject(r.Context(), r.Bucket, d)
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	setDeleted(h, done)
	if !d.Version.IsZero() && !done.Version.IsZero() {
		// In the client's form, of which a version id may have several.
		h.Set("X-Amz-Version-Id", r.QueryValue("versionId"))
	}
	return &Reply{Status: http.StatusNoContent, Header: h}, nil
}
