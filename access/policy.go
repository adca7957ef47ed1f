package access

import (
	"slices"
	"strconv"
)

// Policy is a compiled policy document. It is immutable and safe for concurrent
// use. A nil Policy neither allows nor denies anything.
type Policy struct {
	// Name is for reasons: the bucket's, or the ARN or name of an attached
	// policy.
	Name    string
	text    string // as parsed
	dialect *dialect
	rename  func(name string) string // of principals, for Text; nil: none
	kind    string                   // for reasons: "bucket policy", "identity policy", "trust policy"
	size    int                      // bytes
	denies  []statement
	allows  []statement
	public  bool
	tags    bool     // see AsksObjectTags
	made    bool     // see AsksNewObject
	keys    bool     // a statement denies a use of keys: see Principal.DeniesKeys
	unknown []string // see Closed
}

// statement is a compiled Statement.
type statement struct {
	sid         string // sid is for reasons
	index       int32
	deny        bool
	principals  *principalSet // nil: the principal that the policy is attached to
	actions     actionSet
	resources   []arnPattern
	notResource bool
	anyResource bool // there is no Resource, as in a trust policy
	conditions  []condition
	public      bool
}

// ParseBucketPolicy parses the policy of a bucket. Its resources must be of
// that bucket. name is for reasons. Errors are MalformedPolicy with AWS's text.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-policy-language-overview.html
func ParseBucketPolicy(name, bucket string, doc []byte) (*Policy, error) {
	return bucketDialect.parse(name, "bucket policy", bucket, doc)
}

// ParseIdentityPolicy parses a policy of a user, group or role, a boundary, or
// a session policy. Errors are MalformedPolicyDocument, or LimitExceeded.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func ParseIdentityPolicy(name string, doc []byte) (*Policy, error) {
	return identityDialect.parse(name, "identity policy", "", doc)
}

// ParseTrustPolicy parses the policy that says who may assume a role. Errors
// are MalformedPolicyDocument, or LimitExceeded.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_terms-and-concepts.html#term_trust-policy
func ParseTrustPolicy(name string, doc []byte) (*Policy, error) {
	return trustDialect.parse(name, "trust policy", "", doc)
}

// parse reads a document of the dialect and compiles all of its statements.
func (d *dialect) parse(name, kind, bucket string, doc []byte) (*Policy, error) {
	source, err := d.read(doc)
	if err != nil {
		return nil, err
	}
	p := &Policy{Name: name, text: string(doc), dialect: d, kind: kind}
	for i, raw := range source.Statements {
		s, err := d.compile(raw, i, bucket, source.Version == version2012)
		if err != nil {
			return nil, err
		}
		p.tags = p.tags || s.asks(objectTags)
		p.made = p.made || s.asks(newObject)
		p.keys = p.keys || s.deny && slices.ContainsFunc(keyUses, s.actions.has)
		if s.deny {
			p.denies = append(p.denies, s)
		} else {
			p.allows = append(p.allows, s)
		}
	}
	p.denies, p.allows = exactly(p.denies), exactly(p.allows)
	if d == &bucketDialect {
		p.judge()
	}
	p.size = p.measure()
	return p, nil
}

// exactly copies a list without spare capacity. measure counts elements and
// would miss it.
func exactly[T any](list []T) []T { return append(make([]T, 0, len(list)), list...) }

// compile validates and compiles one statement, the i-th of the document.
func (d *dialect) compile(raw rawStatement, i int, bucket string, variables bool) (s statement, err error) {
	s.sid, s.index = raw.Sid, int32(i)
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
	resources := sortedOnce(slices.Concat(raw.Resource, raw.NotResource))
	s.resources = make([]arnPattern, 0, len(resources))
	for _, text := range resources {
		a, ok := newARNPattern(text, variables, true)
		if !ok || d == &bucketDialect && !a.within(bucket) {
			return s, d.badResource(text)
		}
		s.resources = append(s.resources, a)
	}
	// IAM accepts such a statement, and S3 does not.
	if d == &bucketDialect && raw.Action != nil && raw.Resource != nil && !s.applicable(raw.Action) {
		return s, d.fail("Action does not apply to any resource(s) in statement")
	}
	if s.conditions, err = d.newConditions(raw.Condition, variables); err != nil {
		return s, err
	}
	return s, nil
}

// newPrincipals compiles Principal or NotPrincipal. The document has exactly
// one of the two.
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

// objectTags is the family of the condition keys that are an object's tags.
var objectTags = map[string]bool{"s3:existingobjecttag/": true}

// asks reports whether a condition or a variable of the statement has one of the keys.
// It looks at what was compiled: JSON can spell a key in many ways.
func (s *statement) asks(keys map[string]bool) bool {
	return s.undecided(keys) || slices.ContainsFunc(s.conditions, func(c condition) bool { return keys[familyOf(c.key)] })
}

// AsksObjectTags reports whether a decision may depend on the tags of the
// object, so that they must be in the need's Context.
func (p *Policy) AsksObjectTags() bool { return p != nil && p.tags }

