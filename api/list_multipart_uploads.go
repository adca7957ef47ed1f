package api

import (
	"encoding/xml"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// listUploadsResult is the answer to ListMultipartUploads.
type listUploadsResult struct {
	XMLName            xml.Name        `xml:"ListMultipartUploadsResult"`
	Bucket             string          `xml:"Bucket"`
	KeyMarker          string          `xml:"KeyMarker"`
	UploadIDMarker     string          `xml:"UploadIdMarker"`
	NextKeyMarker      string          `xml:"NextKeyMarker"`
	NextUploadIDMarker string          `xml:"NextUploadIdMarker"`
	Prefix             string          `xml:"Prefix"`
	Delimiter          string          `xml:"Delimiter,omitempty"`
	EncodingType       string          `xml:"EncodingType,omitempty"`
	MaxUploads         int             `xml:"MaxUploads"`
	IsTruncated        bool            `xml:"IsTruncated"`
	Uploads            []listedUpload  `xml:"Upload"`
	CommonPrefixes     []prefixElement `xml:"CommonPrefixes"`
}

// listedUpload is one upload in progress.
type listedUpload struct {
	Key               string       `xml:"Key"`
	UploadID          string       `xml:"UploadId"`
	Initiator         ownerElement `xml:"Initiator"`
	Owner             ownerElement `xml:"Owner"`
	StorageClass      string       `xml:"StorageClass"`
	Initiated         time.Time    `xml:"Initiated"`
	ChecksumAlgorithm string       `xml:"ChecksumAlgorithm,omitempty"`
	ChecksumType      string       `xml:"ChecksumType,omitempty"`
}

// listMultipartUploads lists a bucket's uploads in progress, ordered by key and
// upload id.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
func listMultipartUploads(s *Server, r *Request) (*Reply, error) {
	q, err := r.uploadQuery()
	if err != nil {
		return nil, err
	}
	encode, err := r.keyEncoding()
	if err != nil {
		return nil, err
	}
	result := listUploadsResult{
		Bucket: r.Bucket.Name, KeyMarker: encode(q.AfterKey), UploadIDMarker: r.QueryValue("upload-id-marker"),
		Prefix: encode(q.Prefix), Delimiter: encode(q.Delimiter), EncodingType: r.QueryValue("encoding-type"),
		MaxUploads: q.Limit,
	}
	if q.Limit == 0 {
		return &Reply{XML: result}, nil
	}
	page, err := s.engine.ListUploads(r.Context(), q)
	if err != nil {
		return nil, err
	}
	if result.IsTruncated = page.More; page.More {
		result.NextKeyMarker = encode(page.NextKey)
		if !page.NextUpload.IsZero() {
			result.NextUploadIDMarker = page.NextUpload.String()
		}
	}
	for _, e := range page.Entries {
		if e.CommonPrefix != "" {
			result.CommonPrefixes = append(result.CommonPrefixes, prefixElement{encode(e.CommonPrefix)})
			continue
		}
		result.Uploads = append(result.Uploads, r.listedUpload(e.Upload, encode))
	}
	return &Reply{XML: result}, nil
}

func (r *Request) listedUpload(u engine.Upload, encode func(string) string) listedUpload {
	return listedUpload{
		Key: encode(u.Key), UploadID: u.ID.String(),
		Initiator: initiatorOf(u), Owner: ownerOf(r.Bucket.Owner),
		StorageClass: shownClass(u.StorageClass), Initiated: u.Created,
		ChecksumAlgorithm: u.ChecksumAlgorithm, ChecksumType: u.ChecksumType,
	}
}

// uploadQuery reads the parameters. As on S3, upload-id-marker is ignored
// without key-marker.
func (r *Request) uploadQuery() (q meta.UploadQuery, err error) {
	q = meta.UploadQuery{
		Bucket: r.Bucket.ID, Prefix: r.asked.prefix.value, Delimiter: r.asked.delimiter.value,
		AfterKey: r.QueryValue("key-marker"),
	}
	if q.Limit, err = pageOf(r.sayPageSize("max-uploads")); err != nil {
		return q, err
	}
	marker := r.QueryValue("upload-id-marker")
	if marker == "" || q.AfterKey == "" {
		return q, nil
	}
	if q.AfterUpload, err = meta.ParseID(marker); err != nil {
		return q, s3err.New(s3err.InvalidArgument, "Invalid uploadId marker").
			With("ArgumentName", "upload-id-marker").With("ArgumentValue", marker)
	}
	return q, nil
}

// keyEncoding returns the encoding of keys that encoding-type asks for.
func (r *Request) keyEncoding() (func(string) string, error) {
	encode, err := r.encodingType()
	if err != nil || encode {
		return encodeKey, err
	}
	return func(s string) string { return s }, nil
}

// ownerElement names an account by its canonical id.
type ownerElement struct {
	ID string `xml:"ID"`
}

func ownerOf(id meta.ID) ownerElement { return ownerElement{id.Canonical()} }

// initiatorOf names the initiator of an upload: a user or session by its ARN,
// an account by its id.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Initiator.html
func initiatorOf(u engine.Upload) ownerElement {
	switch {
	case u.By.ARN != "":
		return ownerElement{u.By.ARN}
	case u.By.Tenant.IsZero():
		return ownerOf(u.Owner)
	}
	return ownerOf(u.By.Tenant)
}

// prefixElement is one common prefix.
type prefixElement struct {
	Prefix string `xml:"Prefix"`
}
