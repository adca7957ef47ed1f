package access

import (
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// checkActions refuses actions that cannot be in the kind of policy: for S3,
// unknown actions; for IAM, those without a service, because it accepts actions
// of all services.
func (d *dialect) checkActions(actions []string) error {
	for _, a := range actions {
		service, name, prefixed := strings.Cut(strings.ToLower(a), ":")
		switch d {
		case &bucketDialect:
			set := newActionSet([]string{a}, false)
			if set.s3 == (actionBits{}) {
				return d.fail("Policy has invalid action")
			}
		case &trustDialect:
			if service != "sts" || !trustAction(name) {
				return d.fail("AssumeRole policy may only specify STS AssumeRole actions.")
			}
		default:
			if a != "*" && (!prefixed || service == "" || name == "") {
				return d.fail("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
			}
		}
	}
	return nil
}

// trustAction reports whether a pattern matches an action of trust policies.
func trustAction(pattern string) bool {
	g := newGlob(pattern)
	for _, name := range []string{
		"assumerole", "assumerolewithsaml", "assumerolewithwebidentity", "tagsession", "setsourceidentity", "setcontext",
	} {
		if g.match(name, nil) {
			return true
		}
	}
	return false
}

// badResource refuses a Resource, in the words of S3 or of IAM.
func (d *dialect) badResource(text string) error {
	if d.code == s3err.MalformedPolicy {
		return d.fail("Policy has invalid resource")
	}
	return d.fail("Resource %s must be in ARN format or \"*\".", clip(text))
}

// within reports whether the pattern can match the bucket or an object in it. A
// variable in place of the bucket's name cannot be decided and fails.
func (a *arnPattern) within(bucket string) bool {
	if a.any {
		return true
	}
	for i, want := range [...]string{"s3", "", ""} {
		if ok, _ := a.fields[i].match(want, nowhere); !ok {
			return false
		}
	}
	first, _, _ := strings.Cut(a.resource.text, "/")
	name, ok := newTemplate(first, false, true)
	if !ok {
		return false
	}
	match, _ := name.match(bucket, nowhere)
	return match
}

// nowhere is an env in which no key has a value.
var nowhere = &env{p: &Principal{}, derived: &derived{}}

// applicable reports whether each action, or at least one of those that a
// pattern matches, applies to a kind of resource in the statement.
func (s *statement) applicable(actions []string) bool {
	bucket, object := false, false
	for i := range s.resources {
		r := &s.resources[i]
		_, _, slash := strings.Cut(r.resource.text, "/")
		wild := strings.ContainsAny(r.resource.text, "*?")
		object = object || r.any || slash || wild
		bucket = bucket || r.any || !slash
	}
	for _, name := range actions {
		set := newActionSet([]string{name}, false)
		applies := false
		for i, a := range Actions {
			if set.s3.has(i) && (a.Resource == BucketResource && bucket || a.Resource == ObjectResource && object) {
				applies = true
				break
			}
		}
		if !applies {
			return false
		}
	}
	return true
}
