package accounts

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// Identity is a user, group, role, policy or identity provider of a tenant. It
// refers to others by their ids, so that one created later under a name
// inherits nothing from an earlier one.
type Identity struct {
	ID      meta.ID
	Tenant  meta.ID
	Kind    meta.IdentityKind
	Name    string
	Created time.Time
	// revision counts the changes. The store's updates compare it.
	revision int64
	bound    bool // its document has its creation time and revision

	Path        string // begins and ends with a slash
	Description string
	Tags        []Tag

	// For users, groups and roles.
	Attached []meta.ID // policies
	Inline   []InlinePolicy
	Boundary meta.ID // a policy; zero: none; not for groups
	Groups   []meta.ID
	Limits   meta.Limits // of a user; rates only

	Role     *RoleFacts     // of a role
	Policy   *PolicyFacts   // of a policy
	Provider *ProviderFacts // of a provider
}

// Tag is a tag of an identity. Keys are unique regardless of case.
type Tag struct {
	Key   string
	Value string
}

// InlinePolicy is a policy that belongs to one identity.
type InlinePolicy struct {
	Name     string
	Document string
}

// RoleFacts are the facts that only roles have.
type RoleFacts struct {
	Trust      string // the policy that says who may assume it
	MaxSession time.Duration
}

// PolicyFacts are the facts that only policies have.
type PolicyFacts struct {
	Versions []PolicyVersion // 1..MaxPolicyVersions, the oldest first
	Default  int             // number of the version in effect
	Next     int             // numbers are never used again
	Updated  time.Time
}

// PolicyVersion is one text of a policy.
type PolicyVersion struct {
	Number   int
	Document string
	Created  time.Time
}

// Document is the text in effect; false when there is none.
func (p *PolicyFacts) Document() (string, bool) {
	for _, v := range p.Versions {
		if v.Number == p.Default {
			return v.Document, true
		}
	}
	return "", false
}

// ProviderFacts are the facts that only OpenID Connect providers have. The
// identity's name is the URL without the scheme.
type ProviderFacts struct {
	URL         string // https://…, without a slash at the end
	ClientIDs   []string
	Thumbprints []string
}

// identityDocument is the sealed content of an identity. It has tenant and
// name, so that a row that was moved to another tenant or name cannot be
// opened.
type identityDocument struct {
	Tenant      meta.ID        `json:"tenant"`
	Name        string         `json:"name"`
	Path        string         `json:"path,omitempty"`
	Description string         `json:"description,omitempty"`
	Tags        []Tag          `json:"tags,omitempty"`
	Attached    []meta.ID      `json:"attached,omitempty"`
	Inline      []InlinePolicy `json:"inline,omitempty"`
	Boundary    meta.ID        `json:"boundary,omitzero"`
	Groups      []meta.ID      `json:"groups,omitempty"`
	Limits      meta.Limits    `json:"limits,omitzero"`
	Role        *RoleFacts     `json:"role,omitempty"`
	Policy      *PolicyFacts   `json:"policy,omitempty"`
	Provider    *ProviderFacts `json:"provider,omitempty"`
	// Created, in microseconds since 1970, and Revision repeat the row's.
	// Documents of the release before do not have them.
	Created  int64 `json:"created,omitempty"`
	Revision int64 `json:"revision,omitempty"`
}

// kindLabels are part of the context that documents are sealed for, and of
// ARNs. They never change.
var kindLabels = map[meta.IdentityKind]string{
	meta.IdentityUser: "user", meta.IdentityGroup: "group", meta.IdentityRole: "role",
	meta.IdentityPolicy: "policy", meta.IdentityProvider: "oidc-provider",
}

// KindLabel is the kind's name in ARNs, such as "oidc-provider".
func KindLabel(kind meta.IdentityKind) string { return kindLabels[kind] }

// sealIdentity makes the row of an identity that is about to get the revision.
// The row keeps the revision that was read, which the store compares. The
// document has the revision that the store then sets.
func (a *Accounts) sealIdentity(i Identity, revision int64) (meta.Identity, error) {
	text, err := json.Marshal(identityDocument{
		i.Tenant, i.Name, i.Path, i.Description, i.Tags, i.Attached, i.Inline, i.Boundary, i.Groups, i.Limits,
		i.Role, i.Policy, i.Provider, i.Created.UnixMicro(), revision,
	})
	if err != nil {
		return meta.Identity{}, err
	}
	sealed, err := a.Records.SealDocument(kindLabels[i.Kind], i.ID[:], text)
	if err != nil {
		return meta.Identity{}, err
	}
	return meta.Identity{
		ID: i.ID, Tenant: i.Tenant, Kind: i.Kind, Name: i.Name, Created: i.Created, Revision: i.revision, Document: sealed,
	}, nil
}

// openIdentity opens the document of a row, and compares it with the row.
func (a *Accounts) openIdentity(row meta.Identity) (Identity, error) {
	label, ok := kindLabels[row.Kind]
	if !ok {
		return Identity{}, fmt.Errorf("identity %s is of unknown kind %d", row.ID, row.Kind)
	}
	text, err := a.Records.OpenDocument(label, row.ID[:], row.Document)
	if err != nil {
		return Identity{}, fmt.Errorf("open %s %s: %w", label, row.ID, err)
	}
	var d identityDocument
	if err := json.Unmarshal(text, &d); err != nil {
		return Identity{}, fmt.Errorf("read %s %s: %w", label, row.ID, err)
	}
	i := Identity{
		ID: row.ID, Tenant: row.Tenant, Kind: row.Kind, Name: row.Name, Created: row.Created, revision: row.Revision,
		Path: d.Path, Description: d.Description, Tags: d.Tags, Attached: d.Attached, Inline: d.Inline, Boundary: d.Boundary,
		Groups: d.Groups, Limits: d.Limits, Role: d.Role, Policy: d.Policy, Provider: d.Provider,
		bound: d.Revision > 0,
	}
	switch {
	case d.Tenant != row.Tenant || d.Name != row.Name:
		err = errors.New("its row has another tenant or name than its document")
	case d.Revision == 0 && a.Records.Sealing() < meta.SealingWhole: // a row of the release before
	case d.Created != row.Created.UnixMicro() || d.Revision != row.Revision:
		err = records.Edited("its row", errors.New("it differs from its document"))
	}
	// Callers use the facts of a role, policy or provider without looking for nil.
	switch {
	case err != nil:
	case (i.Kind == meta.IdentityRole) != (i.Role != nil), (i.Kind == meta.IdentityPolicy) != (i.Policy != nil),
		(i.Kind == meta.IdentityProvider) != (i.Provider != nil):
		err = errors.New("its document is of another kind")
	}
	if err != nil {
		return Identity{}, fmt.Errorf("read %s %s: %w", label, row.ID, err)
	}
	return i, nil
}

// SameAs reports whether both are one identity that was not changed in between.
func (i *Identity) SameAs(other *Identity) bool {
	return i.ID == other.ID && i.revision == other.revision
}

// Inlined is the index of an inline policy, or -1.
func (i *Identity) Inlined(name string) int {
	return slices.IndexFunc(i.Inline, func(p InlinePolicy) bool { return p.Name == name })
}
