package engine

import (
	"time"

	"github.com/sanctum-storage/gateway/bounded"
	"github.com/sanctum-storage/gateway/meta"
)

// RememberExpired has an engine remember so many holders that have expired already, and
// returns how many of them it still has.
func RememberExpired(e *Engine, n int) (left func() int) {
	now := time.Duration(0)
	e.holders = bounded.New(bounded.Options[meta.ID, holder]{Bytes: MaxHolderBytes, TTL: CredentialTTL, Now: func() time.Duration { return now }})
	for range n {
		e.holders.Put(meta.NewID(), holder{})
	}
	now = CredentialTTL + 1
	return e.holders.Len
}
