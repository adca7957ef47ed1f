package iam

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Sizes of policies in characters, without white space.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const maxManaged = 6144

// maxInline bounds the inline policies of one identity together.
var maxInline = map[meta.IdentityKind]int{meta.IdentityUser: 2048, meta.IdentityGroup: 5120, meta.IdentityRole: 10240}

// characters counts the characters of a policy that count for quotas.
func characters(document string) (n int) {
	for _, r := range document {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// checkPolicy tells why a document cannot be a policy of an identity; nil: it
// can.
func checkPolicy(document string, most int) error {
	if n := characters(document); n > most {
		return s3err.New(s3err.LimitExceeded, "Cannot exceed quota for PolicySize: %d", most)
	}
	_, err := access.ParseIdentityPolicy("", []byte(document))
	return err
}

// policyXML describes a managed policy.
type policyXML struct {
	PolicyName, PolicyId, Arn, Path, DefaultVersionId string
	AttachmentCount, PermissionsBoundaryUsageCount    int
	IsAttachable                                      bool
	Description                                       string `xml:",omitempty"`
	CreateDate, UpdateDate                            string
	Tags                                              *members[tagXML] `xml:",omitempty"`
}

// versionID is the name of a version in these APIs.
func versionID(n int) string { return "v" + strconv.Itoa(n) }

// policyShown leaves out the tags, which only GetPolicy shows.
func policyShown(p accounts.Identity, use usage) policyXML {
	return policyXML{PolicyName: p.Name, PolicyId: uniqueID(&p), Arn: p.ARN(), Path: p.Path,
		DefaultVersionId: versionID(p.Policy.Default), IsAttachable: true, Description: p.Description,
		AttachmentCount: use.attached, PermissionsBoundaryUsageCount: use.boundary,
		CreateDate: stamp(p.Created), UpdateDate: stamp(p.Policy.Updated)}
}

// usage counts the uses of a policy.
type usage struct{ attached, boundary int }

// The uses of a policy, as PolicyUsageFilter names them. An unused policy
// counts as one for permissions.
const (
	usedAsPolicy   = "PermissionsPolicy"
	usedAsBoundary = "PermissionsBoundary"
)

var usageFilters = []string{usedAsPolicy, usedAsBoundary}

// usages counts the uses of all policies of the tenant.
func (c *call) usages() (map[meta.ID]usage, error) {
	all := make(map[meta.ID]usage)
	_, err := c.holders(func(i *accounts.Identity) bool {
		for _, id := range i.Attached {
			u := all[id]
			u.attached++
			all[id] = u
		}
		// Identities without a boundary are counted under the zero id, which is
		// no policy's.
		u := all[i.Boundary]
		u.boundary++
		all[i.Boundary] = u
		return false
	}, meta.IdentityUser, meta.IdentityGroup, meta.IdentityRole)
	return all, err
}

// createPolicy creates a managed policy with one version.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html
func createPolicy(c *call) (any, error) {
	name, err := c.form.need("PolicyName")
	if err != nil {
		return nil, err
	}
	document, err := c.form.need("PolicyDocument")
	if err != nil {
		return nil, err
	}
	tags, err := c.form.tags()
	if err != nil {
		return nil, err
	}
	if err := c.form.checkDescription(); err != nil {
		return nil, err
	}
	path := c.pathOrRoot()
	// The decision comes before the document is judged, so that callers without
	// permission learn nothing from errors.
	if err := c.allowWithTags("TagPolicy", c.arn(meta.IdentityPolicy, path, name), tags); err != nil {
		return nil, err
	}
	if err := checkPolicy(document, maxManaged); err != nil {
		return nil, err
	}
	now := c.now()
	p, err := c.Accounts.CreateIdentity(c.ctx, accounts.Identity{
		Tenant: c.tenant(), Kind: meta.IdentityPolicy, Name: name, Path: path, Tags: tags, Description: c.form["Description"],
		Policy: &accounts.PolicyFacts{
			Versions: []accounts.PolicyVersion{{Number: 1, Document: document, Created: now}},
			Default:  1, Next: 2, Updated: now,
		},
	})
	if err != nil {
		return nil, err
	}
	return struct{ Policy policyXML }{policyShown(p, usage{})}, nil
}

// managed returns the policy that PolicyArn names, if the caller has the right
// to it.
func (c *call) managed(extra ...string) (accounts.Identity, error) {
	arn, err := c.form.need("PolicyArn")
	if err != nil {
		return accounts.Identity{}, err
	}
	p, err := c.policyOf(c.tenant(), arn)
	// A caller without permission gets the same denial whether or not the
	// policy exists.
	if err != nil {
		if denied := c.allow(arn, extra...); denied != nil {
			return accounts.Identity{}, denied
		}
		return p, err
	}
	if err := c.judge(&p, extra); err != nil {
		return accounts.Identity{}, err
	}
	return p, nil
}

// getPolicy shows a policy without its document.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetPolicy.html
func getPolicy(c *call) (any, error) {
	p, err := c.managed()
	if err != nil {
		return nil, err
	}
	uses, err := c.usages()
	x := policyShown(p, uses[p.ID])
	x.Tags = tagsShown(p.Tags)
	return struct{ Policy policyXML }{x}, err
}

// listPolicies lists AWS's managed policies and the tenant's own.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicies.html
func listPolicies(c *call) (any, error) {
	if err := c.allow("*"); err != nil {
		return nil, err
	}
	scope, err := c.form.choice("Scope", "All", "AWS", "Local")
	if err != nil {
		return nil, err
	}
	attached, err := c.form.choice("OnlyAttached", "true", "false")
	if err != nil {
		return nil, err
	}
	use, err := c.form.choice("PolicyUsageFilter", usageFilters...)
	if err != nil {
		return nil, err
	}
	uses, err := c.usages()
	if err != nil {
		return nil, err
	}
	found, end, err := c.policies(scope, func(p *accounts.Identity) bool {
		u := uses[p.ID]
		return (attached != "true" || u.attached > 0) &&
			(use != usedAsBoundary || u.boundary > 0) && (use != usedAsPolicy || u.attached > 0 || u.boundary == 0)
	})
	return struct {
		Policies members[policyXML]
		paging
	}{membersOf(found, func(p accounts.Identity) policyXML {
		x := policyShown(p, uses[p.ID])
		x.Description = "" // only GetPolicy shows it
		return x
	}), end}, err
}

// deletePolicy refuses a policy in use or with several versions, as AWS does.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html
func deletePolicy(c *call) (any, error) {
	p, err := c.ownPolicy()
	if err != nil {
		return nil, err
	}
	uses, err := c.usages()
	switch {
	case err != nil:
		return nil, err
	case uses[p.ID] != usage{}:
		return nil, s3err.New(s3err.DeleteConflict, "Cannot delete a policy attached to entities.")
	case len(p.Policy.Versions) > 1:
		return nil, s3err.New(s3err.DeleteConflict, "This policy has more than one version. Before you delete a policy, "+
			"you must delete the policy's versions. The default version is deleted with the policy.")
	}
	return nil, c.Accounts.DeleteIdentity(c.ctx, p)
}

// versionXML describes a version; the document only where it was asked for.
type versionXML struct {
	Document         string `xml:",omitempty"`
	VersionId        string
	IsDefaultVersion bool
	CreateDate       string
}

// versionShown describes a version.
func versionShown(p *accounts.PolicyFacts, v accounts.PolicyVersion, document string) versionXML {
	return versionXML{document, versionID(v.Number), v.Number == p.Default, stamp(v.Created)}
}

// createPolicyVersion adds a version, and puts it into effect if SetAsDefault
// asks for it.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicyVersion.html
func createPolicyVersion(c *call) (any, error) {
	document, err := c.form.need("PolicyDocument")
	if err != nil {
		return nil, err
	}
	asDefault, err := c.form.choice("SetAsDefault", "true", "false")
	if err != nil {
		return nil, err
	}
	p, err := c.ownPolicy()
	if err != nil {
		return nil, err
	}
	if err := checkPolicy(document, maxManaged); err != nil {
		return nil, err
	}
	p, err = c.change(p, func(p *accounts.Identity) error {
		f := p.Policy
		if len(f.Versions) >= accounts.MaxPolicyVersions {
			return s3err.New(s3err.LimitExceeded, "A managed policy can have up to %d versions. "+
				"Before you create a new version, you must delete an existing version.", accounts.MaxPolicyVersions)
		}
		// Numbers are never used again, so a version keeps its name after
		// others were deleted.
		f.Versions = append(f.Versions, accounts.PolicyVersion{Number: f.Next, Document: document, Created: c.now()})
		if asDefault == "true" {
			f.Default = f.Next
		}
		f.Next++
		f.Updated = c.now()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return struct{ PolicyVersion versionXML }{versionShown(p.Policy, p.Policy.Versions[len(p.Policy.Versions)-1], "")}, nil
}

// version returns the index of the version that VersionId names.
func (c *call) version(p *accounts.PolicyFacts) (int, error) {
	id, err := c.form.need("VersionId")
	if err != nil {
		return 0, err
	}
	// Names are compared as texts: v01 is not v1.
	i := slices.IndexFunc(p.Versions, func(v accounts.PolicyVersion) bool { return versionID(v.Number) == id })
	if i < 0 {
		return 0, s3err.New(s3err.NoSuchEntity, "Policy version %s does not exist.", clip(id))
	}
	return i, nil
}

// getPolicyVersion shows the document of a version.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetPolicyVersion.html
func getPolicyVersion(c *call) (any, error) {
	p, err := c.managed()
	if err != nil {
		return nil, err
	}
	i, err := c.version(p.Policy)
	if err != nil {
		return nil, err
	}
	v := p.Policy.Versions[i]
	return struct{ PolicyVersion versionXML }{versionShown(p.Policy, v, encoded(v.Document))}, nil
}

// listPolicyVersions lists the versions, newest first.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicyVersions.html
func listPolicyVersions(c *call) (any, error) {
	p, err := c.managed()
	if err != nil {
		return nil, err
	}
	// The stored order is that of creation.
	newest := slices.Clone(p.Policy.Versions)
	slices.Reverse(newest)
	page, end, err := cut(c.form, newest, func(v accounts.PolicyVersion) string {
		return strconv.Itoa(math.MaxInt32 - v.Number) // all of one length, and falling as numbers rise
	})
	return struct {
		Versions members[versionXML]
		paging
	}{membersOf(page, func(v accounts.PolicyVersion) versionXML { return versionShown(p.Policy, v, "") }), end}, err
}

// setDefaultPolicyVersion puts a version into effect.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SetDefaultPolicyVersion.html
func setDefaultPolicyVersion(c *call) (any, error) {
	return c.changeVersion(func(f *accounts.PolicyFacts, i int) error {
		f.Default = f.Versions[i].Number
		return nil
	})
}

// deletePolicyVersion removes a version that is not in effect.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicyVersion.html
func deletePolicyVersion(c *call) (any, error) {
	return c.changeVersion(func(f *accounts.PolicyFacts, i int) error {
		// Without a default version the policy would allow and deny nothing,
		// unnoticed.
		if f.Versions[i].Number == f.Default {
			return s3err.New(s3err.DeleteConflict, "Cannot delete the default version of a policy.")
		}
		f.Versions = slices.Delete(f.Versions, i, i+1)
		return nil
	})
}

// changeVersion applies a change to the version that VersionId names.
func (c *call) changeVersion(change func(*accounts.PolicyFacts, int) error) (any, error) {
	p, err := c.ownPolicy()
	if err != nil {
		return nil, err
	}
	_, err = c.change(p, func(p *accounts.Identity) error {
		i, err := c.version(p.Policy)
		if err != nil {
			return err
		}
		p.Policy.Updated = c.now()
		return change(p.Policy, i)
	})
	return nil, err
}

// listEntitiesForPolicy lists the users, groups and roles that have a policy.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListEntitiesForPolicy.html
func listEntitiesForPolicy(c *call) (any, error) {
	p, err := c.managed()
	if err != nil {
		return nil, err
	}
	use, err := c.form.choice("PolicyUsageFilter", usageFilters...)
	if err != nil {
		return nil, err
	}
	kind, err := c.form.choice("EntityFilter", "User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy")
	if err != nil {
		return nil, err
	}
	holders, err := c.holders(func(i *accounts.Identity) bool {
		held := i.Boundary == p.ID
		// Only this filter asks for boundaries. All others ask for attached
		// policies.
		if use != usedAsBoundary {
			held = slices.Contains(i.Attached, p.ID)
		}
		return held && strings.HasPrefix(i.Path, c.form["PathPrefix"]) &&
			(kind == "" || kind+"Name" == nameParameters[i.Kind])
	}, meta.IdentityUser, meta.IdentityGroup, meta.IdentityRole)
	if err != nil {
		return nil, err
	}
	at := func(i accounts.Identity) string { return accounts.KindLabel(i.Kind) + "/" + i.Name }
	slices.SortFunc(holders, func(a, b accounts.Identity) int { return strings.Compare(at(a), at(b)) })
	page, end, err := cut(c.form, holders, at)
	type user struct{ UserName, UserId string }
	type group struct{ GroupName, GroupId string }
	type role struct{ RoleName, RoleId string }
	var x struct {
		PolicyUsers  members[user]
		PolicyGroups members[group]
		PolicyRoles  members[role]
		paging
	}
	x.paging = end
	for _, h := range page {
		switch h.Kind {
		case meta.IdentityUser:
			x.PolicyUsers.Member = append(x.PolicyUsers.Member, user{h.Name, uniqueID(&h)})
		case meta.IdentityGroup:
			x.PolicyGroups.Member = append(x.PolicyGroups.Member, group{h.Name, uniqueID(&h)})
		case meta.IdentityRole:
			x.PolicyRoles.Member = append(x.PolicyRoles.Member, role{h.Name, uniqueID(&h)})
		}
	}
	return x, err
}
