package iam

import (
	"encoding/xml"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// entries is a map as these APIs write it.
type entries []struct {
	Key   string `xml:"key"`
	Value int    `xml:"value"`
}

// MarshalXML writes the entries.
func (e entries) MarshalXML(enc *xml.Encoder, start xml.StartElement) error {
	return enc.EncodeElement(struct {
		Entry any `xml:"entry"`
	}{[]struct {
		Key   string `xml:"key"`
		Value int    `xml:"value"`
	}(e)}, start)
}

func getAccountSummary(c *call) (any, error) {
	if err := c.allow("*"); err != nil {
		return nil, err
	}
	var all entries
	add := func(key string, value int) {
		all = append(all, struct {
			Key   string `xml:"key"`
			Value int    `xml:"value"`
		}{key, value})
	}
	for _, k := range []struct {
		kind meta.IdentityKind
		name string
	}{{meta.IdentityUser, "Users"}, {meta.IdentityGroup, "Groups"}, {meta.IdentityRole, "Roles"}, {meta.IdentityPolicy, "Policies"}, {meta.IdentityProvider, "Providers"}} {
		n, err := c.Engine.CountIdentities(c.ctx, c.tenant(), k.kind)
		if err != nil {
			return nil, err
		}
		add(k.name, n)
	}
	add("AccessKeysPerUserQuota", engine.MaxUserKeys)
	add("GroupsPerUserQuota", engine.MaxGroups)
	add("AttachedPoliciesPerUserQuota", engine.MaxAttached)
	add("AttachedPoliciesPerGroupQuota", engine.MaxAttached)
	add("AttachedPoliciesPerRoleQuota", engine.MaxAttached)
	add("VersionsPerPolicyQuota", engine.MaxPolicyVersions)
	add("PolicySizeQuota", maxManaged)
	add("UserPolicySizeQuota", maxInline[meta.IdentityUser])
	add("GroupPolicySizeQuota", maxInline[meta.IdentityGroup])
	return struct{ SummaryMap entries }{all}, nil
}

// listAccountAliases knows one: the tenant's name.
func listAccountAliases(c *call) (any, error) {
	if err := c.allow("*"); err != nil {
		return nil, err
	}
	return struct {
		AccountAliases members[string]
		paging
	}{members[string]{[]string{c.cred.Tenant.Name}}, paging{}}, nil
}
