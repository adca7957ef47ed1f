package sigv4

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// signed2 are the query parameters that Version 2 signs. It does not cover any
// others. The values of overrides2 are headers and can be any text.
// Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html,
// which ends at website; the later ones are in Amazon's SDKs for Java and
// Python.
var (
	signed2 = []string{
		"accelerate", "acl", "analytics", "cors", "delete", "inventory", "lifecycle", "location", "logging",
		"metrics", "notification", "object-lock", "partNumber", "policy", "replication", "requestPayment",
		"restore", "select", "select-type", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning",
		"versions", "website",
	}
	overrides2 = []string{
		"response-cache-control", "response-content-disposition", "response-content-encoding",
		"response-content-language", "response-content-type", "response-expires",
	}
)

// SignedByVersion2 reports whether Version 2 signs a query parameter. Any other
// parameter may have been added by somebody else than the signer.
func SignedByVersion2(name string) bool {
	return slices.Contains(signed2, name) || slices.Contains(overrides2, name)
}

// stringToSign2 is the text that is signed:
//
//	method
//	Content-MD5
//	Content-Type
//	Date; in a URL, Expires
//	x-amz- headers, a line each: name:value,value
//	/bucket/path?signed=parameter&another
//
// By itself the text is ambiguous, because values are not escaped. Requests
// that could be read as another one are refused, so that no two accepted
// requests share a text.
func stringToSign2(r *http.Request, t Target, c *claim) ([]byte, error) {
	b := make([]byte, 0, 512)
	b = append(b, r.Method...)
	for _, name := range [...]string{"Content-Md5", "Content-Type"} {
		b = append(b, '\n')
		b = append(b, strings.Join(r.Header[name], ",")...)
	}
	b = append(b, '\n')
	b = append(b, c.stamp...)
	b = append(b, '\n')
	b, err := appendAmzHeaders2(b, r.Header, t.Query, c.place)
	if err != nil {
		return nil, err
	}
	return appendResource2(b, t, c.place)
}

// appendAmzHeaders2 writes the x-amz- headers. Parameters in the query of a
// presigned URL count as headers too: SDKs put them there, and the signer
// signed them so. In a URL's request, the header x-amz-date has no meaning and
// is not signed.
func appendAmzHeaders2(b []byte, h http.Header, q Query, at place) ([]byte, error) {
	var lines []Param
	for name, values := range h {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && (at != inQuery || lower != "x-amz-date") {
			lines = append(lines, Param{lower, strings.Join(values, ",")})
		}
	}
	for _, p := range q {
		lower := strings.ToLower(p.Name)
		if !strings.HasPrefix(lower, "x-amz-") {
			continue
		}
		if at != inQuery {
			return nil, s3err.New(s3err.AccessDenied, "There were headers present in the request which were not signed").
				With("HeadersNotSigned", shortValue(lower))
		}
		switch i := slices.IndexFunc(lines, func(l Param) bool { return l.Name == lower }); {
		case i >= 0 && lines[i].Value == p.Value:
			continue
		case i >= 0 || !isLowerToken(lower) || hasControl(p.Value):
			return nil, s3err.New(s3err.InvalidArgument, "This header cannot be given in the query; send it as a header, once.").
				With("ArgumentName", shortValue(lower))
		}
		lines = append(lines, Param{lower, p.Value})
	}
	slices.SortFunc(lines, func(a, b Param) int { return strings.Compare(a.Name, b.Name) })
	for _, l := range lines {
		b = append(append(append(append(b, l.Name...), ':'), l.Value...), '\n')
	}
	return b, nil
}

func hasControl(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) >= 0
}

// appendResource2 writes the bucket, the path as it arrived, and the signed
// parameters, decoded and sorted. "?acl" and "?acl=" are the same.
func appendResource2(b []byte, t Target, at place) ([]byte, error) {
	if t.HostBucket != "" {
		b = append(append(b, '/'), t.HostBucket...)
	}
	b = append(b, t.RawPath...)
	var signed Query
	for _, p := range t.Query {
		if SignedByVersion2(p.Name) {
			signed = append(signed, p)
		}
	}
	slices.SortFunc(signed, func(a, b Param) int { return strings.Compare(a.Name, b.Name) })
	overridden := false
	for i, p := range signed {
		override := slices.Contains(overrides2, p.Name)
		switch {
		case i > 0 && signed[i-1].Name == p.Name:
			return nil, s3err.New(s3err.InvalidArgument, "A query parameter was given more than once.").With("ArgumentName", p.Name)
		case holdsParameter(p.Value), overridden && !override && at == inQuery:
			// The same text is signed if one parameter's value ends with the
			// other parameter.
			return nil, s3err.New(s3err.InvalidArgument, "Signature Version 2 does not tell where the value of a parameter ends. "+
				"Please use AWS4-HMAC-SHA256.").
				With("ArgumentName", p.Name)
		}
		overridden = overridden || override
		b = append(append(b, "?&"[min(i, 1)]), p.Name...)
		if p.Value != "" {
			b = append(append(b, '='), p.Value...)
		}
	}
	return b, nil
}

// holdsParameter reports whether a value could also be read as a shorter value
// and further signed parameters.
func holdsParameter(value string) bool {
	_, rest, more := strings.Cut(value, "&")
	for more {
		var pair string
		pair, rest, more = strings.Cut(rest, "&")
		if name, _, _ := strings.Cut(pair, "="); SignedByVersion2(name) {
			return true
		}
	}
	return false
}
