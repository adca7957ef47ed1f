package api

import (
	"encoding/xml"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// The values of x-amz-object-attributes.
const (
	attributeETag     = "ETag"
	attributeChecksum = "Checksum"
	attributeParts    = "ObjectParts"
	attributeClass    = "StorageClass"
	attributeSize     = "ObjectSize"
)

// attributesResult has the elements that the client asked for.
type attributesResult struct {
	XMLName      xml.Name     `xml:"GetObjectAttributesResponse"`
	ETag         string       `xml:"ETag,omitempty"`
	Checksum     *checksumOf  `xml:"Checksum"`
	ObjectParts  *objectParts `xml:"ObjectParts"`
	StorageClass string       `xml:"StorageClass,omitempty"`
	ObjectSize   *int64       `xml:"ObjectSize"`
}

// checksumOf is the checksum of a whole object.
type checksumOf struct {
	checksumElements
	ChecksumType string `xml:"ChecksumType"`
}

// objectParts is a page of an object's parts. The documentation has another
// name for PartsCount; this is the name that S3 sends and SDKs read.
type objectParts struct {
	Total                int          `xml:"PartsCount"`
	PartNumberMarker     int          `xml:"PartNumberMarker"`
	NextPartNumberMarker int          `xml:"NextPartNumberMarker"`
	MaxParts             int          `xml:"MaxParts"`
	IsTruncated          bool         `xml:"IsTruncated"`
	Parts                []objectPart `xml:"Part"`
}

// objectPart is one part of an object, with its own checksum.
type objectPart struct {
	PartNumber int   `xml:"PartNumber"`
	Size       int64 `xml:"Size"`
	checksumElements
}

// getObjectAttributes answers with the facts of an object that the client
// selects.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
func getObjectAttributes(s *Server, r *Request) (*Reply, error) {
	// Found is the row that was authorized. The engine reads that version, and
	// not one that was written since.
	in := engine.GetObject{Bucket: r.Bucket, Key: r.Target.Key, Found: r.object.found}
	var err error
	if in.Version, err = r.version(); err != nil {
		return nil, err
	}
	if in.Customer, err = r.customerKey(); err != nil {
		return nil, err
	}
	asked, err := r.askedAttributes()
	if err != nil {
		return nil, err
	}
	marker, err := pageNumber("x-amz-part-number-marker", r.Header("X-Amz-Part-Number-Marker"))
	if err != nil {
		return nil, err
	}
	limit, ok := number(r.Header("X-Amz-Max-Parts"))
	if !ok || limit > meta.MaxPage {
		limit = meta.MaxPage // S3 ignores an invalid number
	}
	reading, err := s.engine.HeadObject(r.Context(), in)
	if err != nil {
		err = onMarker(reading, err)
		if errors.Is(err, s3err.MethodNotAllowed) {
			err = s3err.NoSuchKey // a delete marker has no attributes, even if it is named
		}
		return nil, err
	}
	defer reading.Close()
	o := reading.Object
	result := describeObject(o, asked)
	if slices.Contains(asked, attributeParts) && o.Parts > 0 {
		if result.ObjectParts, err = s.objectParts(r, in, o, marker, limit); err != nil {
			return nil, err
		}
	}
	h := http.Header{}
	h.Set("Last-Modified", httpTime(o.Modified))
	setVersion(h, o.Version)
	return &Reply{Header: h, XML: result}, nil
}

// askedAttributes parses x-amz-object-attributes, a list in one header or
// several.
func (r *Request) askedAttributes() ([]string, error) {
	list := r.Header("X-Amz-Object-Attributes")
	if strings.TrimSpace(list) == "" {
		return nil, s3err.New(s3err.InvalidRequest,
			"The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	var asked []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		switch name {
		case attributeETag, attributeChecksum, attributeParts, attributeClass, attributeSize:
			asked = append(asked, name)
		default:
			return nil, s3err.New(s3err.InvalidArgument, "Invalid attribute name specified.").
				With("ArgumentName", "x-amz-object-attributes").With("ArgumentValue", list)
		}
	}
	return asked, nil
}

// describeObject fills in the selected facts.
func describeObject(o engine.Object, asked []string) attributesResult {
	var result attributesResult
	for _, name := range asked {
		switch name {
		case attributeETag:
			result.ETag = o.ETag
		case attributeChecksum:
			if o.Checksum != nil {
				bare := *o.Checksum // only here S3 leaves out the number of parts
				bare.Parts = 0
				result.Checksum = &checksumOf{elementsOf(&bare), o.Checksum.Type}
			}
		case attributeClass:
			result.StorageClass = shownClass(o.StorageClass)
		case attributeSize:
			result.ObjectSize = &o.Size
		}
	}
	return result
}

// objectParts reads a page of the parts of exactly the version that o
// describes.
func (s *Server) objectParts(r *Request, in engine.GetObject, o engine.Object, marker, limit int) (*objectParts, error) {
	page, err := s.engine.ObjectParts(r.Context(), in, o.ID, marker, max(limit, 1))
	if err != nil {
		return nil, err
	}
	// S3 answers a page of zero parts, which is not truncated.
	if limit == 0 {
		page.Parts, page.More, page.Next = nil, false, marker
	}
	result := &objectParts{
		Total: o.Parts, PartNumberMarker: marker, NextPartNumberMarker: page.Next,
		MaxParts: limit, IsTruncated: page.More,
	}
	for _, p := range page.Parts {
		result.Parts = append(result.Parts, objectPart{p.Number, p.Size, elementsOf(p.Checksum)})
	}
	return result, nil
}
