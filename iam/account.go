package iam

import (
	"encoding/xml"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// entries is a map in the form of these APIs.
type entries []struct {
	Key   string `xml:"key"`
	Value int    `xml:"value"`
}

// MarshalXML writes the entries.
func (e entries) MarshalXML(enc *xml.Encoder, start xml.StartElement) error {
	return enc.EncodeElement(struct {
		Entry any `xml:"entry"`
		// The type is declared here without MarshalXML, which would otherwise call
		// itself.
	}{[]struct {
		Key   string `xml:"key"`
		Value int    `xml:"value"`
	}(e)}, start)
}

// getAccountSummary has all of AWS's keys. Those of absent features are zero.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html
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
	}{
		{meta.IdentityUser, "Users"}, {meta.IdentityGroup, "Groups"}, {meta.IdentityRole, "Roles"},
		{meta.IdentityPolicy, "Policies"}, {meta.IdentityProvider, "Providers"},
	} {
		n, err := c.count(k.kind)
		if err != nil {
			return nil, err
		}
		add(k.name, n)
		if k.kind != meta.IdentityProvider { // AWS shows no quota for them here
			add(k.name+"Quota", accounts.MaxIdentities(k.kind))
		}
	}
	// Versions are counted over all policies, because the quota is for all of
	// them together.
	versions := 0
	_, err := c.holders(func(p *accounts.Identity) bool {
		versions += len(p.Policy.Versions)
		return false
	}, meta.IdentityPolicy)
	if err != nil {
		return nil, err
	}
	keys, err := c.Accounts.AccessKeys(c.ctx, c.tenant())
	if err != nil {
		return nil, err
	}
	add("AccountAccessKeysPresent", min(len(keys), 1))
	add("PolicyVersionsInUse", versions)
	add("PolicyVersionsInUseQuota", accounts.MaxIdentities(meta.IdentityPolicy)*accounts.MaxPolicyVersions)
	addQuotas(add)
	return struct{ SummaryMap entries }{all}, nil
}

// addQuotas adds the entries of an account summary that are the same for all
// tenants: quotas, and zeros for the features that this service does not have.
func addQuotas(add func(key string, value int)) {
	for _, absent := range []string{
		"AccountMFAEnabled", "AccountPasswordPresent", "AccountSigningCertificatesPresent", "MFADevices", "MFADevicesInUse",
		"InstanceProfiles", "InstanceProfilesQuota", "ServerCertificates", "ServerCertificatesQuota",
		"SigningCertificatesPerUserQuota",
	} {
		add(absent, 0)
	}
	add("AccessKeysPerUserQuota", accounts.MaxUserKeys)
	add("GroupsPerUserQuota", accounts.MaxGroups)
	add("AttachedPoliciesPerUserQuota", accounts.MaxAttached)
	add("AttachedPoliciesPerGroupQuota", accounts.MaxAttached)
	add("AttachedPoliciesPerRoleQuota", accounts.MaxAttached)
	add("VersionsPerPolicyQuota", accounts.MaxPolicyVersions)
	add("PolicySizeQuota", maxManaged)
	add("UserPolicySizeQuota", maxInline[meta.IdentityUser])
	add("GroupPolicySizeQuota", maxInline[meta.IdentityGroup])
	add("RolePolicySizeQuota", maxInline[meta.IdentityRole])
	add("AssumeRolePolicySizeQuota", maxTrust)
	add("GlobalEndpointTokenVersion", 2) // tokens are valid in every region
}

// listAccountAliases shows one alias, the tenant's name.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccountAliases.html
func listAccountAliases(c *call) (any, error) {
	if err := c.allow("*"); err != nil {
		return nil, err
	}
	page, end, err := cut(c.form, []string{c.cred.Tenant.Name}, func(name string) string { return name })
	return struct {
		AccountAliases members[string]
		paging
	}{members[string]{page}, end}, err
}
