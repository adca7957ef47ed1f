package access

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Policy is a policy document, compiled. It is immutable, and safe to use from
// several goroutines. A nil Policy says nothing.
type Policy struct {
	// Name is for reasons: the bucket's, or the ARN or name of an attached policy.
	Name   string
	source document
	kind   string // for reasons: "bucket policy", "identity policy", "trust policy"
	denies []statement
	allows []statement
	public bool
	tags   bool // see AsksObjectTags
}

// statement is a Statement, compiled.
type statement struct {
	id          string // for reasons: the Sid, or the place in the policy
	deny        bool
	principals  *principalSet // nil: of whom the policy is attached to
	actions     actionSet
	resources   []arnPattern
	notResource bool
	anyResource bool // has no Resource: that of a trust policy
	conditions  []condition
	public      bool
}

// ParseBucketPolicy reads the policy of a bucket, of which its resources must
// be; name is for reasons. Errors are MalformedPolicy with AWS's text.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-policy-language-overview.html
func ParseBucketPolicy(name, bucket string, doc []byte) (*Policy, error) {
	return bucketDialect.parse(name, "bucket policy", bucket, doc)
}

// ParseIdentityPolicy reads a policy of a user, group or role, a boundary, or a
// session policy. Errors are MalformedPolicyDocument, or LimitExceeded.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func ParseIdentityPolicy(name string, doc []byte) (*Policy, error) {
	return identityDialect.parse(name, "identity policy", "", doc)
}

// ParseTrustPolicy reads the policy that says who may assume a role. Errors are
// MalformedPolicyDocument, or LimitExceeded.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_terms-and-concepts.html#term_trust-policy
func ParseTrustPolicy(name string, doc []byte) (*Policy, error) {
	return trustDialect.parse(name, "trust policy", "", doc)
}

func (d *dialect) parse(name, kind, bucket string, doc []byte) (*Policy, error) {
	source, err := d.read(doc)
	if err != nil {
		return nil, err
	}
	p := &Policy{Name: name, source: *source, kind: kind, tags: bytes.Contains(bytes.ToLower(doc), []byte(objectTagKey))}
	for i, raw := range source.Statements {
		s, err := d.compile(raw, i, bucket, source.Version == version2012)
		if err != nil {
			return nil, err
		}
		if s.deny {
			p.denies = append(p.denies, s)
		} else {
			p.allows = append(p.allows, s)
		}
		p.public = p.public || s.public
	}
	return p, nil
}

func (d *dialect) compile(raw rawStatement, i int, bucket string, variables bool) (s statement, err error) {
	s.id = fmt.Sprintf("%d", i+1)
	if raw.Sid != "" {
		s.id = fmt.Sprintf("%q", raw.Sid)
	}
	s.deny = raw.Effect == "Deny"
	if d.principal {
		if s.principals, err = d.newPrincipals(raw); err != nil {
			return s, err
		}
	}
	if err = d.checkActions(slices.Concat(raw.Action, raw.NotAction)); err != nil {
		return s, err
	}
	s.actions = newActionSet(slices.Concat(raw.Action, raw.NotAction), raw.NotAction != nil)
	s.notResource, s.anyResource = raw.NotResource != nil, !d.resource
	for _, text := range slices.Concat(raw.Resource, raw.NotResource) {
		a, ok := newARNPattern(text, variables, true)
		if !ok || d == &bucketDialect && !a.within(bucket) {
			return s, d.badResource(text)
		}
		s.resources = append(s.resources, a)
	}
	if d == &bucketDialect && raw.Action != nil && raw.Resource != nil && !s.applicable(raw.Action) {
		return s, d.fail("Action does not apply to any resource(s) in statement")
	}
	if s.conditions, err = d.newConditions(raw.Condition, variables); err != nil {
		return s, err
	}
	s.public = d.principal && s.isPublic()
	return s, nil
}

