package api

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

const checksumPrefix = "x-amz-checksum-"

// checksumSettings are the rest of headers that look like a checksum's.
var checksumSettings = map[string]bool{"algorithm": true, "type": true, "mode": true}

// checksumHeader returns the header with a checksum of the algorithm.
func checksumHeader(algorithm string) string { return checksumPrefix + strings.ToLower(algorithm) }

// checksumAlgorithm reads the name of an algorithm from a header, in any case;
// "" when the header was not sent.
func (r *Request) checksumAlgorithm(header string) (string, error) {
	if !r.HasHeader(header) {
		return "", nil
	}
	algorithm := strings.ToUpper(r.Header(header))
	if engine.ChecksumSize(algorithm) == 0 {
		return "", s3err.New(s3err.InvalidRequest,
			"Checksum algorithm provided is unsupported. Please try again with any of the valid types: [%s]",
			strings.Join(engine.ChecksumAlgorithms, ", "))
	}
	return algorithm, nil
}

// claimedChecksum returns the one x-amz-checksum-* header with a value.
// algorithm is empty when there is none. An algorithm that the gateway does not
// implement is refused, because the claim could not be checked.
func claimedChecksum(h http.Header) (algorithm, value string, err error) {
	for name, values := range h {
		suffix, ok := strings.CutPrefix(strings.ToLower(name), checksumPrefix)
		if !ok || checksumSettings[suffix] {
			continue
		}
		a := strings.ToUpper(suffix)
		if engine.ChecksumSize(a) == 0 {
			return "", "", s3err.New(s3err.InvalidRequest, "The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
		if algorithm != "" || len(values) != 1 {
			return "", "", s3err.New(s3err.InvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		algorithm, value = a, values[0]
	}
	return algorithm, value, nil
}

// decodeChecksum decodes a checksum's base64 value. ok is false when it is
// malformed or does not have the algorithm's size.
func decodeChecksum(algorithm, value string) (sum []byte, ok bool) {
	sum, err := base64.StdEncoding.Strict().DecodeString(value)
	return sum, err == nil && len(sum) == engine.ChecksumSize(algorithm)
}

// announcedChecksum returns the algorithm that x-amz-trailer promises, or "".
func announcedChecksum(names []string) (string, error) {
	algorithm := ""
	for _, name := range names {
		a := strings.ToUpper(strings.TrimPrefix(name, checksumPrefix))
		if !strings.HasPrefix(name, checksumPrefix) || engine.ChecksumSize(a) == 0 {
			return "", s3err.New(s3err.InvalidRequest, "The value specified in the x-amz-trailer header is not supported")
		}
		if algorithm != "" {
			return "", s3err.New(s3err.InvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		algorithm = a
	}
	return algorithm, nil
}

// engineBody returns the request's body for the engine: with the checksum that
// the client claims in a header or announced as a trailer.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
func (r *Request) engineBody() (engine.Body, error) {
	body := r.Body.Body
	if r.HTTP.ProtoMajor == 1 && r.HTTP.ContentLength == 0 && !r.HasHeader("Content-Length") {
		// HTTP takes this for an empty body, but S3 requires the length: a
		// client that forgot its body must not empty an object.
		return body, s3err.MissingContentLength
	}
	claimed, err := r.claimedSum(r.Body.Announced, r.Body.Trailers)
	body.ChecksumAlgorithm, body.ChecksumValue, body.ClaimedLate = claimed.algorithm, claimed.value, claimed.late
	return body, err
}

// claimedSum is the checksum that a client claims for its body.
type claimedSum struct {
	algorithm string                 // empty: no claim
	value     []byte                 // of a header
	late      func() ([]byte, error) // of a trailer, to be called at the end of the body
}

// claimedSum reads the request's claim, from a header or, if it is announced,
// from a trailer.
func (r *Request) claimedSum(announced []string, trailers func() http.Header) (c claimedSum, err error) {
	claimed, value, err := claimedChecksum(r.HTTP.Header)
	if err != nil {
		return c, err
	}
	late, err := announcedChecksum(announced)
	if err != nil {
		return c, err
	}
	if claimed != "" && late != "" {
		return c, s3err.New(s3err.InvalidRequest, "Expecting a single x-amz-checksum- header")
	}
	if err := r.checkNamedAlgorithm(claimed + late); err != nil {
		return c, err
	}
	switch {
	case claimed != "":
		sum, ok := decodeChecksum(claimed, value)
		if !ok {
			return c, s3err.New(s3err.InvalidRequest, "Value for %s header is invalid.", checksumHeader(claimed))
		}
		c.algorithm, c.value = claimed, sum
	case late != "":
		c.algorithm, c.late = late, trailingChecksum(late, trailers)
	}
	return c, nil
}

// checkNamedAlgorithm compares x-amz-sdk-checksum-algorithm with the algorithm
// of the claim; sent is "" without a claim.
func (r *Request) checkNamedAlgorithm(sent string) error {
	named, err := r.checksumAlgorithm("X-Amz-Sdk-Checksum-Algorithm")
	switch {
	case err != nil || named == "" || named == sent:
		return err
	case sent == "":
		return s3err.New(s3err.InvalidRequest, "x-amz-sdk-checksum-algorithm specified, "+
			"but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	}
	return s3err.New(s3err.InvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.")
}

// trailingChecksum returns a function that reads the announced checksum at the
// end of the body. A missing or malformed one fails the upload.
func trailingChecksum(algorithm string, trailers func() http.Header) func() ([]byte, error) {
	return func() ([]byte, error) {
		name := checksumHeader(algorithm)
		values := trailers().Values(name)
		if len(values) != 1 {
			return nil, s3err.MalformedTrailer
		}
		sum, ok := decodeChecksum(algorithm, strings.TrimSpace(values[0]))
		if !ok {
			return nil, s3err.New(s3err.InvalidRequest, "Value for %s trailing header is invalid.", name)
		}
		return sum, nil
	}
}

// uploadChecksum reads the checksum algorithm and type of a
// CreateMultipartUpload. Both are empty when none is given.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
func (r *Request) uploadChecksum() (algorithm, kind string, err error) {
	if algorithm, err = r.checksumAlgorithm("X-Amz-Checksum-Algorithm"); err != nil {
		return "", "", err
	}
	if kind, err = r.checksumType(); err != nil {
		return "", "", err
	}
	switch {
	case algorithm == "" && kind != "":
		return "", "", s3err.New(s3err.InvalidRequest,
			"The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	case algorithm == "":
		return "", "", nil
	case kind == "":
		return algorithm, defaultChecksumType(algorithm), nil
	case !checksumTypeFits(algorithm, kind):
		return "", "", s3err.New(s3err.InvalidRequest,
			"The %s checksum type cannot be used with the %s checksum algorithm.", kind, strings.ToLower(algorithm))
	}
	return algorithm, kind, nil
}

// checksumType reads x-amz-checksum-type, in any case; "" when it was not sent.
func (r *Request) checksumType() (string, error) {
	if !r.HasHeader("X-Amz-Checksum-Type") {
		return "", nil
	}
	kind := strings.ToUpper(r.Header("X-Amz-Checksum-Type"))
	if kind != engine.FullObject && kind != engine.Composite {
		return "", s3err.New(s3err.InvalidRequest, "Value for x-amz-checksum-type header is invalid.")
	}
	return kind, nil
}

// checksumTypeFits tells which types an algorithm can have in a multipart
// upload: only CRCs of parts can be combined to that of the whole.
func checksumTypeFits(algorithm, kind string) bool {
	switch algorithm {
	case engine.CRC32, engine.CRC32C:
		return true
	case engine.CRC64NVME:
		return kind == engine.FullObject
	}
	return kind == engine.Composite
}

// defaultChecksumType is S3's choice when the client names none.
func defaultChecksumType(algorithm string) string {
	if algorithm == engine.CRC64NVME {
		return engine.FullObject
	}
	return engine.Composite
}

// setChecksum shows a checksum in a reply's header; nil shows nothing.
func setChecksum(h http.Header, c *engine.Checksum) {
	if c == nil {
		return
	}
	h.Set(checksumHeader(c.Algorithm), c.String())
	h.Set("x-amz-checksum-type", c.Type)
}

// checksumElements are the elements of an S3 document for a checksum. At most
// one has a value.
type checksumElements struct {
	CRC32     string `xml:"ChecksumCRC32,omitempty"`
	CRC32C    string `xml:"ChecksumCRC32C,omitempty"`
	CRC64NVME string `xml:"ChecksumCRC64NVME,omitempty"`
	SHA1      string `xml:"ChecksumSHA1,omitempty"`
	SHA256    string `xml:"ChecksumSHA256,omitempty"`
	SHA512    string `xml:"ChecksumSHA512,omitempty"`
	MD5       string `xml:"ChecksumMD5,omitempty"`
	XXHASH64  string `xml:"ChecksumXXHASH64,omitempty"`
	XXHASH3   string `xml:"ChecksumXXHASH3,omitempty"`
	XXHASH128 string `xml:"ChecksumXXHASH128,omitempty"`
}

// field returns the element of the algorithm; nil for an unknown one.
func (e *checksumElements) field(algorithm string) *string {
	switch algorithm {
	case engine.CRC32:
		return &e.CRC32
	case engine.CRC32C:
		return &e.CRC32C
	case engine.CRC64NVME:
		return &e.CRC64NVME
	case engine.SHA1:
		return &e.SHA1
	case engine.SHA256:
		return &e.SHA256
	case engine.SHA512:
		return &e.SHA512
	case engine.MD5:
		return &e.MD5
	case engine.XXHASH64:
		return &e.XXHASH64
	case engine.XXHASH3:
		return &e.XXHASH3
	case engine.XXHASH128:
		return &e.XXHASH128
	}
	return nil
}

// elementsOf returns the elements that show c; none for nil.
func elementsOf(c *engine.Checksum) (e checksumElements) {
	if c != nil {
		if f := e.field(c.Algorithm); f != nil {
			*f = c.String()
		}
	}
	return e
}
