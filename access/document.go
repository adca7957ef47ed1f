package access

import (
	"regexp"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// Limits of policy documents.
const (
	// MaxBucketPolicyBytes bounds a bucket policy as it is sent.
	// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
	MaxBucketPolicyBytes = 20 << 10
	// MaxIdentityPolicyBytes bounds one policy of a user, group or role,
	// without white space: the largest of IAM's quotas for them.
	// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
	MaxIdentityPolicyBytes = 10240
	// MaxTrustPolicyBytes bounds a trust policy, without white space.
	MaxTrustPolicyBytes = 4096
	// maxDocumentBytes bounds a document of IAM with its white space.
	maxDocumentBytes = 128 << 10
)

// dialect has the rules and error texts of a kind of policy.
type dialect struct {
	code      s3err.Code
	syntax    string // the message for a document that is not JSON or not a policy
	max       int    // bytes
	compact   bool   // white space does not count
	principal bool   // Principal is required; if false, forbidden
	resource  bool   // Resource is required; if false, forbidden
}

var (
	bucketDialect = dialect{
		code: s3err.MalformedPolicy, syntax: "Policies must be valid JSON and the first byte must be '{'",
		max: MaxBucketPolicyBytes, principal: true, resource: true,
	}
	identityDialect = dialect{
		code: s3err.MalformedPolicyDocument, syntax: "Syntax errors in policy.",
		max: MaxIdentityPolicyBytes, compact: true, resource: true,
	}
	trustDialect = dialect{
		code: s3err.MalformedPolicyDocument, syntax: "Syntax errors in policy.",
		max: MaxTrustPolicyBytes, compact: true, principal: true,
	}
)

// fail refuses a document, by the code of its kind.
func (d *dialect) fail(format string, args ...any) error { return s3err.New(d.code, format, args...) }

// texts are strings. A single one may be written without a list.
type texts []string

// document is a policy as written.
type document struct {
	Version    string
	ID         string
	Statements []rawStatement
}

// rawStatement is a statement as written. An absent field is nil, so that it
// differs from an empty one.
type rawStatement struct {
	Sid          string
	Effect       string
	Principal    rawPrincipals
	NotPrincipal rawPrincipals
	Action       texts
	NotAction    texts
	Resource     texts
	NotResource  texts
	Condition    rawConditions
}

// rawPrincipals are names by their type: AWS, CanonicalUser, Federated,
// Service.
type rawPrincipals map[string]texts

// rawConditions are values by operator and key.
type rawConditions map[string]map[string]texts

// The versions of the policy language. Variables came with the second.
const (
	version2008 = "2008-10-17"
	version2012 = "2012-10-17"
)

// read parses a document and checks its form, but not the contents of its
// parts.
func (d *dialect) read(doc []byte) (*document, error) {
	size := len(doc)
	// A longer document fails by its whole length and is not looked through.
	if d.compact && size <= maxDocumentBytes {
		size = 0
		for _, c := range doc {
			if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
				size++
			}
		}
	}
	switch {
	case size <= d.max:
	case d.compact:
		return nil, s3err.New(s3err.LimitExceeded, "Cannot exceed quota for PolicySize: %d", d.max)
	default:
		return nil, d.fail("Policy exceeds the maximum allowed document size.")
	}
	if len(doc) == 0 || !d.compact && doc[0] != '{' {
		return nil, d.fail("%s", d.syntax)
	}
	v, err := parseJSON(doc)
	if err != nil || v.kind != 'o' {
		return nil, &s3err.Error{Code: d.code, Message: d.syntax, Cause: err}
	}
	return d.document(v)
}

// document reads the top-level fields.
func (d *dialect) document(v value) (*document, error) {
	p := &document{}
	for i, name := range v.members {
		item := v.items[i]
		var err error
		switch name {
		case "Version":
			p.Version = item.text
			if item.kind != 's' || item.text != version2008 && item.text != version2012 {
				err = d.fail("The policy must contain a valid version string")
			}
		case "Id":
			p.ID = item.text
			err = d.wantString(name, item)
		case "Statement":
			p.Statements, err = d.statements(item)
		default:
			err = d.fail("Unknown field %s", clip(name))
		}
		if err != nil {
			return nil, err
		}
	}
	if len(p.Statements) == 0 {
		return nil, d.fail("Missing required field Statement")
	}
	return p, nil
}

// maxQuoted bounds the part of a document that an error repeats, in bytes.
const maxQuoted = 100

// clip cuts s to maxQuoted bytes of valid UTF-8.
func clip(s string) string {
	if len(s) > maxQuoted {
		s = s[:maxQuoted]
	}
	return strings.ToValidUTF8(s, "")
}

// wantString refuses a field that is not a string.
func (d *dialect) wantString(name string, v value) error {
	if v.kind != 's' {
		return d.fail("Field %s must be a string", name)
	}
	return nil
}