func (d *dialect) newPrincipals(raw rawStatement) (*principalSet, error) {
	names, not := raw.Principal, false
	if raw.NotPrincipal != nil {
		names, not = raw.NotPrincipal, true
	}
	s, ok := newPrincipalSet(names, not, d == &trustDialect)
	if !ok {
		return nil, d.fail("Invalid principal in policy")
	}
	return &s, nil
}

// objectTagKey begins the names of the condition keys that are an object's tags.
const objectTagKey = "s3:existingobjecttag/"

// AsksObjectTags reports whether a decision may depend on the tags of the object
// that is asked for, so that they have to be in the need's Context.
func (p *Policy) AsksObjectTags() bool { return p != nil && p.tags }

// find returns the statement, of those that deny or of those that allow, that
// fits best, and how it fits. A statement of an identity's policy fits directly.
func find(statements []statement, e *env, i *identity) (best *statement, how grade) {
	for n := range statements {
		s := &statements[n]
		if !s.actions.has(e.action) || s.deny && e.open != nil && s.undecided(e.open) {
			continue
		}
		fits := direct
		if s.principals != nil {
			fits = s.principals.match(i)
		}
		if fits > how && s.covers(e) && s.met(e) {
			best, how = s, fits
			if how == direct {
				break
			}
		}
	}
	return best, how
}

// denied returns the statement of the policy that denies, if there is one.
func (p *Policy) denied(e *env, i *identity) *statement {
	if p == nil {
		return nil
	}
	s, _ := find(p.denies, e, i)
	return s
}

func (p *Policy) allowed(e *env, i *identity) (*statement, grade) {
	if p == nil {
		return nil, noMatch
	}
	return find(p.allows, e, i)
}

// covers reports whether the statement is about the resource. A pattern whose
// variables have no value matches nothing, and makes no statement allow.
func (s *statement) covers(e *env) bool {
	if s.anyResource || e.open != nil && s.undecided(e.open) {
		return true
	}
	for n := range s.resources {
		ok, resolved := s.resources[n].match(&e.target, e)
		if ok {
			return !s.notResource
		}
		if !resolved && s.notResource && !s.deny {
			return false
		}
	}
	return s.notResource
}

// undecided reports whether a variable of the statement has one of the keys: then it
// may cover and meet anything.
func (s *statement) undecided(open map[string]bool) bool {
	for n := range s.resources {
		if s.resources[n].has(open) {
			return true
		}
	}
	for n := range s.conditions {
		for i := range s.conditions[n].operands {
			if o := &s.conditions[n].operands[i]; o.template.has(open) || o.arn.has(open) {
				return true
			}
		}
	}
	return false
}

func (s *statement) met(e *env) bool {
	if e.open != nil && s.undecided(e.open) {
		return true
	}
	for n := range s.conditions {
		if !s.conditions[n].holds(e, s.deny) {
			return false
		}
	}
	return true
}

// because names a statement for a reason.
func (p *Policy) because(verb string, s *statement) string {
	return fmt.Sprintf("%s by statement %s of %s %s", verb, s.id, p.kind, p.Name)
}

// Public reports whether the policy is public as AWS means it: some statement
// allows something to everybody, and no condition holds it to fixed values.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
func (p *Policy) Public() bool { return p != nil && p.public }

// Principals are the principals that the policy names, in order and once each:
// ARNs in partition aws, account numbers, canonical ids, unique ids of users and
// roles, identity providers and services. The root of an account is given by the
// account's number.
func (p *Policy) Principals() []string {
	var names []string
	for _, s := range slices.Concat(p.allows, p.denies) {
		if s.principals != nil {
			names = append(names, s.principals.list()...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// MarshalJSON writes the policy so that parsing it gives the same decisions. The
// order of keys and the spelling of lists is not kept. It may be longer than what
// was parsed, and than what a parser takes: a store keeps what was sent.
func (p *Policy) MarshalJSON() ([]byte, error) { return json.Marshal(p.source) }
