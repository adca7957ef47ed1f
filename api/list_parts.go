package api

import (
	"cmp"
	"encoding/xml"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// listPartsResult is the answer to ListParts.
type listPartsResult struct {
	XMLName              xml.Name     `xml:"ListPartsResult"`
	Bucket               string       `xml:"Bucket"`
	Key                  string       `xml:"Key"`
	UploadID             string       `xml:"UploadId"`
	Initiator            ownerElement `xml:"Initiator"`
	Owner                ownerElement `xml:"Owner"`
	StorageClass         string       `xml:"StorageClass"`
	PartNumberMarker     int          `xml:"PartNumberMarker"`
	NextPartNumberMarker int          `xml:"NextPartNumberMarker"`
	MaxParts             int          `xml:"MaxParts"`
	IsTruncated          bool         `xml:"IsTruncated"`
	ChecksumAlgorithm    string       `xml:"ChecksumAlgorithm,omitempty"`
	ChecksumType         string       `xml:"ChecksumType,omitempty"`
	Parts                []listedPart `xml:"Part"`
}

// listedPart is one part of an upload.
type listedPart struct {
	PartNumber   int       `xml:"PartNumber"`
	LastModified time.Time `xml:"LastModified"`
	ETag         string    `xml:"ETag"`
	Size         int64     `xml:"Size"`
	checksumElements
}

// noChecksum is S3's value for an upload without a checksum.
const noChecksum = "null"

// listParts lists the parts of an upload. With SSE-C the customer's key is
// needed for the checksums only.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
func listParts(s *Server, r *Request) (*Reply, error) {
	id, err := r.upload()
	if err != nil {
		return nil, err
	}
	marker, err := pageNumber("part-number-marker", r.QueryValue("part-number-marker"))
	if err != nil {
		return nil, err
	}
	limit, err := pageOf(r.sayPageSize("max-parts"))
	if err != nil {
		return nil, err
	}
	customer, err := r.customerKey()
	if err != nil {
		return nil, err
	}
	page, err := s.engine.ListParts(r.Context(), engine.ListParts{
		Bucket: r.Bucket, Key: r.Target.Key, Upload: id, Customer: customer, After: marker, Limit: limit,
	})
	if err != nil {
		return nil, err
	}
	result := listPartsResult{
		Bucket: r.Bucket.Name, Key: r.Target.Key, UploadID: id.String(),
		Initiator: initiatorOf(page.Upload), Owner: ownerOf(r.Bucket.Owner),
		StorageClass:     shownClass(page.Upload.StorageClass),
		PartNumberMarker: marker, NextPartNumberMarker: page.Next, MaxParts: limit, IsTruncated: page.More,
		ChecksumAlgorithm: cmp.Or(page.Upload.ChecksumAlgorithm, noChecksum),
		ChecksumType:      cmp.Or(page.Upload.ChecksumType, noChecksum),
	}
	for _, p := range page.Parts {
		result.Parts = append(result.Parts, listedPart{p.Number, p.Modified, quote(p.ETag), p.Size, elementsOf(p.Checksum)})
	}
	return &Reply{XML: result}, nil
}

// pageNumber parses the number after which a listing continues; "" is 0.
func pageNumber(name, value string) (int, error) {
	if value == "" {
		return 0, nil
	}
	n, ok := number(value)
	if !ok {
		return 0, s3err.New(s3err.InvalidArgument, "Provided %s not an integer or within integer range", name).
			With("ArgumentName", name).With("ArgumentValue", value)
	}
	return n, nil
}
