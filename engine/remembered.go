package engine

import (
	"slices"

	"github.com/sanctum-storage/gateway/bounded"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// What an Engine remembers takes up no more bytes than these. What an entry takes is
// counted so that it is rather too much than too little.
const (
	MaxSettingsBytes  = 64 << 20 // settings of buckets, and what is made of them
	MaxParsedBytes    = 32 << 20 // what is made of settings, by their text
	MaxBucketKeyBytes = 16 << 20 // buckets' unwrapped keys
	MaxProvenBytes    = 8 << 20  // buckets' rows that stood the proof
	MaxUsageBytes     = 4 << 20  // buckets' and tenants' usages
	MaxDamageBytes    = 1 << 20  // damage that was logged of late
	MaxLostBytes      = 1 << 20  // blobs that were missing
	bucketKeysBytes   = 2 << 10  // one generation of a bucket's keys
	usageSeenBytes    = 64
)

// remembered is what an Engine remembers of the store for a moment.
type remembered struct {
	keys     *bounded.Cache[meta.ID, map[uint32]*encrypt.BucketKeys]
	proven   *bounded.Cache[meta.ID, *provenBucket] // by id of the bucket
	settings *bounded.Cache[meta.ID, *Settings]
	parsed   *bounded.Cache[parsedKey, any]
	usages   *bounded.Cache[meta.ID, *usageSeen]
	// loggedDamage is what was logged of late.
	loggedDamage *bounded.Cache[string, struct{}]
	// lostBlobs are one of each body that had some missing, until it is there again.
	lostBlobs *bounded.Cache[meta.Body, meta.BlobID]
}

func newRemembered() remembered {
	return remembered{
		keys: bounded.New(bounded.Options[meta.ID, map[uint32]*encrypt.BucketKeys]{
			Bytes: MaxBucketKeyBytes, TTL: BucketKeysTTL,
			Size: func(_ meta.ID, all map[uint32]*encrypt.BucketKeys) int { return bucketKeysBytes * len(all) },
		}),
		proven: bounded.New(bounded.Options[meta.ID, *provenBucket]{
			Bytes: MaxProvenBytes, TTL: BucketKeysTTL, Size: func(_ meta.ID, p *provenBucket) int { return p.size() },
		}),
		settings: bounded.New(bounded.Options[meta.ID, *Settings]{
			Bytes: MaxSettingsBytes, TTL: BucketKeysTTL,
			Size:  func(_ meta.ID, s *Settings) int { return s.size() },
			Parts: func(s *Settings) []bounded.Part { return s.parts() },
		}),
		parsed: bounded.New(bounded.Options[parsedKey, any]{Bytes: MaxParsedBytes, Size: func(k parsedKey, v any) int { return k.size(v) }}),
		usages: bounded.New(bounded.Options[meta.ID, *usageSeen]{
			Bytes: MaxUsageBytes, TTL: usageTTL, Size: func(meta.ID, *usageSeen) int { return usageSeenBytes },
		}),
		loggedDamage: bounded.New(bounded.Options[string, struct{}]{
			Bytes: MaxDamageBytes, TTL: repeatDamage, Size: func(place string, _ struct{}) int { return len(place) },
		}),
		lostBlobs: bounded.New(bounded.Options[meta.Body, meta.BlobID]{Bytes: MaxLostBytes}),
	}
}

func (r *remembered) caches() []bounded.Swept {
	return []bounded.Swept{r.keys, r.proven, r.settings, r.parsed, r.usages, r.loggedDamage, r.lostBlobs}
}

// sweep forgets what has expired, though nobody asks for it or for anything else.
func (e *Engine) sweep() {
	for _, c := range slices.Concat(e.caches(), e.accounts.Caches(), e.blobs.Caches()) {
		c.Sweep()
	}
}
