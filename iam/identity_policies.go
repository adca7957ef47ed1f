package iam

import (
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// attach is AttachUserPolicy, AttachGroupPolicy and AttachRolePolicy. The other
// handlers in this file serve all three kinds as well.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachUserPolicy.html
func attach(c *call) (any, error) {
	return nil, c.changeAttached(func(i *accounts.Identity, p accounts.Identity) error {
		if slices.Contains(i.Attached, p.ID) {
			return nil
		}
		// The bound is checked in the change, against the identity as it is then.
		if len(i.Attached) >= accounts.MaxAttached {
			return s3err.New(s3err.LimitExceeded, "Cannot exceed quota for PoliciesPer%s: %d",
				strings.TrimSuffix(nameParameters[i.Kind], "Name"), accounts.MaxAttached)
		}
		i.Attached = append(i.Attached, p.ID)
		return nil
	})
}

// detach removes an attached policy; the policy itself stays.
func detach(c *call) (any, error) {
	return nil, c.changeAttached(func(i *accounts.Identity, p accounts.Identity) error {
		n := slices.Index(i.Attached, p.ID)
		if n < 0 {
			return s3err.New(s3err.NoSuchEntity, "Policy %s was not found.", clip(c.form["PolicyArn"]))
		}
		i.Attached = slices.Delete(i.Attached, n, n+1)
		return nil
	})
}

// changeAttached applies a change of the identity and the policy that the
// request names.
func (c *call) changeAttached(change func(i *accounts.Identity, p accounts.Identity) error) error {
	arn, err := c.form.need("PolicyArn")
	if err != nil {
		return err
	}
	// The decision knows the policy's ARN, so that a policy can permit
	// attaching some policies only.
	i, err := c.named(c.action.kind, "iam:policyarn", arn)
	if err != nil {
		return err
	}
	p, err := c.policyOf(c.tenant(), arn)
	if err != nil {
		return err
	}
	_, err = c.change(i, func(i *accounts.Identity) error { return change(i, p) })
	return err
}

// listAttached lists the attached policies, ordered by name.
func listAttached(c *call) (any, error) {
	i, err := c.named(c.action.kind)
	if err != nil {
		return nil, err
	}
	found, _, err := c.Accounts.IdentitiesByID(c.ctx, i.Attached)
	if err != nil {
		return nil, err
	}
	var policies []accounts.Identity
	for _, id := range i.Attached {
		if p, ok := found[id]; ok && strings.HasPrefix(p.Path, c.form["PathPrefix"]) {
			policies = append(policies, p)
		}
	}
	// The account may have a policy with the name of a managed one.
	at := func(p accounts.Identity) string { return p.Name + " " + p.ARN() }
	slices.SortFunc(policies, func(a, b accounts.Identity) int { return strings.Compare(at(a), at(b)) })
	type attached struct{ PolicyName, PolicyArn string }
	page, end, err := cut(c.form, policies, at)
	return struct {
		AttachedPolicies members[attached]
		paging
	}{membersOf(page, func(p accounts.Identity) attached { return attached{p.Name, p.ARN()} }), end}, err
}

// putInline stores a policy that belongs to the identity alone.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPolicy.html
func putInline(c *call) (any, error) {
	name, err := c.form.need("PolicyName")
	if err != nil {
		return nil, err
	}
	document, err := c.form.need("PolicyDocument")
	if err != nil {
		return nil, err
	}
	// The caller is authorized before the contents of the request are judged.
	i, err := c.named(c.action.kind)
	if err != nil {
		return nil, err
	}
	if !inlineName(name) {
		return nil, s3err.New(s3err.ValidationError, "The name of a policy must have 1 to 128 letters, digits and + = , . @ _ -")
	}
	most := maxInline[i.Kind]
	if err := checkPolicy(document, most); err != nil {
		return nil, err
	}
	// change may run again with a newer identity, so the index is looked up in
	// it.
	_, err = c.change(i, func(i *accounts.Identity) error {
		if n := i.Inlined(name); n >= 0 {
			i.Inline[n].Document = document
		} else {
			i.Inline = append(i.Inline, accounts.InlinePolicy{Name: name, Document: document})
		}
		// The quota is for all inline policies of the identity together.
		total := 0
		for _, p := range i.Inline {
			total += characters(p.Document)
		}
		if total > most {
			return s3err.New(s3err.LimitExceeded, "Maximum policy size of %d bytes exceeded for %s %s",
				most, accounts.KindLabel(i.Kind), i.Name)
		}
		return nil
	})
	return nil, err
}

// inlineName reports whether a name is valid for an inline policy.
func inlineName(name string) bool {
	return len(name) <= 128 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-") == ""
}

// inlined returns the index of the inline policy that PolicyName names.
func (c *call) inlined(i *accounts.Identity) (int, error) {
	name, err := c.form.need("PolicyName")
	if err != nil {
		return 0, err
	}
	n := i.Inlined(name)
	if n < 0 {
		return 0, s3err.New(s3err.NoSuchEntity, "The %s policy with name %s cannot be found.", accounts.KindLabel(i.Kind), clip(name))
	}
	return n, nil
}

// getInline shows an inline policy, with the parameter that named its holder.
func getInline(c *call) (any, error) {
	i, err := c.named(c.action.kind)
	if err != nil {
		return nil, err
	}
	n, err := c.inlined(&i)
	if err != nil {
		return nil, err
	}
	x := struct {
		UserName, GroupName, RoleName string `xml:",omitempty"`
		PolicyName, PolicyDocument    string
	}{PolicyName: i.Inline[n].Name, PolicyDocument: encoded(i.Inline[n].Document)}
	switch i.Kind {
	case meta.IdentityUser:
		x.UserName = i.Name
	case meta.IdentityGroup:
		x.GroupName = i.Name
	case meta.IdentityRole:
		x.RoleName = i.Name
	}
	return x, nil
}

// deleteInline removes an inline policy.
func deleteInline(c *call) (any, error) {
	i, err := c.named(c.action.kind)
	if err != nil {
		return nil, err
	}
	_, err = c.change(i, func(i *accounts.Identity) error {
		n, err := c.inlined(i)
		if err != nil {
			return err
		}
		i.Inline = slices.Delete(i.Inline, n, n+1)
		return nil
	})
	return nil, err
}

// listInline lists the names of inline policies.
func listInline(c *call) (any, error) {
	i, err := c.named(c.action.kind)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range i.Inline {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	page, end, err := cut(c.form, names, func(name string) string { return name })
	return struct {
		PolicyNames members[string]
		paging
	}{members[string]{page}, end}, err
}
