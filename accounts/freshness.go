package accounts

import "time"

// A gateway may remember accounts as they were so long ago. A change by the gateway itself
// holds there at once.
const (
	// CredentialTTL: of credentials, of who holds them with their policies, and of a
	// tenant's limits.
	CredentialTTL = 2 * time.Second
	// SessionTTL: of opened session tokens. One says the same for ever, and is opened
	// anew only so that a token that is not used any more is not held.
	SessionTTL = time.Minute
)
