package iam

import (
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/s3err"
)

// judge decides whether the caller may take the action on an identity in the
// state that was read. extra are condition keys of the request.
func (c *call) judge(i *accounts.Identity, extra []string) error {
	c.extra = extra
	of, err := c.ofResource(i)
	if err != nil {
		return err
	}
	return c.allow(i.ARN(), append(of, extra...)...)
}

// change changes an identity that was judged. If another request has changed it
// since then, it is judged again, because its present path, tags or boundary may
// forbid the action. If it was deleted, another identity with its name is not
// changed.
func (c *call) change(judged accounts.Identity, change func(*accounts.Identity) error) (accounts.Identity, error) {
	return c.Accounts.ChangeIdentity(c.ctx, c.tenant(), judged.Kind, judged.Name, func(i *accounts.Identity) error {
		if i.ID != judged.ID {
			return s3err.New(s3err.NoSuchEntity, "The %s with name %s cannot be found.", accounts.KindLabel(i.Kind), judged.Name)
		}
		if !i.SameAs(&judged) {
			if err := c.judge(i, c.extra); err != nil {
				return err
			}
		}
		return change(i)
	})
}
