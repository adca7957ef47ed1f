package api

import (
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// notConfigured answers reads of a configuration that no bucket has.
func notConfigured(code s3err.Code) Handler {
	return func(_ *Server, r *Request) (*Reply, error) {
		return nil, s3err.New(code, "").With("BucketName", r.Bucket.Name)
	}
}

// emptyElement is a document without content.
type emptyElement string

// AppendXML writes the element.
func (e emptyElement) AppendXML(b []byte) []byte {
	return closeTag(openRoot(b, string(e)), string(e))
}

// emptyDocument answers reads of a configuration whose absence is shown as an
// empty document.
func emptyDocument(root string) Handler {
	return func(*Server, *Request) (*Reply, error) { return &Reply{XML: emptyElement(root)}, nil }
}

// emptyTags is the tagging of an object without tags.
type emptyTags struct{}

// AppendXML writes Tagging.
func (emptyTags) AppendXML(b []byte) []byte {
	return closeTag(append(openRoot(b, "Tagging"), "<TagSet></TagSet>"...), "Tagging")
}

// getObjectTagging shows that the object has no tags.
func getObjectTagging(s *Server, r *Request) (*Reply, error) {
	if err := s.requireObject(r); err != nil {
		return nil, err
	}
	return &Reply{XML: emptyTags{}}, nil
}

// getObjectLock answers GetObjectRetention and GetObjectLegalHold: no bucket
// can have object lock.
func getObjectLock(s *Server, r *Request) (*Reply, error) {
	if err := s.requireObject(r); err != nil {
		return nil, err
	}
	return nil, s3err.New(s3err.InvalidRequest, "Bucket is missing Object Lock Configuration")
}

// requireObject fails like a GET would when the object is not there.
func (s *Server) requireObject(r *Request) error {
	version, err := r.version()
	if err != nil {
		return err
	}
	reading, err := s.engine.HeadObject(r.Context(), engine.GetObject{Bucket: r.Bucket, Key: r.Target.Key, Version: version})
	if err != nil {
		return onMarker(reading, err)
	}
	return reading.Close()
}
