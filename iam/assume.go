package iam

import (
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// assumption is the common part of AssumeRole and AssumeRoleWithWebIdentity.
type assumption struct {
	arn, session string
	tenant       meta.ID // the role's tenant; zero: there is no such account
	role         accounts.Identity
	trust        *access.Policy
	passed
}

// passed is the data that a session gets besides its role's rights, and the
// part of it that its own sessions inherit.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
type passed struct {
	tags       []accounts.Tag
	transitive []string // keys of tags
	source     string   // the source identity; empty: none
}

// check refuses data that cannot be passed. Transitive keys get the case of the
// tags' keys.
func (p *passed) check() error {
	for n, key := range p.transitive {
		i := tagIndex(p.tags, key)
		if i < 0 {
			return s3err.New(s3err.ValidationError, "The specified transitive tag key %s must be included in the requested tags.", clip(key))
		}
		p.transitive[n] = p.tags[i].Key
	}
	if s := p.source; s != "" && (!sessionNamePattern.MatchString(s) || strings.HasPrefix(strings.ToLower(s), "aws:")) {
		return s3err.New(s3err.ValidationError, "SourceIdentity must have 2 to 64 letters, digits and + = , . @ _ -")
	}
	return nil
}

// tagIndex is the index of the tag with a key, or -1.
func tagIndex(tags []accounts.Tag, key string) int {
	return slices.IndexFunc(tags, func(t accounts.Tag) bool { return access.FoldCase(t.Key) == access.FoldCase(key) })
}

// inherit adds the data that the calling session passes on. A tag with the same
// key, or another source identity, cannot be passed: it would hide who started
// the chain.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html
func (c *call) inherit(a *assumption) error {
	from := c.cred.Session
	if from == nil {
		return nil
	}
	if from.SourceIdentity != "" {
		if a.source != "" && a.source != from.SourceIdentity {
			return c.denyRole(*a, "the session has another source identity")
		}
		a.source = from.SourceIdentity
	}
	for _, key := range from.Transitive {
		if tagIndex(a.tags, key) >= 0 {
			return s3err.New(s3err.ValidationError, "The tag %s conflicts with a transitive tag of the calling session.", clip(key))
		}
		a.tags = append(a.tags, accounts.Tag{Key: key, Value: from.Tags[key]})
		a.transitive = append(a.transitive, key)
	}
	if len(a.tags) > maxTags {
		return s3err.New(s3err.ValidationError, "A session can have at most %d tags.", maxTags)
	}
	return nil
}

// assume decides, and creates the session. Tags and a source identity,
// including inherited ones, need rights of their own.
func (c *call) assume(a *assumption, extra access.Context) (accounts.Credential, error) {
	// Tags and source identity are conditions of all three actions, so that a
	// trust policy can limit them.
	need := access.Need{Resource: a.arn, Owner: access.ID(a.role.Tenant), Trust: a.trust, Context: a.conditions(extra)}
	actions := []string{c.name}
	if len(a.tags) > 0 {
		actions = append(actions, "TagSession")
	}
	if a.source != "" {
		actions = append(actions, "SetSourceIdentity")
	}
	// Each action must be allowed by itself. Otherwise permission to assume a
	// role would be one to set its tags.
	for _, action := range actions {
		need.Action = "sts:" + action
		if err := c.decide(need); err != nil {
			return accounts.Credential{}, err
		}
	}
	most := a.role.Role.MaxSession
	// A session from a session is short, as on AWS. AWS calls this role chaining.
	if c.cred.Temporary() && c.principal.Kind == access.Session {
		most = min(most, chainedSession)
	}
	d, err := c.duration(defaultRoleSession, most)
	if err != nil {
		return accounts.Credential{}, err
	}
	policies, err := c.sessionPolicies(a.role.Tenant)
	if err != nil {
		return accounts.Credential{}, err
	}
	tags := make(map[string]string, len(a.tags))
	for _, t := range a.tags {
		tags[t.Key] = t.Value
	}
	return c.Accounts.NewSession(accounts.Session{
		Tenant: a.role.Tenant, Holder: a.role.ID, Kind: meta.IdentityRole, Name: a.session,
		Policies: policies, Tags: tags, Transitive: a.transitive, SourceIdentity: a.source,
		Provider: c.tokenProvider(), Expires: c.now().Add(d),
	})
}

// tokenProvider is the provider whose token makes the session. A session that
// another session makes is nobody's token's.
func (c *call) tokenProvider() string {
	if c.principal.Kind != access.Federated {
		return ""
	}
	return c.principal.Provider
}

// conditions returns the condition keys of an assumption.
func (a *assumption) conditions(extra access.Context) access.Context {
	context := access.Context{"sts:rolesessionname": {a.session}}
	for k, v := range extra {
		context[k] = v
	}
	for _, t := range a.tags {
		context.Add(requestTag+t.Key, t.Value)
		context.Add("aws:tagkeys", t.Key)
	}
	if len(a.transitive) > 0 {
		context.Add("sts:TransitiveTagKeys", a.transitive...)
	}
	if a.source != "" {
		context.Add("sts:SourceIdentity", a.source)
	}
	// The role's own tags are conditions as well.
	for i, tags := 0, resourceTags(&a.role); i < len(tags); i += 2 {
		context.Add(tags[i], tags[i+1])
	}
	return context
}

// roleUserXML names a session: its id and its ARN.
type roleUserXML struct{ AssumedRoleId, Arn string }

// user names the session as the answer shows it.
func (a *assumption) user() roleUserXML {
	return roleUserXML{uniqueID(&a.role) + ":" + a.session, a.role.SessionARN(a.session)}
}

// assumeRole makes a session of a role for a signed caller.
// Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func assumeRole(c *call) (any, error) {
	a, found, err := c.assumed()
	if err != nil {
		return nil, err
	}
	if a.tags, err = c.form.tags(); err != nil {
		return nil, err
	}
	a.transitive, a.source = c.form.list("TransitiveTagKeys"), c.form["SourceIdentity"]
	if err := a.check(); err != nil {
		return nil, err
	}
	// Before the role's existence matters: an error must not reveal it.
	if err := c.inherit(&a); err != nil {
		return nil, err
	}
	if !found {
		return nil, c.denyRole(a, "there is no such role")
	}
	var extra access.Context
	if id := c.form["ExternalId"]; id != "" {
		extra = access.Context{"sts:externalid": {id}}
	}
	made, err := c.assume(&a, extra)
	if err != nil {
		return nil, err
	}
	return struct {
		Credentials      credentialsXML
		AssumedRoleUser  roleUserXML
		PackedPolicySize int
		SourceIdentity   string `xml:",omitempty"`
	}{credentialsShown(made), a.user(), 0, a.source}, nil
}
