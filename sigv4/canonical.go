package sigv4

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// MaxSignedHeaders bounds the names in SignedHeaders. User metadata of 2 KB can
// consist of many.
const MaxSignedHeaders = 256

// splitSignedHeaders splits the list of names and checks each. The order is the
// client's, because old versions of curl do not sort it.
func splitSignedHeaders(c *claim) ([]string, error) {
	malformed := func() error {
		if c.place == inQuery {
			return s3err.New(s3err.AuthorizationQueryParametersError, "X-Amz-SignedHeaders must be a list of header names in lower case.")
		}
		return c.place.malformed("SignedHeaders must be a list of header names in lower case.")
	}
	if strings.Count(c.signedHeaders, ";") >= MaxSignedHeaders {
		return nil, malformed()
	}
	names := strings.Split(c.signedHeaders, ";")
	for _, n := range names {
		if n == "" || !isLowerToken(n) {
			return nil, malformed()
		}
	}
	return names, nil
}

// isLowerToken reports whether s is a header name in lower case. Anything else,
// such as a line feed, could forge lines of the canonical request.
func isLowerToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			continue
		}
		return false
	}
	return true
}

// checkCovered returns the signed names in order. It refuses requests where
// host or an x-amz-* header is not signed: whoever holds a presigned URL could
// have added it. The canonical request keeps the client's order; the sorted
// names are for callers.
func checkCovered(h http.Header, signed []string) ([]string, error) {
	sorted := slices.Clone(signed)
	slices.Sort(sorted)
	if len(slices.Compact(sorted)) != len(signed) {
		return nil, s3err.New(s3err.InvalidArgument, "A header is listed twice in the signed headers.").
			With("ArgumentName", "SignedHeaders")
	}
	var missing []string
	if _, ok := slices.BinarySearch(sorted, "host"); !ok {
		missing = append(missing, "host")
	}
	for name := range h {
		if !hasFoldedPrefix(name, "x-amz-") {
			continue
		}
		lower := strings.ToLower(name)
		if _, ok := slices.BinarySearch(sorted, lower); !ok {
			missing = append(missing, lower)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, s3err.New(s3err.AccessDenied, "There were headers present in the request which were not signed").
			With("HeadersNotSigned", strings.Join(missing, ", "))
	}
	return sorted, nil
}

// canonicalRequest returns the text that the client must have signed. Unlike
// other services, S3 neither normalises the path nor encodes it twice.
func canonicalRequest(r *http.Request, t Target, c *claim, signed []string, payload string) []byte {
	b := make([]byte, 0, 1024)
	b = append(b, r.Method...)
	b = append(b, '\n')
	b = appendEncoded(b, t.Path, true)
	b = append(b, '\n')
	skip := ""
	if c.place == inQuery {
		skip = "X-Amz-Signature"
	}
	b = t.Query.appendCanonical(b, skip)
	b = append(b, '\n')
	for _, name := range signed {
		b = append(b, name...)
		b = append(b, ':')
		b = appendHeader(b, r, name)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, c.signedHeaders...)
	b = append(b, '\n')
	return append(b, payload...)
}

// appendHeader writes the canonical value of a header: its values trimmed,
// inner blanks folded, joined by commas. An absent header is empty. net/http
// moves some headers to fields of the request.
func appendHeader(b []byte, r *http.Request, name string) []byte {
	if name == "host" {
		return appendFolded(b, r.Host)
	}
	values, ok := r.Header[textproto.CanonicalMIMEHeaderKey(name)]
	if !ok {
		switch name {
		case "content-length":
			if r.ContentLength >= 0 {
				return strconv.AppendInt(b, r.ContentLength, 10)
			}
		case "transfer-encoding":
			values = r.TransferEncoding
		case "expect":
			return append(b, "100-continue"...)
		}
	}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendFolded(b, v)
	}
	return b
}

// appendFolded trims s and folds its inner blanks to one.
func appendFolded(b []byte, s string) []byte {
	start, blank := len(b), false
	for i := 0; i < len(s); i++ {
		if s[i] == ' ' || s[i] == '\t' {
			blank = true
			continue
		}
		if blank && len(b) > start {
			b = append(b, ' ')
		}
		blank = false
		b = append(b, s[i])
	}
	return b
}

// maxEchoed bounds the canonical request that an error repeats to the client.
const maxEchoed = 16 << 10

// mismatch shows the client the text that the gateway signed, for comparison.
// It leaves out the signature of a presigned URL, whose sender need not be its
// owner, and a canonical request with a customer's encryption key.
func mismatch(c *claim, toSign, canonical []byte, signed []string) error {
	e := s3err.New(s3err.SignatureDoesNotMatch, "").
		With("AWSAccessKeyId", c.accessKey).
		With("StringToSign", string(toSign))
	if c.place == inHeader {
		e.With("SignatureProvided", c.signature)
	}
	e.With("StringToSignBytes", fmt.Sprintf("% x", toSign))
	for _, name := range signed {
		if strings.HasSuffix(name, "-customer-key") {
			return e
		}
	}
	if len(canonical) <= maxEchoed {
		e.With("CanonicalRequest", string(canonical)).
			With("CanonicalRequestBytes", fmt.Sprintf("% x", canonical))
	}
	return e
}
