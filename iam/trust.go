package iam

import (
	"encoding/json"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// trustsShown are the trust policies of roles as they are shown: users and roles in
// them, which are stored by their unique ids, by their ARNs as long as they exist.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-users
func (c *call) trustsShown(roles []engine.Identity) (shown []string, err error) {
	policies := make([]*access.Policy, len(roles))
	named := make(map[meta.ID]string) // the unique id
	for i, r := range roles {
		if policies[i], err = access.ParseTrustPolicy(r.Name, []byte(r.Role.Trust)); err != nil {
			continue // it trusts nobody, and is shown as it is
		}
		for _, name := range policies[i].Principals() {
			if id, err := meta.ParseID(strings.TrimPrefix(strings.TrimPrefix(name, "AIDA"), "AROA")); err == nil {
				named[id] = name
			}
		}
	}
	arns, err := c.arnsOf(named)
	if err != nil {
		return nil, err
	}
	for i, p := range policies {
		if p == nil {
			shown = append(shown, roles[i].Role.Trust)
			continue
		}
		text, err := json.Marshal(p.WithARNs(func(id string) (string, bool) {
			arn, ok := arns[id]
			return arn, ok
		}))
		if err != nil {
			return nil, err
		}
		shown = append(shown, string(text))
	}
	return shown, nil
}

// arnsOf finds the ARNs of those users and roles that exist, by their unique ids.
func (c *call) arnsOf(named map[meta.ID]string) (map[string]string, error) {
	ids := make([]meta.ID, 0, len(named))
	for id := range named {
		ids = append(ids, id)
	}
	found, _, err := c.Engine.IdentitiesByID(c.ctx, ids)
	if err != nil {
		return nil, err
	}
	arns := make(map[string]string, len(found))
	for _, i := range found {
		if i.Kind == meta.IdentityUser || i.Kind == meta.IdentityRole {
			arns[uniqueID(&i)] = ARN(&i)
		}
	}
	return arns, nil
}
