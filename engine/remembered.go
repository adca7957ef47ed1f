package engine

import (
	"github.com/sanctum-storage/gateway/bounded"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// What an Engine remembers takes up no more bytes than these. What an entry takes is
// counted so that it is rather too much than too little.
const (
	MaxAccessKeyBytes  = 4 << 20  // access keys with their secrets
	MaxSessionBytes    = 24 << 20 // opened session tokens
	MaxHolderBytes     = 64 << 20 // users and roles with their policies
	MaxSettingsBytes   = 64 << 20 // settings of buckets, and what is made of them
	MaxParsedBytes     = 32 << 20 // what is made of settings, by their text
	MaxBucketKeyBytes  = 16 << 20 // buckets' unwrapped keys
	MaxProvenBytes     = 8 << 20  // buckets' rows that stood the proof
	MaxLimitsBytes     = 4 << 20  // tenants' limits
	MaxUsageBytes      = 4 << 20  // buckets' and tenants' usages
	MaxPlaceBytes      = 12 << 20 // blobs' backends
	MaxDamageBytes     = 1 << 20  // damage that was logged of late
	MaxLostBytes       = 1 << 20  // blobs that were missing
	bucketKeysBytes    = 2 << 10  // one generation of a bucket's keys
	compiledPerByte    = 8        // what is made of a policy or setting takes, for a byte of its text
	fixedPart          = 512      // what is made of the shortest takes
	identityBytes      = 1 << 10  // a user or role without its policies and tags
	usageSeenBytes     = 64
	bytesOfTagAndEntry = 48 // a tag beside its texts
)

// remembered is what an Engine remembers of the store for a moment.
type remembered struct {
	blobPlaces *bounded.Cache[meta.BlobID, meta.BackendID]
	keys       *bounded.Cache[meta.ID, map[uint32]*encrypt.BucketKeys]
	proven     *bounded.Cache[meta.ID, *provenBucket] // by id of the bucket
	accessKeys *bounded.Cache[string, accessKey]
	sessions   *bounded.Cache[tokenSum, *openedSession]
	holders    *bounded.Cache[meta.ID, holder]
	settings   *bounded.Cache[meta.ID, *Settings]
	parsed     *bounded.Cache[parsedKey, any]
	limits     *bounded.Cache[meta.ID, Limits]
	usages     *bounded.Cache[meta.ID, *usageSeen]
	// loggedDamage is what was logged of late.
	loggedDamage *bounded.Cache[string, struct{}]
	// lostBlobs are one of each body that had some missing, until it is there again.
	lostBlobs *bounded.Cache[meta.Body, meta.BlobID]
}

func newRemembered() remembered {
	return remembered{
		blobPlaces: bounded.New(bounded.Options[meta.BlobID, meta.BackendID]{Bytes: MaxPlaceBytes, TTL: PlaceTTL}),
		keys: bounded.New(bounded.Options[meta.ID, map[uint32]*encrypt.BucketKeys]{
			Bytes: MaxBucketKeyBytes, TTL: BucketKeysTTL,
			Size: func(_ meta.ID, all map[uint32]*encrypt.BucketKeys) int { return bucketKeysBytes * len(all) },
		}),
		proven: bounded.New(bounded.Options[meta.ID, *provenBucket]{
			Bytes: MaxProvenBytes, TTL: BucketKeysTTL, Size: func(_ meta.ID, p *provenBucket) int { return p.size() },
		}),
		accessKeys: bounded.New(bounded.Options[string, accessKey]{
			Bytes: MaxAccessKeyBytes, TTL: CredentialTTL,
			Size: func(id string, k accessKey) int { return len(id) + len(k.secret) },
		}),
		sessions: bounded.New(bounded.Options[tokenSum, *openedSession]{
			Bytes: MaxSessionBytes, TTL: SessionTTL,
			Size:  func(_ tokenSum, s *openedSession) int { return s.size() },
			Parts: func(s *openedSession) []bounded.Part { return policyParts(s.facts.Policies) },
		}),
		holders: bounded.New(bounded.Options[meta.ID, holder]{
			Bytes: MaxHolderBytes, TTL: CredentialTTL,
			Size:  func(_ meta.ID, h holder) int { return h.principal.size() },
			Parts: func(h holder) []bounded.Part { return policyParts(h.principal.all()) },
		}),
		settings: bounded.New(bounded.Options[meta.ID, *Settings]{
			Bytes: MaxSettingsBytes, TTL: BucketKeysTTL,
			Size:  func(_ meta.ID, s *Settings) int { return s.size() },
			Parts: func(s *Settings) []bounded.Part { return s.parts() },
		}),
		parsed: bounded.New(bounded.Options[parsedKey, any]{Bytes: MaxParsedBytes, Size: func(k parsedKey, v any) int { return k.size(v) }}),
		limits: bounded.New(bounded.Options[meta.ID, Limits]{Bytes: MaxLimitsBytes, TTL: CredentialTTL}),
		usages: bounded.New(bounded.Options[meta.ID, *usageSeen]{
			Bytes: MaxUsageBytes, TTL: usageTTL, Size: func(meta.ID, *usageSeen) int { return usageSeenBytes },
		}),
		loggedDamage: bounded.New(bounded.Options[string, struct{}]{
			Bytes: MaxDamageBytes, TTL: repeatDamage, Size: func(place string, _ struct{}) int { return len(place) },
		}),
		lostBlobs: bounded.New(bounded.Options[meta.Body, meta.BlobID]{Bytes: MaxLostBytes}),
	}
}

// sweep forgets what has expired, though nobody asks for it or for anything else.
func (r *remembered) sweep() {
	for _, c := range r.caches() {
		c.Sweep()
	}
}

// swept is what all caches have in common.
type swept interface {
	Sweep()
	Bytes() int
}

func (r *remembered) caches() []swept {
	return []swept{r.blobPlaces, r.keys, r.proven, r.accessKeys, r.sessions, r.holders, r.settings, r.parsed, r.limits, r.usages, r.loggedDamage, r.lostBlobs}
}

// policyParts are the texts of policies, which many may share. What will be made of a
// text counts from the beginning.
func policyParts(policies []PolicyText) []bounded.Part {
	parts := make([]bounded.Part, len(policies))
	for i, p := range policies {
		parts[i] = textPart(p.Document)
	}
	return parts
}

func textPart(text string) bounded.Part {
	return bounded.Part{Text: text, Bytes: fixedPart + len(text)*(1+compiledPerByte)}
}

// tagsSize is how many bytes tags take.
func tagsSize(tags map[string]string) (n int) {
	for k, v := range tags {
		n += bytesOfTagAndEntry + len(k) + len(v)
	}
	return n
}
