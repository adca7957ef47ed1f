package api

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

// formHeaders maps form fields to the header of PutObject with the same
// meaning. Other fields have no effect, except those of formPrefixes.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
var formHeaders = map[string]string{
	"acl": "X-Amz-Acl", "cache-control": "Cache-Control", "content-type": "Content-Type",
	"content-disposition": "Content-Disposition", "content-encoding": "Content-Encoding",
	"content-language": "Content-Language", "expires": "Expires",
	"x-amz-acl": "X-Amz-Acl", "x-amz-storage-class": "X-Amz-Storage-Class",
	"x-amz-website-redirect-location": "X-Amz-Website-Redirect-Location",
}

// formPrefixes begin fields that are named like the header.
var formPrefixes = []string{
	metadataPrefix, "x-amz-server-side-encryption", "x-amz-checksum-", "x-amz-grant-", "x-amz-object-lock-",
}

// formCredentials are the fields of the signature.
var formCredentials = []string{"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token"}

// requestHeaders are the request's own headers that stay in effect: they are
// about its sender, and policies see most of them. All others would describe the
// object, and the form's signature does not cover them.
var requestHeaders = []string{
	"Content-Length", "Expect", "Origin", "Referer", "User-Agent", "X-Amz-Expected-Bucket-Owner", "X-Forwarded-For", "X-Forwarded-Proto",
}

// authenticateForm reads the fields of a form, verifies its signature, if any,
// and checks it against its policy. Afterwards the request is like a PutObject:
// key and header come from the form.
func (x *exchange) authenticateForm() error {
	s, r := x.server, x.req
	f, err := readForm(r.Header("Content-Type"), x.in, r.HTTP.ContentLength)
	if err != nil {
		return err
	}
	r.form = f
	if err := f.expand(); err != nil {
		return err
	}
	if err := f.checkKey(); err != nil {
		return err
	}
	// An empty policy is refused before the signature, as S3 does.
	if policy, ok := f.fields["policy"]; ok && policy == "" {
		return badPolicy("Expecting '{' but found End-of-Input")
	}
	id, err := s.verify(r, func(v *sigv4.Verifier) (*sigv4.Identity, error) {
		return v.VerifyPolicy(r.Context(), f.signature())
	})
	if err != nil {
		return err
	}
	// An anonymous form has no signature, and its policy binds nobody.
	if id.AccessKey != "" {
		p, err := parsePostPolicy(f.fields["policy"])
		if err == nil {
			err = p.check(f.fields, f.names, r.Target.Bucket, r.Now)
		}
		if err != nil {
			return err
		}
		// The file's size is checked while it arrives, since a form announces
		// only its whole length.
		if f.min = p.min; p.max >= 0 {
			f.max = min(f.max, p.max)
		}
	}
	header, err := f.header(r.HTTP.Header)
	if err != nil {
		return err
	}
	replaced := *r.HTTP
	replaced.Header = header
	r.HTTP, r.Target.Key = &replaced, f.fields["key"]
	return nil
}

// fileNameVariable stands for the file's name in fields.
const fileNameVariable = "${filename}"

// expand replaces the variable in fields before they are used, by the form's
// policy as well. The signed fields stay as they are.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html
func (f *form) expand() error {
	size := 0
	for _, name := range f.names {
		value := f.fields[name]
		// A long file name in many variables could multiply the form's size.
		n := strings.Count(value, fileNameVariable)
		if name == "policy" || slices.Contains(formCredentials, name) {
			n = 0
		}
		size += len(name) + len(value) + n*(len(f.filename)-len(fileNameVariable))
		if size > maxFormBytes {
			return tooMuchForm()
		}
		if n > 0 {
			f.fields[name] = strings.ReplaceAll(value, fileNameVariable, f.filename)
		}
	}
	return nil
}

// checkKey refuses a form without a valid key.
func (f *form) checkKey() error {
	key, ok := f.fields["key"]
	if !ok {
		return s3err.New(s3err.InvalidArgument,
			"Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.").
			With("ArgumentName", "key")
	}
	if key == "" {
		return s3err.UserKeyMustBeSpecified
	}
	if err := checkClimb(http.MethodPost, key); err != nil {
		return err
	}
	return CheckKey(key)
}

