package accounts

import "time"

// Ages up to which a gateway may remember accounts. It sees its own changes at
// once.
const (
	// CredentialTTL: credentials, their holders with policies, and tenants'
	// limits.
	CredentialTTL = 2 * time.Second
	// SessionTTL: opened session tokens. A token never changes. The limit only
	// serves to forget tokens that are no longer used.
	SessionTTL = time.Minute
)