// statements reads one statement or a list of them.
func (d *dialect) statements(v value) (all []rawStatement, err error) {
	items := []value{v}
	if v.kind == 'l' {
		items = v.items
	}
	sids := make(map[string]bool)
	for _, item := range items {
		if item.kind != 'o' {
			return nil, d.fail("Statement must be an object or a list of objects")
		}
		s, err := d.statement(item)
		if err != nil {
			return nil, err
		}
		if d.code == s3err.MalformedPolicyDocument && s.Sid != "" && sids[s.Sid] {
			return nil, d.fail("Statement IDs (SID) in a single policy must be unique.")
		}
		sids[s.Sid] = true
		all = append(all, s)
	}
	return all, nil
}

// iamSid matches IAM's statement ids; S3 accepts any string.
var iamSid = regexp.MustCompile(`^[0-9A-Za-z]*$`)

// statement reads one statement. Unknown fields are errors, because ignoring
// one could allow too much.
func (d *dialect) statement(v value) (s rawStatement, err error) {
	for i, name := range v.members {
		item := v.items[i]
		ok := true
		switch name {
		case "Sid":
			s.Sid = item.text
			err = d.wantString(name, item)
			if err == nil && d.code == s3err.MalformedPolicyDocument && !iamSid.MatchString(s.Sid) {
				err = d.fail("Statement IDs (SID) must be alpha-numeric. " +
					"Check that your input satisfies the regular expression [0-9A-Za-z]*")
			}
		case "Effect":
			s.Effect = item.text
			if item.kind != 's' || s.Effect != "Allow" && s.Effect != "Deny" {
				err = d.fail("Invalid effect: %s", clip(item.text))
			}
		case "Principal":
			s.Principal, err = d.principals(item)
		case "NotPrincipal":
			s.NotPrincipal, err = d.principals(item)
		case "Action":
			s.Action, ok = item.texts()
		case "NotAction":
			s.NotAction, ok = item.texts()
		case "Resource":
			s.Resource, ok = item.texts()
		case "NotResource":
			s.NotResource, ok = item.texts()
		case "Condition":
			s.Condition, err = d.conditions(item)
		default:
			err = d.fail("Unknown field %s", clip(name))
		}
		if err == nil && !ok {
			err = d.fail("Field %s must be a string or a list of strings", name)
		}
		if err != nil {
			return s, err
		}
	}
	return s, d.complete(&s)
}

// complete checks that a statement has all required fields, each in one form
// only.
func (d *dialect) complete(s *rawStatement) error {
	switch {
	case s.Effect == "":
		return d.fail("Missing required field Effect")
	case !d.principal && (s.Principal != nil || s.NotPrincipal != nil):
		return d.fail("Policy document should not specify a principal.")
	case d.principal && s.Principal == nil && s.NotPrincipal == nil:
		return d.fail("Missing required field Principal")
	case s.Principal != nil && s.NotPrincipal != nil:
		return d.fail("Statement must not have both Principal and NotPrincipal")
	case s.NotPrincipal != nil && s.Effect == "Allow":
		return d.fail("Allow with NotPrincipal is not allowed.")
	case s.Action == nil && s.NotAction == nil:
		return d.fail("Missing required field Action")
	case s.Action != nil && s.NotAction != nil:
		return d.fail("Statement must not have both Action and NotAction")
	case !d.resource && s.Resource != nil:
		return d.fail("Has prohibited field Resource")
	case !d.resource && s.NotResource != nil:
		return d.fail("Has prohibited field NotResource")
	case d.resource && s.Resource == nil && s.NotResource == nil:
		return d.fail("Missing required field Resource")
	case s.Resource != nil && s.NotResource != nil:
		return d.fail("Statement must not have both Resource and NotResource")
	}
	return nil
}

// principals reads "*", or names by type.
func (d *dialect) principals(v value) (rawPrincipals, error) {
	if v.kind == 's' && v.text == "*" {
		return rawPrincipals{everyone: nil}, nil
	}
	if names, ok := v.texts(); ok && len(names) > 0 && d == &bucketDialect {
		return rawPrincipals{"AWS": names}, nil // policies of other S3 servers leave out the type
	}
	if v.kind != 'o' || len(v.members) == 0 {
		return nil, d.fail("Invalid principal in policy")
	}
	p := make(rawPrincipals)
	for i, kind := range v.members {
		names, ok := v.items[i].texts()
		if !ok || kind == everyone {
			return nil, d.fail("Invalid principal in policy")
		}
		p[kind] = names
	}
	return p, nil
}

// everyone is the type that rawPrincipals uses for the principal "*".
const everyone = "*"

// conditions reads values by operator and key.
func (d *dialect) conditions(v value) (rawConditions, error) {
	if v.kind != 'o' {
		return nil, d.fail("Field Condition must be an object")
	}
	all := make(rawConditions)
	for i, operator := range v.members {
		keys := v.items[i]
		if keys.kind != 'o' {
			return nil, d.fail("Field Condition must hold objects")
		}
		all[operator] = make(map[string]texts)
		for j, key := range keys.members {
			values, ok := keys.items[j].scalars()
			if !ok {
				return nil, d.fail("Condition %s of %s must have a value", clip(key), clip(operator))
			}
			all[operator][key] = values
		}
	}
	return all, nil
}
