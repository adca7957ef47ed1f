package api

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// completeDocument is the body of a CompleteMultipartUpload request.
type completeDocument struct {
	Parts []completedPart `xml:"Part" max:"10000"`
}

// completedPart is one part that the object consists of, in the order of the
// list.
type completedPart struct {
	PartNumber string `xml:"PartNumber"`
	ETag       string `xml:"ETag"`
	checksumElements
}

// sound implements the check of decodeXML for required elements.
func (p *completedPart) sound() bool { return p.PartNumber != "" && p.ETag != "" }

// completeResult is the answer to CompleteMultipartUpload.
type completeResult struct {
	XMLName  xml.Name `xml:"CompleteMultipartUploadResult"`
	Location string   `xml:"Location"`
	Bucket   string   `xml:"Bucket"`
	Key      string   `xml:"Key"`
	ETag     string   `xml:"ETag"`
	checksumElements
	ChecksumType string `xml:"ChecksumType,omitempty"`
}

// completeMultipartUpload makes an object of an upload's parts. Its time
// depends on the number of parts and not on their size, so that the answer need
// not be kept alive by blanks as on S3.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
func completeMultipartUpload(s *Server, r *Request) (*Reply, error) {
	in, err := r.completeInput()
	if err != nil {
		return nil, err
	}
	if err := r.admitUploadACL(); err != nil {
		return nil, err
	}
	o, err := s.engine.CompleteUpload(r.Context(), in)
	if err != nil {
		return nil, err
	}
	result := completeResult{
		Location: r.objectURL(), Bucket: r.Bucket.Name, Key: r.Target.Key,
		ETag: quote(o.ETag), checksumElements: elementsOf(o.Checksum),
	}
	if o.Checksum != nil {
		result.ChecksumType = o.Checksum.Type
	}
	h := http.Header{}
	r.setEncryption(h, &o)
	setMade(h, o.Version)
	r.setExpiration(h, o)
	return &Reply{Header: h, XML: result}, nil
}

// completeInput reads all parameters and the document of the request.
func (r *Request) completeInput() (in engine.CompleteUpload, err error) {
	in = engine.CompleteUpload{Bucket: r.Bucket, Key: r.Target.Key}
	if in.Upload, err = r.upload(); err != nil {
		return in, err
	}
	if in.Customer, err = r.customerKey(); err != nil {
		return in, err
	}
	if in.Conditions, err = r.writeConditions(); err != nil {
		return in, err
	}
	if in.Type, err = r.checksumType(); err != nil {
		return in, err
	}
	if in.Checksum, err = r.objectChecksum(in.Type); err != nil {
		return in, err
	}
	if in.Size, err = r.claimedObjectSize(); err != nil {
		return in, err
	}
	if len(bytes.TrimSpace(r.XML)) == 0 {
		return in, s3err.MalformedXML // S3's code for this operation alone
	}
	var doc completeDocument
	if err := decodeXML(r.XML, "CompleteMultipartUpload", &doc); err != nil {
		return in, err
	}
	if len(doc.Parts) == 0 {
		return in, s3err.MalformedXML
	}
	in.Parts = make([]engine.CompletedPart, 0, len(doc.Parts))
	for _, p := range doc.Parts {
		part, err := p.completed()
		if err != nil {
			return in, err
		}
		in.Parts = append(in.Parts, part)
	}
	return in, nil
}

// completed converts the part for the engine.
func (p completedPart) completed() (engine.CompletedPart, error) {
	number, ok := strict.Integer(strict.InElement(p.PartNumber))
	if !ok {
		return engine.CompletedPart{}, s3err.MalformedXML
	}
	if number < 1 {
		return engine.CompletedPart{}, s3err.New(s3err.InvalidArgument, "PartNumber must be >= 1").
			With("ArgumentName", "PartNumber").With("ArgumentValue", p.PartNumber)
	}
	part := engine.CompletedPart{Number: int(number), ETag: strings.Trim(strings.TrimSpace(p.ETag), `"`)}
	for _, algorithm := range engine.ChecksumAlgorithms {
		value := *p.field(algorithm)
		if value == "" {
			continue
		}
		sum, ok := decodeChecksum(algorithm, value)
		if !ok || part.Checksum != nil {
			return part, s3err.New(s3err.InvalidArgument, "Invalid Base64 or multiple checksums present in request").
				With("ArgumentName", "Checksum").With("ArgumentValue", value)
		}
		part.Checksum = &engine.Checksum{Algorithm: algorithm, Value: sum}
	}
	return part, nil
}

// objectChecksum returns the checksum that the request claims for the whole
// object, or nil. A composite value may end in a dash and the number of parts.
func (r *Request) objectChecksum(kind string) (*engine.Checksum, error) {
	algorithm, value, err := claimedChecksum(r.HTTP.Header)
	if algorithm == "" || err != nil {
		return nil, err
	}
	c := &engine.Checksum{Algorithm: algorithm, Type: kind}
	sum, count, counted := strings.Cut(value, "-")
	// Only a composite checksum has a number of parts.
	if counted {
		n, ok := strict.Number(count, maxPartNumber)
		if !ok || n < 1 || kind == engine.FullObject || !checksumTypeFits(algorithm, engine.Composite) {
			return nil, s3err.New(s3err.InvalidRequest, "Value for %s header is invalid.", checksumHeader(algorithm))
		}
		c.Type, c.Parts = engine.Composite, int(n)
	}
	var ok bool
	if c.Value, ok = decodeChecksum(algorithm, sum); !ok {
		return nil, s3err.New(s3err.InvalidRequest, "Value for %s header is invalid.", checksumHeader(algorithm))
	}
	return c, nil
}

// claimedObjectSize reads x-amz-mp-object-size in bytes; -1 when it was not
// sent.
func (r *Request) claimedObjectSize() (int64, error) {
	if !r.HasHeader("X-Amz-Mp-Object-Size") {
		return -1, nil
	}
	value := r.Header("X-Amz-Mp-Object-Size")
	n, ok := strict.Integer(value)
	switch {
	case !ok:
		return 0, s3err.New(s3err.InvalidRequest, "Value for x-amz-mp-object-size header is invalid: '%s'", value)
	case n < 0:
		return 0, s3err.New(s3err.InvalidRequest, "Value for x-amz-mp-object-size header is less than zero: '%d'", n)
	}
	return n, nil
}
