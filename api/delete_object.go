package api

import (
	"net/http"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// deleteObject deletes a key, or removes one version of it for good. It succeeds
// when there was nothing to remove.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
func deleteObject(s *Server, r *Request) (*Reply, error) {
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
	if r.object.found != nil && r.deletesByTags(d.Version) {
		d.Judged = &engine.Judged{Found: r.object.found, Permit: r.permitTarget}
	}
	done, err := s.engine.DeleteObject(r.Context(), r.Bucket, d)
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	setDeleted(h, done)
	if !d.Version.IsZero() && !done.Version.IsZero() {
		h.Set("X-Amz-Version-Id", r.QueryValue("versionId")) // as it was asked for, if nothing has that name
	}
	return &Reply{Status: http.StatusNoContent, Header: h}, nil
}

// deletesByTags reports whether the right to delete rests on the tags of what the key
// holds at the moment, which may be another object when it is deleted. A version that is
// named stays what it is, but for the null version where none are kept.
func (r *Request) deletesByTags(version meta.VersionRef) bool {
	current := version.IsZero() || version.Null && r.Bucket.Versioning == meta.VersioningOff
	return current && r.asksObjectTags(r.bucketFacts(r.Bucket))
}
