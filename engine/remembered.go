package engine

import (
	"slices"

	"github.com/sanctum-storage/gateway/bounded"
	"github.com/sanctum-storage/gateway/meta"
)

// What the store says is true at once for every request on every gateway:
// objects, uploads, buckets and which backend a bucket is on are read anew each
// time. A few things are remembered for a moment. Each change of them is seen by
// all gateways within
//
//   - accounts.CredentialTTL: a removed access key or user, whose requests are refused
//     after it;
//   - buckets.KeysTTL: a bucket's keys, should they be destroyed or renewed;
//   - blobs.BeatInterval: backends that were added, are draining or were retired,
//     and earlier where a request meets the change.
//
// Where a blob is may be remembered for blobs.PlaceTTL.

// What an Engine remembers takes up no more bytes than these. What an entry takes is
// counted so that it is rather too much than too little.
const (
	MaxDamageBytes = 1 << 20 // damage that was logged of late
	MaxLostBytes   = 1 << 20 // blobs that were missing
)

// remembered is what an Engine remembers of the store for a moment.
type remembered struct {
	// loggedDamage is what was logged of late.
	loggedDamage *bounded.Cache[string, struct{}]
	// lostBlobs are one of each body that had some missing, until it is there again.
	lostBlobs *bounded.Cache[meta.Body, meta.BlobID]
}

func newRemembered() remembered {
	return remembered{
		loggedDamage: bounded.New(bounded.Options[string, struct{}]{
			Bytes: MaxDamageBytes, TTL: repeatDamage, Size: func(place string, _ struct{}) int { return len(place) },
		}),
		lostBlobs: bounded.New(bounded.Options[meta.Body, meta.BlobID]{Bytes: MaxLostBytes}),
	}
}

func (r *remembered) caches() []bounded.Swept {
	return []bounded.Swept{r.loggedDamage, r.lostBlobs}
}

// sweep forgets what has expired, though nobody asks for it or for anything else.
func (e *Engine) sweep() {
	for _, c := range slices.Concat(e.caches(), e.accounts.Caches(), e.blobs.Caches(), e.buckets.Caches()) {
		c.Sweep()
	}
}
