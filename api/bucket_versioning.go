package api

import (
	"encoding/xml"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// The values of Status and MfaDelete.
const (
	statusEnabled   = "Enabled"
	statusSuspended = "Suspended"
	statusDisabled  = "Disabled"
)

// versioningDocument is the body of PutBucketVersioning and of the answer to
// GetBucketVersioning. A bucket that never had versioning shows no Status.
type versioningDocument struct {
	XMLName   xml.Name `xml:"VersioningConfiguration"`
	Status    string   `xml:"Status,omitempty"`
	MFADelete string   `xml:"MfaDelete,omitempty"`
}

// getBucketVersioning tells whether the bucket keeps versions.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html
func getBucketVersioning(_ *Server, r *Request) (*Reply, error) {
	doc := versioningDocument{}
	switch r.Bucket.Versioning {
	case meta.VersioningEnabled:
		doc.Status = statusEnabled
	case meta.VersioningSuspended:
		doc.Status = statusSuspended
	}
	return &Reply{XML: doc}, nil
}

// putBucketVersioning enables or suspends versioning. MFA delete is refused,
// because the gateway knows no MFA devices.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html
func putBucketVersioning(s *Server, r *Request) (*Reply, error) {
	var doc versioningDocument
	if err := decodeXML(r.XML, "VersioningConfiguration", &doc); err != nil {
		return nil, err
	}
	var u unsupported
	switch doc.MFADelete {
	case "", statusDisabled:
	case statusEnabled:
		u.note("MFA delete is not supported; leave out MfaDelete or set it to Disabled.")
	default:
		return nil, s3err.MalformedXML
	}
	var v meta.Versioning
	switch doc.Status {
	case statusEnabled:
		v = meta.VersioningEnabled
	case statusSuspended:
		v = meta.VersioningSuspended
	case "":
		return nil, s3err.New(s3err.IllegalVersioningConfiguration, "The Versioning element must be specified")
	default:
		return nil, s3err.MalformedXML
	}
	if u.err != nil {
		return nil, u.err
	}
	return &Reply{}, s.engine.Buckets().SetVersioning(r.Context(), r.Bucket, v)
}