// signature returns the fields with the form's signature.
func (f *form) signature() sigv4.Policy {
	_, key2 := f.fields["awsaccesskeyid"]
	_, signature2 := f.fields["signature"]
	return sigv4.Policy{
		Version2: key2 || signature2, AccessKey2: f.fields["awsaccesskeyid"], Signature2: f.fields["signature"],
		Policy: f.fields["policy"], Algorithm: f.fields["x-amz-algorithm"], Credential: f.fields["x-amz-credential"],
		Date: f.fields["x-amz-date"], Signature: f.fields["x-amz-signature"], SecurityToken: f.fields["x-amz-security-token"],
	}
}

// header makes the header of the PutObject that the form is equal to.
func (f *form) header(arrived http.Header) (http.Header, error) {
	h := http.Header{}
	for _, name := range requestHeaders {
		if values := arrived.Values(name); len(values) > 0 {
			h[name] = values
		}
	}
	for _, name := range f.names {
		value := f.fields[name]
		target := formHeaders[name]
		switch {
		case target != "":
		case name == "tagging":
			tags, err := parseTagging([]byte(value), maxObjectTags)
			if err != nil {
				return nil, err
			}
			target, value = taggingHeader, tagHeader(tags)
		case slices.ContainsFunc(formPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) && isToken(name):
			target = name
		case strings.HasPrefix(name, "x-amz-") && !slices.Contains(formCredentials, name):
			return nil, s3err.New(s3err.InvalidArgument, "This form field is not supported.").With("ArgumentName", name)
		default:
			continue
		}
		// Two fields with one meaning would make it unclear which one the
		// policy covers.
		if h.Get(target) != "" {
			return nil, s3err.New(s3err.InvalidArgument, "Two form fields set the same header; send one of them.").With("ArgumentName", name)
		}
		h.Set(target, value)
	}
	return h, checkHeaderSize(h)
}

// tagHeader returns the value of x-amz-tagging for the tags.
func tagHeader(tags []engine.Pair) string {
	var b strings.Builder
	for i, t := range tags {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(t.Name) + "=" + url.QueryEscape(t.Value))
	}
	return b.String()
}

// postObject stores the file of a form. The form selects the kind of answer.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
func postObject(s *Server, r *Request) (*Reply, error) {
	reply, err := putObject(s, r)
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1008 answers have the name as S3 spells it
	etag := strings.Join(reply.Header["ETag"], "")
	if target := r.form.redirect(r.Bucket.Name, etag); target != "" {
		reply.Status = http.StatusSeeOther
		reply.Header.Set("Location", target)
		return reply, nil
	}
	where := r.objectURL()
	reply.Header.Set("Location", where)
	switch r.form.fields["success_action_status"] {
	case "200":
		reply.Status = http.StatusOK
	case "201":
		reply.Status = http.StatusCreated
		reply.XML = postResponse{Location: where, Bucket: r.Bucket.Name, Key: r.Target.Key, ETag: etag}
	default:
		reply.Status = http.StatusNoContent
	}
	return reply, nil
}

// redirect returns the page that the form sends the browser to, or "".
func (f *form) redirect(bucket, etag string) string {
	target := f.fields["success_action_redirect"]
	if target == "" {
		target = f.fields["redirect"] // its older name
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "" // S3 ignores an invalid page
	}
	added := "bucket=" + url.QueryEscape(bucket) + "&key=" + url.QueryEscape(f.fields["key"]) + "&etag=" + url.QueryEscape(etag)
	if u.RawQuery != "" {
		added = u.RawQuery + "&" + added
	}
	u.RawQuery = added
	return u.String()
}

// postResponse is the answer to a form that asks for status 201.
type postResponse struct {
	XMLName  xml.Name `xml:"PostResponse"`
	Location string   `xml:"Location"`
	Bucket   string   `xml:"Bucket"`
	Key      string   `xml:"Key"`
	ETag     string   `xml:"ETag"`
}
