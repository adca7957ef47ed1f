package accounts

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/s3err"
)

// Renewed returns the principal that a credential proves now, for a request that
// was signed with it a while ago. The answer may be CredentialTTL old. The end of
// a session is not looked at: the request began before it. Errors:
// InvalidAccessKeyId or InvalidToken when the access key or its holder is gone,
// inactive, or another's.
func (a *Accounts) Renewed(ctx context.Context, c *Credential) (p access.Principal, err error) {
	now := *c
	if c.Temporary() {
		h, err := a.holderOf(ctx, c.Principal.ID, c.Principal.Kind)
		if errors.Is(err, s3err.InvalidAccessKeyID) || err == nil && (h.tenant.ID != c.Tenant.ID || h.principal.Kind != c.Principal.Kind) {
			return p, s3err.InvalidToken
		} else if err != nil {
			return p, err
		}
		now.Tenant, now.Principal = h.tenant, h.principal
	} else if now, err = a.Credential(ctx, c.AccessKey, ""); err != nil {
		return p, err
	} else if now.Principal.ID != c.Principal.ID || now.SecretKey != c.SecretKey {
		return p, s3err.InvalidAccessKeyID
	}
	return PrincipalOf(&now, a.root.ID), nil
}
