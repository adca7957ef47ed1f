package api

import (
	"encoding/xml"
	"net/http"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// The values of x-amz-metadata-directive and x-amz-tagging-directive.
const (
	directiveCopy    = "COPY"
	directiveReplace = "REPLACE"
)

// copyObjectResult is the answer to CopyObject.
type copyObjectResult struct {
	XMLName      xml.Name  `xml:"CopyObjectResult"`
	LastModified time.Time `xml:"LastModified"`
	ETag         string    `xml:"ETag"`
	checksumElements
	ChecksumType string `xml:"ChecksumType,omitempty"`
}

// copyObject creates an object from another one. Its time does not depend on
// the size, because the bytes are shared and not copied.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
func copyObject(s *Server, r *Request) (*Reply, error) {
	in, err := r.copyInput()
	if err != nil {
		return nil, err
	}
	o, err := s.engine.CopyObject(r.Context(), in)
	if err != nil {
		return nil, err
	}
	result := copyObjectResult{
		LastModified: o.Modified, ETag: quote(o.ETag),
		checksumElements: elementsOf(o.Checksum),
	}
	if o.Checksum != nil {
		result.ChecksumType = o.Checksum.Type
	}
	h := http.Header{}
	r.setEncryption(h, &o)
	setMade(h, o.Version)
	r.setExpiration(h, o)
	setSourceVersion(h, o.CopiedFrom)
	return &Reply{Header: h, XML: result}, nil
}

// copyInput reads all parameters of a CopyObject.
func (r *Request) copyInput() (in engine.CopyObject, err error) {
	in = engine.CopyObject{Bucket: r.Bucket, Key: r.Target.Key, Owner: r.objectOwner()}
	made, err := r.newObject()
	if err != nil {
		return in, err
	}
	in.Marks, in.Encryption, in.Customer = made.Marks, made.kind, made.customer
	in.SourceBucket, in.SourceKey, in.SourceVersion = r.source.bucket, r.source.key, r.source.version.value
	in.SourceFound, in.SourcePermit = r.source.found, r.permitSource
	if in.SourceCustomer, err = r.sourceCustomerKey(); err != nil {
		return in, err
	}
	if in.SourceConditions, err = r.sourceConditions(); err != nil {
		return in, err
	}
	if in.Conditions, err = r.writeConditions(); err != nil {
		return in, err
	}
	if in.ChecksumAlgorithm, err = r.checksumAlgorithm("X-Amz-Checksum-Algorithm"); err != nil {
		return in, err
	}
	replaceTags, err := r.asked.replaceTags.get()
	if err != nil {
		return in, err
	}
	in.KeepTags = !replaceTags
	if in.Replace, err = r.asked.replaceMeta.get(); err != nil {
		return in, err
	}
	// Without Replace the engine takes only storage class and redirect from
	// these, which S3 never copies, and the rest from the source.
	if in.Attributes, err = r.objectAttributes(); err != nil {
		return in, err
	}
	return in, r.refuseSelfCopy(in)
}

// sayDirective reads whether a directive asks to replace. An empty one counts
// as absent.
func (r *Request) sayDirective(header, unknown string) said[bool] {
	switch value := r.Header(header); value {
	case "":
		return said[bool]{}
	case directiveCopy, directiveReplace:
		return saying(value == directiveReplace, nil)
	default:
		return saying(false, s3err.New(s3err.InvalidArgument, "%s", unknown).
			With("ArgumentName", strings.ToLower(header)).With("ArgumentValue", value))
	}
}

// directiveName is the directive in the form that condition keys have.
func directiveName(replace bool) string {
	if replace {
		return directiveReplace
	}
	return directiveCopy
}

// setSourceVersion shows the version that was copied, if it has an id.
func setSourceVersion(h http.Header, ref meta.VersionRef) {
	if !ref.IsZero() {
		h.Set("X-Amz-Copy-Source-Version-Id", ref.String())
	}
}

// refuseSelfCopy refuses a copy of an object to itself that would change
// nothing. In a bucket with versions, copying a named version makes it current
// again.
func (r *Request) refuseSelfCopy(in engine.CopyObject) error {
	restores := !in.SourceVersion.IsZero() && in.Bucket.Versioning != meta.VersioningOff
	changes := restores || in.Replace || in.ChecksumAlgorithm != "" ||
		r.asked.encryption.given || in.Customer != nil || in.SourceCustomer != nil ||
		r.asked.class.given || r.asked.redirect.given
	if changes || in.SourceBucket.ID != in.Bucket.ID || in.SourceKey != in.Key {
		return nil
	}
	return s3err.New(s3err.InvalidRequest, "This copy request is illegal because it is trying to copy an object to itself "+
		"without changing the object's metadata, storage class, website redirect location or encryption attributes.")
}
