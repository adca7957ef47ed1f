package iam

import (
	"net/url"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	maxClientIDs   = 100
	maxClientID    = 255
	maxThumbprints = 5
	thumbprint     = 40 // characters
)

// providerURL validates the URL of a provider and returns it without the
// scheme, which is the name of its identity.
func providerURL(text string) (name string, err error) {
	u, err := url.Parse(text)
	// A user, query or fragment would make two names of one issuer.
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" || len(text) > 255 {
		return "", s3err.New(s3err.InvalidInput,
			"Invalid Open ID Connect Provider URL: it must be https://host/path, without a query.")
	}
	return strings.TrimSuffix(strings.TrimPrefix(text, "https://"), "/"), nil
}

// checkClientIDs refuses more or longer client ids than AWS allows.
func checkClientIDs(ids []string) error {
	if len(ids) > maxClientIDs || slices.ContainsFunc(ids, func(id string) bool { return id == "" || len(id) > maxClientID }) {
		return s3err.New(s3err.InvalidInput, "A provider can have at most %d client ids of 1 to %d characters.", maxClientIDs, maxClientID)
	}
	return nil
}

// checkThumbprints refuses more thumbprints than AWS allows, or malformed ones.
func checkThumbprints(all []string) error {
	if len(all) > maxThumbprints || slices.ContainsFunc(all, func(t string) bool { return len(t) != thumbprint }) {
		return s3err.New(s3err.InvalidInput, "A provider can have at most %d thumbprints, each of %d characters.", maxThumbprints, thumbprint)
	}
	return nil
}

// createProvider registers an OpenID Connect provider. The provider is not
// asked yet.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
func createProvider(c *call) (any, error) {
	text, err := c.form.need("Url")
	if err != nil {
		return nil, err
	}
	name, err := providerURL(text)
	if err != nil {
		return nil, err
	}
	tags, err := c.form.tags()
	if err != nil {
		return nil, err
	}
	if err := c.allowWithTags("TagOpenIDConnectProvider", c.arn(meta.IdentityProvider, "/", name), tags); err != nil {
		return nil, err
	}
	// Without client ids no token is accepted, because its audience must be one
	// of them.
	facts := &accounts.ProviderFacts{
		URL: "https://" + name, ClientIDs: c.form.list("ClientIDList"), Thumbprints: c.form.list("ThumbprintList"),
	}
	if err := checkClientIDs(facts.ClientIDs); err != nil {
		return nil, err
	}
	if err := checkThumbprints(facts.Thumbprints); err != nil {
		return nil, err
	}
	p, err := c.Accounts.CreateIdentity(c.ctx, accounts.Identity{
		Tenant: c.tenant(), Kind: meta.IdentityProvider, Name: name, Tags: tags, Provider: facts,
	})
	if err != nil {
		return nil, err
	}
	return struct {
		OpenIDConnectProviderArn string
		Tags                     members[tagXML]
	}{p.ARN(), tagsXML(p.Tags)}, nil
}

// provider returns the provider that OpenIDConnectProviderArn names.
func (c *call) provider(extra ...string) (accounts.Identity, error) {
	arn, err := c.form.need("OpenIDConnectProviderArn")
	if err != nil {
		return accounts.Identity{}, err
	}
	// Providers of other accounts are absent for the caller.
	account, name, ok := accounts.CutARN(arn, "oidc-provider")
	if !ok || account != c.principal.Account {
		return accounts.Identity{}, s3err.New(s3err.NoSuchEntity, "OpenIDConnect Provider not found for arn %s", clip(arn))
	}
	return c.find(meta.IdentityProvider, name, extra...)
}

// getProvider shows a provider.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetOpenIDConnectProvider.html
func getProvider(c *call) (any, error) {
	p, err := c.provider()
	if err != nil {
		return nil, err
	}
	return struct {
		Url            string
		ClientIDList   members[string]
		ThumbprintList members[string]
		CreateDate     string
		Tags           members[tagXML]
	}{
		p.Name, members[string]{p.Provider.ClientIDs}, members[string]{p.Provider.Thumbprints},
		stamp(p.Created), tagsXML(p.Tags),
	}, nil
}

// listProviders lists all of the tenant's providers; their number is bounded.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListOpenIDConnectProviders.html
func listProviders(c *call) (any, error) {
	if err := c.allow("*"); err != nil {
		return nil, err
	}
	found, err := c.Accounts.ListIdentities(c.ctx, c.tenant(), meta.IdentityProvider, "", meta.MaxPage)
	type entry struct{ Arn string }
	entryOf := func(p accounts.Identity) entry { return entry{p.ARN()} }
	return struct{ OpenIDConnectProviderList members[entry] }{membersOf(found, entryOf)}, err
}

// deleteProvider removes a provider. Roles that trust it stay, and nobody can
// assume them by it.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteOpenIDConnectProvider.html
func deleteProvider(c *call) (any, error) {
	p, err := c.provider()
	if err != nil {
		return nil, err
	}
	return nil, c.Accounts.DeleteIdentity(c.ctx, p)
}

// addClientID succeeds if the id is already there.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddClientIDToOpenIDConnectProvider.html
func addClientID(c *call) (any, error) {
	return c.changeClientIDs(func(ids []string, id string) []string {
		if slices.Contains(ids, id) {
			return ids
		}
		return append(ids, id)
	})
}

// removeClientID succeeds if the id is not there.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_RemoveClientIDFromOpenIDConnectProvider.html
func removeClientID(c *call) (any, error) {
	return c.changeClientIDs(func(ids []string, id string) []string {
		return slices.DeleteFunc(ids, func(have string) bool { return have == id })
	})
}

// changeClientIDs replaces the provider's client ids by the result of change.
func (c *call) changeClientIDs(change func([]string, string) []string) (any, error) {
	id, err := c.form.need("ClientID")
	if err != nil {
		return nil, err
	}
	if err := checkClientIDs([]string{id}); err != nil {
		return nil, err
	}
	p, err := c.provider()
	if err != nil {
		return nil, err
	}
	// The bound holds for the result, since the list may have grown meanwhile.
	_, err = c.change(p, func(p *accounts.Identity) error {
		p.Provider.ClientIDs = change(p.Provider.ClientIDs, id)
		return checkClientIDs(p.Provider.ClientIDs)
	})
	return nil, err
}

// updateThumbprints replaces the list. Thumbprints are stored and shown, but
// not used: the system's certificate authorities decide.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateOpenIDConnectProviderThumbprint.html
func updateThumbprints(c *call) (any, error) {
	p, err := c.provider()
	if err != nil {
		return nil, err
	}
	all := c.form.list("ThumbprintList")
	if err := checkThumbprints(all); err != nil {
		return nil, err
	}
	_, err = c.change(p, func(p *accounts.Identity) error {
		p.Provider.Thumbprints = all
		return nil
	})
	return nil, err
}
