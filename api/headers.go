package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

// headerRule restricts the values of an x-amz- header. Handlers read the
// headers that they know; all others have no effect. These rules refuse headers
// that must not be ignored: a client that asks for a lock, another key or
// another owner must not get success without it.
type headerRule struct {
	name   string // lowercase; ends in "-": a prefix
	accept []string
	// refusal answers values that S3 knows and the gateway does not support.
	refusal s3err.Code
	// known lists those values; nil: every value is one.
	known []string
	// words is S3's message for a value that S3 does not know; empty: none.
	words string
	// of is the operation that takes the header; empty: none does.
	of string
}

// headerRules are tried in order; the first rule for the header decides.
// Source: the request parameters of PutObject, CopyObject,
// CreateMultipartUpload, CreateBucket and others in
// https://docs.aws.amazon.com/AmazonS3/latest/API/
var headerRules = []headerRule{
	{name: "x-amz-server-side-encryption", accept: []string{encryptionAES, encryptionKMS}, refusal: s3err.NotImplemented,
		known: []string{"aws:kms:dsse", "aws:fsx"}, words: "The encryption method specified is not supported"},
	{name: "x-amz-mfa", refusal: s3err.NotImplemented},
	{name: "x-amz-write-offset-bytes", refusal: s3err.NotImplemented},
	{name: "x-amz-rename-source", refusal: s3err.NotImplemented, of: "RenameObject"},
	{name: "x-amz-copy-source-range", refusal: s3err.InvalidArgument, of: "UploadPartCopy"}, // CopyObject copies the whole
	{name: "x-amz-bucket-namespace", accept: []string{"global"}, refusal: s3err.NotImplemented, known: []string{"account-regional"}},
	{name: "x-amz-object-lock-event-hold", accept: []string{holdOff}, refusal: s3err.NotImplemented, known: []string{holdOn}},
	{name: "x-amz-object-lock-event-hold-duration-", refusal: s3err.NotImplemented},
}

// names reports whether the rule is about the header, given in lower case.
func (rule *headerRule) names(header string) bool {
	return header == rule.name || strings.HasSuffix(rule.name, "-") && strings.HasPrefix(header, rule.name)
}

// check refuses a value that the rule does not accept.
func (rule *headerRule) check(header, value string) error {
	if slices.Contains(rule.accept, value) {
		return nil
	}
	if rule.known == nil || slices.Contains(rule.known, value) {
		return s3err.New(rule.refusal, "").With("Header", header)
	}
	return s3err.New(s3err.InvalidArgument, "%s", rule.words).With("ArgumentName", header).With("ArgumentValue", value)
}

// checkHeaderRules applies headerRules to every header of an operation's request.
func checkHeaderRules(op *Operation, h http.Header) error {
	for name, values := range h {
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, "x-amz-") {
			continue
		}
		for i := range headerRules {
			if !headerRules[i].names(lower) || headerRules[i].of == op.Name {
				continue
			}
			if err := headerRules[i].check(lower, strings.Join(values, ",")); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// singletons are headers besides x-amz-* that a handler reads. If one is
// repeated, it is ambiguous which value counts.
var singletons = []string{
	"Authorization", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language",
	"Content-Md5", "Content-Type", "Date", "Expires", "If-Match", "If-Modified-Since",
	"If-None-Match", "If-Unmodified-Since", "Range",
}

// mayRepeat lists prefixes of x-amz- headers that S3 joins by commas, as they
// are signed.
var mayRepeat = []string{"x-amz-meta-", "x-amz-object-attributes", "x-amz-optional-object-attributes", "x-amz-trailer"}

// checkRepeated refuses headers and query parameters with a single value that
// were given twice. Query names that differ in case only count as the same.
func (r *Request) checkRepeated() error {
	for name, values := range r.HTTP.Header {
		lower := strings.ToLower(name)
		single := slices.Contains(singletons, name) || strings.HasPrefix(lower, "x-amz-") &&
			!slices.ContainsFunc(mayRepeat, func(p string) bool { return strings.HasPrefix(lower, p) })
		if single && len(values) > 1 {
			return s3err.New(s3err.InvalidArgument, "A header was given more than once.").With("ArgumentName", lower)
		}
	}
	for i, p := range r.Target.Query {
		name, known := knownQuery[strings.ToLower(p.Name)]
		again := func(q sigv4.Param) bool { return strings.EqualFold(q.Name, p.Name) }
		if known && slices.ContainsFunc(r.Target.Query[:i], again) {
			return s3err.New(s3err.InvalidArgument, "A query parameter was given more than once.").With("ArgumentName", name)
		}
	}
	return nil
}

// knownQuery holds the parameters that a handler reads or that select a row, by
// lower-case name. A parameter in another case has no effect, but beside the
// right one it would be ambiguous to whoever reads the request.
var knownQuery = func() map[string]string {
	names := []string{
		"bucket-region", "continuation-token", "delimiter", "encoding-type", "fetch-owner", "id",
		"key-marker", "list-type", "marker", "max-buckets", "max-keys", "max-parts", "max-uploads",
		"part-number-marker", "prefix", "response-cache-control", "response-content-disposition",
		"response-content-encoding", "response-content-language", "response-content-type",
		"response-expires", "start-after", "upload-id-marker", "version-id-marker",
	}
	for name := range selecting {
		names = append(names, name)
	}
	m := make(map[string]string, len(names))
	for _, name := range names {
		m[strings.ToLower(name)] = name
	}
	return m
}()
