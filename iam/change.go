package iam

import (
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/s3err"
)

// allowOn decides whether the caller may take the action on an identity in the
// state that was read. extra are condition keys of the request.
func (c *call) allowOn(i *accounts.Identity, extra []string) error {
	c.extra = extra
	of, err := c.ofResource(i)
	if err != nil {
		return err
	}
	return c.allow(i.ARN(), append(of, extra...)...)
}

// change changes an identity that allowOn was asked about. If another request
// has changed the identity since then, allowOn is asked again, because the
// present path, tags or boundary may forbid the action. If it was deleted,
// another identity with its name is not changed.
func (c *call) change(seen accounts.Identity, change func(*accounts.Identity) error) (accounts.Identity, error) {
	return c.Accounts.ChangeIdentity(c.ctx, c.tenant(), seen.Kind, seen.Name, func(i *accounts.Identity) error {
		// The name may have passed to another identity since the decision.
		if i.ID != seen.ID {
			return s3err.New(s3err.NoSuchEntity, "The %s with name %s cannot be found.", accounts.KindLabel(i.Kind), seen.Name)
		}
		if !i.SameAs(&seen) {
			if err := c.allowOn(i, c.extra); err != nil {
				return err
			}
		}
		return change(i)
	})
}
