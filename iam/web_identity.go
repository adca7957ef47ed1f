package iam

import (
	"errors"
	"slices"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// assumeRoleWithWebIdentity is for who has a token of an OpenID Connect provider
// that the role's tenant has registered, and nothing else: the request is not
// signed.
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
	token, err := parseToken(text)
	if err != nil {
		return nil, err
	}
	if !found || c.Keys == nil {
		return nil, c.denyRole(a, "there is no such role, or providers are not asked")
	}
	provider, err := c.providerOf(a.role.Tenant, token)
	if err != nil {
		return nil, err
	}
	if err := c.Keys.verify(c.ctx, issuer{a.role.Tenant, provider.Provider.URL}, token); err != nil {
		if errors.Is(err, s3err.Throttling) {
			c.reason = "too many tokens wait for their provider"
		}
		return nil, err
	}
	if err := token.check(provider.Provider, c.now()); err != nil {
		return nil, err
	}
	if err := c.admit(a.role.Tenant, meta.ID{}, engine.Limits{}); err != nil {
		return nil, err
	}
	c.principal = access.Principal{Kind: access.Federated, Name: ARN(&provider)}
	context := access.Context{"aws:federatedprovider": {ARN(&provider)}}
	for claim, values := range token.strings() {
		context.Add(provider.Name+":"+claim, values...)
	}
	made, err := c.assume(a, context)
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
	}{token.subject, token.audience[0], ARN(&provider), credentialsShown(made), a.user(), 0}, nil
}

// providerOf is the tenant's provider whose URL is the token's issuer, byte for
// byte.
func (c *call) providerOf(tenant meta.ID, t *token) (engine.Identity, error) {
	refused := s3err.New(s3err.InvalidIdentityToken, "No OpenIDConnect provider found in your account for %s", clip(t.issuer))
	name, err := providerURL(t.issuer)
	if err != nil {
		return engine.Identity{}, refused
	}
	p, err := c.Engine.Identity(c.ctx, tenant, meta.IdentityProvider, name)
	if err != nil && s3err.From(err).Code == s3err.NoSuchEntity {
		return p, refused
	}
	if err == nil && p.Name != name {
		return p, refused
	}
	return p, err
}

// isFor reports whether the token is for one of the provider's clients.
func (t *token) isFor(p *engine.ProviderFacts) bool {
	if t.party != "" {
		return slices.Contains(p.ClientIDs, t.party)
	}
	return slices.ContainsFunc(t.audience, func(id string) bool { return slices.Contains(p.ClientIDs, id) })
}
