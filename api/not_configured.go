package api

import (
	"github.com/sanctum-storage/gateway/s3err"
)

// notConfigured answers a read of a configuration that no bucket has.
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

// emptyDocument answers a read of a configuration that S3 shows as an empty
// document where there is none.
func emptyDocument(root string) Handler {
	return func(*Server, *Request) (*Reply, error) { return &Reply{XML: emptyElement(root)}, nil }
}
