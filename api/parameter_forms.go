package api

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/s3err"
)

// parameterForm checks the form of a parameter that mostly has no effect here.
// A client that misspells a parameter with an effect on S3 must not take it for
// done. Parameters with an effect are checked by their handlers.
type parameterForm struct {
	name  string   // a header as net/http spells it; or "?" and a query parameter
	of    []string // operations that have it
	check func(r *Request, name, value string) error
}

var (
	objectMakers = []string{"PutObject", "PostObject", "CopyObject", "CreateMultipartUpload"}
	objectLists  = []string{"ListObjects", "ListObjectsV2", "ListObjectVersions"}
)

// parameterForms holds the checks by operation.
var parameterForms = byOperation([]parameterForm{
	{"X-Amz-Bypass-Governance-Retention", []string{"DeleteObject", "DeleteObjects", "PutObjectRetention"}, isSwitch},
	{"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", objectMakers, isSwitch},
	{"X-Amz-Confirm-Remove-Self-Bucket-Access", []string{"PutBucketPolicy"}, isSwitch},
	{"X-Amz-Skip-Destination-Validation", []string{"PutBucketNotificationConfiguration"}, isSwitch},
	{"X-Amz-Checksum-Mode", []string{"GetObject", "HeadObject"}, isChecksumMode},
	{"X-Amz-Object-Annotation-Directive", []string{"CopyObject"}, isOneOf("COPY", "EXCLUDE")}, // annotations do not exist here
	{"X-Amz-Optional-Object-Attributes", objectLists, isRestoreStatus},
	{"?fetch-owner", []string{"ListObjectsV2"}, isOptionalSwitch},
	{"?list-type", []string{"ListObjects"}, isOneOf("", "1")},
	{"?bucket-region", []string{"ListBuckets"}, isRegion},
	{"?continuation-token", listsOfNone, isNoToken},
	{"?prefix", []string{"ListBuckets", "ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads"}, isUTF8},
	{"?delimiter", []string{"ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads"}, isUTF8},
	{"?marker", []string{"ListObjects"}, isUTF8},
	{"?start-after", []string{"ListObjectsV2"}, isUTF8},
	{"?key-marker", []string{"ListObjectVersions", "ListMultipartUploads"}, isUTF8},
})

// listsOfNone are lists of configurations that are always empty.
var listsOfNone = []string{"ListBucketAnalyticsConfigurations", "ListBucketIntelligentTieringConfigurations", "ListBucketMetricsConfigurations"}

// byOperation indexes the checks, which the table names by parameter.
func byOperation(forms []parameterForm) map[string][]parameterForm {
	m := make(map[string][]parameterForm)
	for _, f := range forms {
		for _, op := range f.of {
			m[op] = append(m[op], f)
		}
	}
	return m
}

// checkForms applies parameterForms to the request.
func (r *Request) checkForms() error {
	for _, f := range parameterForms[r.Op.Name] {
		given, value := r.HasHeader(f.name), ""
		name, query := strings.CutPrefix(f.name, "?")
		if query {
			given, value = r.HasQuery(name), r.QueryValue(name)
		} else if given {
			value = r.Header(name)
		}
		if !given {
			continue
		}
		if !query {
			name = strings.ToLower(name)
		}
		if err := f.check(r, name, value); err != nil {
			return err
		}
	}
	if r.Op.Name == "GetObject" || r.Op.Name == "HeadObject" {
		return r.checkOverrides()
	}
	return nil
}

// badParameter refuses a value that its parameter cannot have.
func badParameter(name, value, message string, args ...any) error {
	return s3err.New(s3err.InvalidArgument, message, args...).With("ArgumentName", name).With("ArgumentValue", value)
}

// isSwitch demands true or false.
func isSwitch(_ *Request, name, value string) error {
	_, err := parseSwitch(name, value)
	return err
}

// isOptionalSwitch also accepts an empty value.
func isOptionalSwitch(r *Request, name, value string) error {
	if value == "" {
		return nil
	}
	return isSwitch(r, name, value)
}

// isOneOf accepts the words, in exactly this spelling.
func isOneOf(words ...string) func(*Request, string, string) error {
	return func(_ *Request, name, value string) error {
		if slices.Contains(words, value) {
			return nil
		}
		return badParameter(name, value, "The value of %s is not valid.", name)
	}
}

// isChecksumMode demands ENABLED; SDKs send it in several cases.
func isChecksumMode(_ *Request, name, value string) error {
	if value == "" || strings.EqualFold(value, "ENABLED") {
		return nil
	}
	return s3err.New(s3err.InvalidRequest, "Value for %s header is invalid.", name)
}

// isRestoreStatus checks the optional attributes of a listing. S3 has one,
// RestoreStatus; no object here has it, because none is archived.
func isRestoreStatus(_ *Request, name, value string) error {
	for attribute := range strings.SplitSeq(value, ",") {
		if strings.TrimSpace(attribute) != "RestoreStatus" && value != "" {
			return badParameter(name, value, "Invalid attribute name specified.")
		}
	}
	return nil
}

// regions matches the form of AWS's region names.
var regions = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]{2,16}){1,3}-[0-9]{1,2}$`)

// isRegion accepts the form of AWS's region names and the regions that clients
// may sign for here.
func isRegion(r *Request, name, value string) error {
	s := r.server
	if value == "" || value == s.region || s.verifier.AnyRegion || slices.Contains(s.verifier.Regions, value) || regions.MatchString(value) {
		return nil
	}
	return badParameter(name, value, "Argument value %s is not a valid AWS Region", value)
}

// isNoToken refuses every token: these lists have one page.
func isNoToken(_ *Request, name, value string) error {
	return badParameter(name, value, "The continuation token provided is incorrect")
}

// isUTF8 does not repeat the value in its error, which XML could not show.
func isUTF8(_ *Request, name, value string) error {
	if utf8.ValidString(value) {
		return nil
	}
	return s3err.New(s3err.InvalidArgument, "The value is not valid UTF-8.").With("ArgumentName", name)
}

// checkOverrides refuses response- parameters that override no header.
func (r *Request) checkOverrides() error {
	for _, p := range r.Target.Query {
		if _, known := responseOverrides[p.Name]; !known && strings.HasPrefix(p.Name, "response-") {
			return badParameter(p.Name, p.Value,
				"%s is not in the set of overridable response headers. Please refer to the S3 API documentation for a complete list of overridable response headers.", p.Name)
		}
	}
	return nil
}