// newObject are the condition keys of what a new object gets besides its bytes.
var newObject = map[string]bool{
	"s3:x-amz-acl": true, "s3:x-amz-grant-full-control": true, "s3:x-amz-grant-read": true, "s3:x-amz-grant-read-acp": true,
	"s3:x-amz-grant-write": true, "s3:x-amz-grant-write-acp": true, "s3:x-amz-storage-class": true,
	"s3:x-amz-server-side-encryption": true, "s3:x-amz-server-side-encryption-aws-kms-key-id": true,
	"s3:x-amz-server-side-encryption-customer-algorithm": true, "s3:requestobjecttag/": true, "s3:requestobjecttagkeys": true,
	"s3:object-lock-mode": true, "s3:object-lock-retain-until-date": true, "s3:object-lock-legal-hold": true,
	"s3:x-amz-website-redirect-location": true,
}

// AsksNewObject reports whether a decision may depend on what a new object gets
// besides its bytes. A part and the completion of an upload have it from the
// upload, so that it must be in the need's Context.
func (p *Policy) AsksNewObject() bool { return p != nil && p.made }

// keyUses are the actions of KeyUse.
var keyUses = []asked{newAsked(DecryptKey), newAsked(GenerateDataKey)}

// DeniesKeys reports whether one of the principal's own policies may deny the
// use of a key, so that it must be in the need.
func (p *Principal) DeniesKeys() bool {
	denies := func(policy *Policy) bool { return policy.keys }
	return slices.ContainsFunc(p.Identity, denies) || slices.ContainsFunc(p.Session, denies) || p.Boundary != nil && p.Boundary.keys
}

// find returns the statement that fits best, and how it fits. A statement of an
// identity's policy fits directly. The search ends at a direct fit, because
// none is better.
func find(statements []statement, e *env, i *identity) (best *statement, how grade) {
	consider := func(s *statement, fits grade) {
		e.meter().spend(stepsStatement)
		if fits > how && s.covers(e) && s.met(e) {
			best, how = s, fits
		}
	}
	if e.settled != nil && len(statements) > 0 {
		for _, f := range e.candidates(statements, i) {
			if consider(f.statement, f.how); how == direct || e.meter().over() {
				break
			}
		}
		return best, how
	}
	for n := range statements {
		if consider(&statements[n], statements[n].fits(e, i)); how == direct || e.meter().over() {
			break
		}
	}
	return best, how
}

// fits tells how a statement about the action fits the principal.
func (s *statement) fits(e *env, i *identity) grade {
	switch {
	case !s.actions.has(e.action):
		return noMatch
	// With an open variable the denial is not certain, and only a certain one may
	// be final.
	case s.deny && e.open != nil && s.undecided(e.open):
		return noMatch
	case s.principals == nil:
		return direct
	}
	return s.principals.match(i)
}

// denied returns a statement of the policy that denies, or nil.
func (p *Policy) denied(e *env, i *identity) *statement {
	if p == nil {
		return nil
	}
	s, _ := find(p.denies, e, i)
	return s
}

// allowed returns the statement of the policy that allows best, or nil.
func (p *Policy) allowed(e *env, i *identity) (*statement, grade) {
	if p == nil {
		return nil, noMatch
	}
	return find(p.allows, e, i)
}

// covers reports whether the statement is about the resource. A pattern with an
// unresolved variable matches nothing, and does not make a statement allow.
func (s *statement) covers(e *env) bool {
	if s.anyResource || e.open != nil && s.undecided(e.open) {
		return true
	}
	for n := range s.resources {
		if e.meter().over() {
			return false
		}
		r := &s.resources[n]
		// A cheap look first: most patterns differ in their beginning.
		if !s.notResource && !r.any && !r.resource.possible(e.target.resource) {
			continue
		}
		ok, resolved := r.match(&e.target, e)
		if ok {
			return !s.notResource
		}
		if !resolved && s.notResource && !s.deny {
			return false
		}
	}
	return s.notResource
}

// undecided reports whether a variable of the statement has one of the keys.
// Then it may cover and meet anything.
func (s *statement) undecided(open map[string]bool) bool {
	for n := range s.resources {
		if s.resources[n].has(open) {
			return true
		}
	}
	for n := range s.conditions {
		if c := &s.conditions[n]; c.variables && c.operands.has(open) {
			return true
		}
	}
	return false
}

// met reports whether all conditions hold.
func (s *statement) met(e *env) bool {
	if e.open != nil && s.undecided(e.open) {
		return true
	}
	for n := range s.conditions {
		if !e.holds(&s.conditions[n], s.deny) {
			return false
		}
	}
	return true
}

// because describes a statement for a reason.
func (p *Policy) because(verb string, s *statement) string {
	id := strconv.Itoa(int(s.index) + 1)
	if s.sid != "" {
		id = strconv.Quote(s.sid)
	}
	return verb + " by statement " + id + " of " + p.kind + " " + p.Name
}

// Named returns the policy under another name, for reasons. It shares the
// policy's memory.
func (p *Policy) Named(name string) *Policy {
	q := *p
	q.Name = name
	return &q
}

// Public reports whether the policy is public in AWS's sense: a statement
// allows something to everybody, and no condition holds it to fixed values.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
func (p *Policy) Public() bool { return p != nil && p.public }

// Principals returns the principals that the policy names, in order and without
// duplicates: ARNs in partition aws, account numbers, canonical ids, unique ids
// of users and roles, identity providers and services. The root of an account
// is given by the account's number.
func (p *Policy) Principals() []string {
	if p == nil {
		return nil
	}
	var names []string
	for _, s := range slices.Concat(p.allows, p.denies) {
		if s.principals != nil {
			names = append(names, s.principals.list()...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
