package iam

import (
	"math"
	"slices"
	"strconv"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/s3err"
)

// versionID is the name of a version in these APIs.
func versionID(n int) string { return "v" + strconv.Itoa(n) }

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
		// A change that fails afterwards is not stored, and this with it.
		p.Policy.Updated = c.now()
		return change(p.Policy, i)
	})
	return nil, err
}
