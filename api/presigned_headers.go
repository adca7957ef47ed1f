package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// Presigned URLs may carry x-amz- headers as query parameters: SDKs "hoist"
// them there, and S3 honours ACLs and metadata given so. Ignoring them would
// drop settings that the signer asked for. So they become headers, and all
// rules for headers apply.

// signatureParameters are parameters of the signature and of the transfer. The
// verifier reads them itself.
var signatureParameters = []string{
	"x-amz-algorithm", "x-amz-content-sha256", "x-amz-credential", "x-amz-date", "x-amz-decoded-content-length",
	"x-amz-expires", "x-amz-security-token", "x-amz-signature", "x-amz-signedheaders", "x-amz-trailer",
}

// withQueryHeaders returns the header with the query's x-amz- parameters added; h itself
// when there are none. Checksums are left out, as on S3: SDKs put the checksum
// of an empty body into URLs for later uploads. A parameter that would select
// another operation is refused; it must be a header.
func withQueryHeaders(h http.Header, t Target) (http.Header, error) {
	merged := h
	for _, p := range t.Query {
		name := strings.ToLower(p.Name)
		if !strings.HasPrefix(name, "x-amz-") || slices.Contains(signatureParameters, name) ||
			strings.HasPrefix(name, "x-amz-checksum-") || name == "x-amz-sdk-checksum-algorithm" {
			continue
		}
		refuse := func() (http.Header, error) {
			return nil, s3err.New(s3err.InvalidArgument, "This header cannot be given in the query; send it as a header, once.").With("ArgumentName", name)
		}
		// A customer's key must not be in a URL, which others can see.
		if !isToken(name) || strings.HasPrefix(name, "x-amz-copy-source") || strings.HasSuffix(name, "-customer-key") {
			return refuse()
		}
		if old := merged.Values(name); len(old) > 0 {
			if len(old) == 1 && old[0] == p.Value {
				continue
			}
			return refuse()
		}
		if len(merged) == len(h) {
			merged = h.Clone()
		}
		merged.Set(name, p.Value)
	}
	if len(merged) == len(h) {
		return h, nil
	}
	return merged, checkHeaderSize(merged)
}

// isToken reports whether a lowercase name is valid for a header.
// Source: RFC 9110, section 5.6.2.
func isToken(name string) bool {
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") == ""
}
