package buckets

import (
	"time"

	"github.com/sanctum-storage/gateway/bounded"
	"github.com/sanctum-storage/gateway/meta"
)

// DefaultKeysTTL is how long a bucket's keys are remembered, and so how long a key that was
// disabled or deleted may still be used, unless Config.KeysTTL says otherwise. A newer
// generation is noticed at once. All else that is remembered is held against the bucket's row as it is now, and nothing that the keys
// opened is used after them.
const DefaultKeysTTL = time.Minute

// The memory of Buckets takes up no more bytes than these. Each entry is counted so that
// it is rather too much than too little.
const (
	MaxSettingsBytes = 64 << 20 // settings of buckets, and what is made of them
	MaxParsedBytes   = 32 << 20 // what is made of settings, by their text
	MaxKeyBytes      = 16 << 20 // unwrapped keys
	MaxProvenBytes   = 8 << 20  // rows that stood the proof
	MaxUsageBytes    = 4 << 20  // buckets' and tenants' usages
	generationBytes  = 2 << 10  // one generation of a bucket's keys
	usageSeenBytes   = 288
)

// remembered is what Buckets remember of the store for a moment.
type remembered struct {
	keys     *bounded.Cache[meta.ID, *keyring]
	proven   *bounded.Cache[meta.ID, *provenBucket] // by id of the bucket
	settings *bounded.Cache[meta.ID, *Settings]
	parsed   *bounded.Cache[parsedKey, any]
	usages   *bounded.Cache[meta.ID, *usageSeen]
}

func newRemembered(ttl time.Duration, elapsed func() time.Duration) remembered {
	return remembered{
		keys: bounded.New(bounded.Options[meta.ID, *keyring]{
			Bytes: MaxKeyBytes, TTL: ttl, Now: elapsed,
			Size: func(_ meta.ID, k *keyring) int { return generationBytes * len(k.of) },
		}),
		proven: bounded.New(bounded.Options[meta.ID, *provenBucket]{
			Bytes: MaxProvenBytes, TTL: ttl, Now: elapsed, Size: func(_ meta.ID, p *provenBucket) int { return p.size() },
		}),
		settings: bounded.New(bounded.Options[meta.ID, *Settings]{
			Bytes: MaxSettingsBytes, TTL: ttl, Now: elapsed,
			Size:  func(_ meta.ID, s *Settings) int { return s.size() },
			Parts: func(s *Settings) []bounded.Part { return s.parts() },
			Party: func(s *Settings) any { return s.owner },
		}),
		parsed: bounded.New(bounded.Options[parsedKey, any]{Bytes: MaxParsedBytes, Size: func(k parsedKey, v any) int { return k.size(v) }}),
		usages: bounded.New(bounded.Options[meta.ID, *usageSeen]{
			Bytes: MaxUsageBytes, TTL: usageIdle, Size: func(meta.ID, *usageSeen) int { return usageSeenBytes },
		}),
	}
}

// Caches are the memory of Buckets, to be swept and measured.
func (bs *Buckets) Caches() []bounded.Swept { return bs.caches() }

// Opened are those of what keys have opened.
func (bs *Buckets) Opened() []bounded.Swept { return bs.opened() }

func (r *remembered) caches() []bounded.Swept { return append(r.opened(), r.usages) }

func (r *remembered) opened() []bounded.Swept {
	return []bounded.Swept{r.keys, r.proven, r.settings, r.parsed}
}
