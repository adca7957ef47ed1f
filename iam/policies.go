package iam

import (
	"unicode"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Sizes of policies in characters, without white space. It is for one version
// of a managed policy.
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

// policyShown leaves out the tags, which only GetPolicy shows.
func policyShown(p accounts.Identity, use usage) policyXML {
	return policyXML{PolicyName: p.Name, PolicyId: uniqueID(&p), Arn: p.ARN(), Path: p.Path,
		DefaultVersionId: versionID(p.Policy.Default), IsAttachable: true, Description: p.Description,
		AttachmentCount: use.attached, PermissionsBoundaryUsageCount: use.boundary,
		CreateDate: stamp(p.Created), UpdateDate: stamp(p.Policy.Updated)}
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
	if err := c.allowOn(&p, extra); err != nil {
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
