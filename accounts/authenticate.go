package accounts

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/sigv4"
)

// Signer is the proven sender of a request: the signature, the credential, and
// the principal for decisions.
type Signer struct {
	Identity   *sigv4.Identity
	Credential Credential
	Principal  access.Principal
}

// Authenticate runs check on a signature, wherever in the request it is, and
// returns the signer. It is the only way from a signature to a principal. Its
// errors are those of check, among them sigv4.ErrAnonymous for a request
// without credentials, and those of Credential. With an error, the signer has
// at most the credential that the request claims, if that exists.
//
// The principal comes from the same look-up as the secret: between two look-ups
// the access key could change hands.
func (a *Accounts) Authenticate(v sigv4.Verifier, check func(*sigv4.Verifier) (*sigv4.Identity, error)) (s Signer, err error) {
	v.Lookup = func(ctx context.Context, accessKey, token string) (secret string, err error) {
		s.Credential, err = a.Credential(ctx, accessKey, token)
		return s.Credential.SecretKey, err
	}
	id, err := check(&v)
	if err != nil {
		return s, err
	}
	// This guards against a check that looks up one access key and verifies the
	// signature of another.
	if s.Credential.AccessKey != id.AccessKey || s.Credential.Tenant.ID.IsZero() {
		return Signer{}, errors.New("the credential looked up is not the one that signed")
	}
	s.Identity, s.Principal = id, PrincipalOf(&s.Credential, a.root.ID)
	return s, nil
}
