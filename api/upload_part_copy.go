package api

import (
	"encoding/xml"
	"net/http"
	"time"

	"github.com/sanctum-storage/gateway/engine"
)

// copyPartResult is the answer to UploadPartCopy.
type copyPartResult struct {
	XMLName      xml.Name  `xml:"CopyPartResult"`
	LastModified time.Time `xml:"LastModified"`
	ETag         string    `xml:"ETag"`
	checksumElements
}

// uploadPartCopy makes a part of an object, or of a range of it.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
func uploadPartCopy(s *Server, r *Request) (*Reply, error) {
	in := engine.CopyPart{Bucket: r.Bucket, Key: r.Target.Key}
	var err error
	if in.Number, err = r.partNumber(); err != nil {
		return nil, err
	}
	if in.Upload, err = r.upload(); err != nil {
		return nil, err
	}
	in.SourceBucket, in.SourceKey, in.SourceVersion = r.source.bucket, r.source.key, r.source.version.value
	in.SourceFound, in.SourcePermit = r.source.found, r.permitSource
	// Clients repeat the upload's AES256, which is true of every part.
	if r.Header(encryptionHeader) != encryptionAES {
		if err = r.refuseEncryption(); err != nil {
			return nil, err
		}
	}
	if in.Customer, err = r.customerKey(); err != nil {
		return nil, err
	}
	if in.SourceCustomer, err = r.sourceCustomerKey(); err != nil {
		return nil, err
	}
	if in.SourceConditions, err = r.sourceConditions(); err != nil {
		return nil, err
	}
	if in.SourceRange, err = parseCopyRange(r.Header("X-Amz-Copy-Source-Range")); err != nil {
		return nil, err
	}
	part, err := s.engine.CopyPart(r.Context(), in)
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	setPartEncryption(h, r, &part)
	setSourceVersion(h, part.CopiedFrom)
	return &Reply{Header: h, XML: copyPartResult{
		LastModified: part.Modified, ETag: quote(part.ETag),
		checksumElements: elementsOf(part.Checksum),
	}}, nil
}
