package iam

import (
	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
)

// storedTrust parses the stored trust policy of a role. It has the ids of its
// principals. An ARN of a user, role or session, which earlier releases
// accepted, matches nobody.
func storedTrust(r *accounts.Identity) (*access.Policy, error) {
	p, err := access.ParseTrustPolicy(r.Name, []byte(r.Role.Trust))
	if err != nil {
		return nil, err
	}
	return p.Closed(), nil
}

// trustsShown returns the trust policies of roles as they were given, except
// that their principals are ARNs: the present ones of users, roles and
// sessions, and those of accounts.
func (c *call) trustsShown(roles []accounts.Identity) (shown []string, err error) {
	policies := make([]*access.Policy, len(roles))
	for i, r := range roles {
		if policies[i], err = access.ParseTrustPolicy(r.Name, []byte(r.Role.Trust)); err != nil {
			policies[i] = nil // an unreadable policy trusts nobody and is shown as it is
		}
	}
	arns, err := c.Accounts.ARNs(c.ctx, policies...)
	if err != nil {
		return nil, err
	}
	for _, p := range policies {
		for _, name := range p.Principals() {
			if access.IsAccount(name) {
				arns[name] = "arn:aws:iam::" + name + ":root"
			}
		}
	}
	for i, p := range policies {
		if p == nil {
			shown = append(shown, roles[i].Role.Trust)
			continue
		}
		text, err := p.WithARNs(arns).Text()
		if err != nil {
			return nil, err
		}
		shown = append(shown, text)
	}
	return shown, nil
}
