package api

import (
	"net/http"

	"github.com/sanctum-storage/gateway/engine"
)

// getObjectTagging shows the tags of a version.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html
func getObjectTagging(s *Server, r *Request) (*Reply, error) {
	ref, err := r.version()
	if err != nil {
		return nil, err
	}
	o, err := s.engine.MarksOf(r.Context(), r.target(ref))
	if err != nil {
		return nil, err
	}
	return &Reply{Header: versionHeader(o.Version), XML: tagging(o.Marks.Tags)}, nil
}

// putObjectTagging replaces the tags of a version.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html
func putObjectTagging(s *Server, r *Request) (*Reply, error) {
	tags, err := r.asked.tags.get()
	if err != nil {
		return nil, err
	}
	return s.amend(r, http.StatusOK, func(m *engine.Marks) error {
		m.Tags = tags
		return nil
	})
}

// taggingOfObject reads an object's Tagging document.
var taggingOfObject = documentFacts{
	keys: openKeys("s3:requestobjecttag/", "s3:requestobjecttagkeys"),
	read: func(r *Request) { r.asked.tags = saying(parseTagging(r.XML, maxObjectTags)) },
}

// deleteObjectTagging removes the tags of a version.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectTagging.html
func deleteObjectTagging(s *Server, r *Request) (*Reply, error) {
	return s.amend(r, http.StatusNoContent, func(m *engine.Marks) error {
		m.Tags = nil
		return nil
	})
}

// amend changes the marks of the version that the request names.
func (s *Server) amend(r *Request, status int, change func(*engine.Marks) error) (*Reply, error) {
	ref, err := r.version()
	if err != nil {
		return nil, err
	}
	o, err := s.engine.ChangeMarks(r.Context(), r.target(ref), change)
	if err != nil {
		return nil, err
	}
	return &Reply{Status: status, Header: versionHeader(o.Version)}, nil
}
