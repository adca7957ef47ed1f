package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// assumeRoleWithWebIdentity makes a session of a role for the holder of a token
// of an OpenID Connect provider that the role's tenant has registered. The
// request is not signed.
// Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
func assumeRoleWithWebIdentity(c *call) (any, error) {
	text, err := c.form.need("WebIdentityToken")
	if err != nil {
		return nil, err
	}
	a, found, err := c.assumed()
	if err != nil {
		return nil, err
	}
	token, provider, err := c.verifiedToken(&a, text)
	if err != nil {
		return nil, err
	}
	// The limits of the tenant apply only now: a token that is not valid must
	// not use up its rate.
	if err := c.admit(a.tenant, meta.ID{}, meta.Limits{}); err != nil {
		return nil, err
	}
	// From here on the sender is proven, for the decision and for the log.
	c.principal = access.Principal{Kind: access.Federated, Name: provider.ARN(), Provider: provider.ARN()}
	c.unproven, c.subject = false, token.subject
	if a.passed, err = token.passed(); err != nil {
		return nil, err
	}
	// Only a sender with a valid token of the tenant learns more than that the
	// token is not valid.
	if !found {
		return nil, c.denyRole(a, "there is no such role")
	}
	// Claims become condition keys under the provider's name, so that providers
	// cannot set each other's.
	context := access.Context{}
	for claim, values := range token.strings() {
		context.Add(provider.Name+":"+claim, values...)
	}
	made, err := c.assume(&a, context)
	if err != nil {
		return nil, err
	}
	return struct {
		SubjectFromWebIdentityToken string
		Audience                    string
		Provider                    string
		Credentials                 credentialsXML
		AssumedRoleUser             roleUserXML
		PackedPolicySize            int
		SourceIdentity              string `xml:",omitempty"`
	}{token.subject, token.audience[0], provider.ARN(), credentialsShown(made), a.user(), 0, a.source}, nil
}

// verifiedToken reads a token and proves that a registered provider of the
// role's tenant has issued it for this service. Without a valid token, the
// answer must not reveal whether the role or the account exists.
func (c *call) verifiedToken(a *assumption, text string) (*token, accounts.Identity, error) {
	var none accounts.Identity
	// Until the token is verified, the log must not present its subject as
	// proven.
	c.unproven = true
	token, err := parseToken(text)
	if err != nil {
		return nil, none, err
	}
	if c.Keys == nil {
		return nil, none, c.denyRole(*a, "identity providers are disabled")
	}
	provider, err := c.providerOf(a.tenant, token)
	if err != nil {
		return nil, none, err
	}
	if err := c.Keys.verify(c.ctx, issuer{a.tenant, provider.Provider.URL}, token); err != nil {
		if errors.Is(err, s3err.Throttling) {
			c.reason = "too many tokens wait for their provider"
		}
		return nil, none, err
	}
	return token, provider, token.check(provider.Provider, c.now())
}

// The claims by which a provider passes tags and a source identity.
// Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp,
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html
const (
	tagsClaim   = "https://aws.amazon.com/tags"
	sourceClaim = "https://aws.amazon.com/source_identity"

	principalTags  = "principal_tags/"
	transitiveKeys = "transitive_tag_keys"
)

// passed returns the data that the provider gives the session. The tags may
// also be in flat claims, one for each tag.
func (t *token) passed() (p passed, err error) {
	malformed := badToken("The claims of the ID Token for tags and the source identity cannot be read.")
	if raw := t.claims[sourceClaim]; raw != nil {
		if json.Unmarshal(raw, &p.source) != nil || p.source == "" {
			return p, malformed
		}
	}
	claims := make(map[string]json.RawMessage)
	for name, raw := range t.claims {
		if flat, ok := strings.CutPrefix(name, tagsClaim+"/"); ok {
			claims[flat] = raw
		}
	}
	if raw := t.claims[tagsClaim]; raw != nil {
		var nested struct {
			Tags       map[string]json.RawMessage `json:"principal_tags"`
			Transitive json.RawMessage            `json:"transitive_tag_keys"`
		}
		// The two forms must not be mixed, because it would be unclear which
		// one wins.
		d := json.NewDecoder(bytes.NewReader(raw))
		if d.DisallowUnknownFields(); len(claims) > 0 || d.Decode(&nested) != nil {
			return p, malformed
		}
		for key, value := range nested.Tags {
			claims[principalTags+key] = value
		}
		if nested.Transitive != nil {
			claims[transitiveKeys] = nested.Transitive
		}
	}
	// The order is fixed, so that the session's tags do not depend on the map.
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		var values audience
		key, isTag := strings.CutPrefix(name, principalTags)
		switch err := json.Unmarshal(claims[name], &values); {
		case err != nil, isTag && len(values) != 1, !isTag && name != transitiveKeys:
			return p, malformed
		case isTag:
			p.tags = append(p.tags, accounts.Tag{Key: key, Value: values[0]})
		default:
			p.transitive = values
		}
	}
	if err := checkTags(p.tags); err != nil {
		return p, err
	}
	return p, p.check()
}

// providerOf returns the tenant's provider whose URL is exactly the token's
// issuer. The zero tenant has none.
func (c *call) providerOf(tenant meta.ID, t *token) (accounts.Identity, error) {
	refused := s3err.New(s3err.InvalidIdentityToken, "No OpenIDConnect provider found in your account for %s", clip(t.issuer))
	name, err := providerURL(t.issuer)
	if err != nil || tenant.IsZero() {
		return accounts.Identity{}, refused
	}
	p, err := c.Accounts.Identity(c.ctx, tenant, meta.IdentityProvider, name)
	if err != nil && s3err.From(err).Code == s3err.NoSuchEntity {
		return p, refused
	}
	// Names of identities are found in any case, but an issuer must match
	// exactly.
	if err == nil && p.Name != name {
		return p, refused
	}
	return p, err
}

// isFor reports whether the token is for one of the provider's clients.
func (t *token) isFor(p *accounts.ProviderFacts) bool {
	// With azp the token is for that party, whatever its audience.
	if t.party != "" {
		return slices.Contains(p.ClientIDs, t.party)
	}
	return slices.ContainsFunc(t.audience, func(id string) bool { return slices.Contains(p.ClientIDs, id) })
}
