package accounts

import (
	"github.com/sanctum-storage/gateway/bounded"
	"github.com/sanctum-storage/gateway/meta"
)

// Bounds of the memory of Accounts, in bytes. The size of an entry is estimated
// upwards.
const (
	MaxAccessKeyBytes  = 4 << 20  // access keys with their secrets
	MaxSessionBytes    = 24 << 20 // opened session tokens
	MaxHolderBytes     = 64 << 20 // users and roles with their policies
	MaxLimitsBytes     = 4 << 20  // tenants' limits
	identityBytes      = 1 << 10  // a user or role without its policies and tags
	bytesOfTagAndEntry = 48       // a tag besides its texts
)

// remembered holds facts from the store for a moment.
type remembered struct {
	accessKeys *bounded.Cache[string, accessKey]
	sessions   *bounded.Cache[tokenSum, *openedSession]
	holders    *bounded.Cache[meta.ID, holder]
	limits     *bounded.Cache[meta.ID, meta.Limits]
}

// newRemembered returns empty caches. Policies are shared by several entries,
// so Parts counts each text once.
func newRemembered() remembered {
	return remembered{
		accessKeys: bounded.New(bounded.Options[string, accessKey]{
			Bytes: MaxAccessKeyBytes, TTL: CredentialTTL,
			Size: func(id string, k accessKey) int { return len(id) + len(k.secret) },
		}),
		sessions: bounded.New(bounded.Options[tokenSum, *openedSession]{
			Bytes: MaxSessionBytes, TTL: SessionTTL,
			Size:  func(_ tokenSum, s *openedSession) int { return s.size() },
			Parts: func(s *openedSession) []bounded.Part { return policyParts(s.facts.Policies) },
		}),
		holders: bounded.New(bounded.Options[meta.ID, holder]{
			Bytes: MaxHolderBytes, TTL: CredentialTTL,
			Size:  func(_ meta.ID, h holder) int { return h.principal.size() },
			Parts: func(h holder) []bounded.Part { return policyParts(h.principal.all()) },
		}),
		limits: bounded.New(bounded.Options[meta.ID, meta.Limits]{Bytes: MaxLimitsBytes, TTL: CredentialTTL}),
	}
}

// Caches returns the memory of Accounts, for sweeping and measuring.
func (a *Accounts) Caches() []bounded.Swept {
	return []bounded.Swept{a.accessKeys, a.sessions, a.holders, a.limits}
}

// policyParts are the texts of policies, which several entries may share.
func policyParts(policies []PolicyText) []bounded.Part {
	parts := make([]bounded.Part, len(policies))
	for i, p := range policies {
		parts[i] = bounded.CompiledText(p.Document)
	}
	return parts
}

// tagsSize is the memory of tags in bytes.
func tagsSize(tags map[string]string) (n int) {
	for k, v := range tags {
		n += bytesOfTagAndEntry + len(k) + len(v)
	}
	return n
}
