package damage

import (
	"github.com/sanctum-storage/gateway/bounded"
	"github.com/sanctum-storage/gateway/meta"
)

// The memory of Reports takes up no more bytes than these.
const (
	MaxLoggedBytes = 1 << 20 // damage that was logged of late
	MaxLostBytes   = 1 << 20 // blobs that were missing
)

// remembered is what Reports remember.
type remembered struct {
	// logged is what was logged of late.
	logged *bounded.Cache[string, struct{}]
	// lost are one of each body that had some missing, until it is there again.
	lost *bounded.Cache[meta.Body, meta.BlobID]
}

func newRemembered() remembered {
	return remembered{
		logged: bounded.New(bounded.Options[string, struct{}]{
			Bytes: MaxLoggedBytes, TTL: repeatAfter, Size: func(place string, _ struct{}) int { return len(place) },
		}),
		lost: bounded.New(bounded.Options[meta.Body, meta.BlobID]{Bytes: MaxLostBytes}),
	}
}

// Caches are the memory of Reports, to be swept and measured.
func (r *Reports) Caches() []bounded.Swept { return r.caches() }

func (r *remembered) caches() []bounded.Swept { return []bounded.Swept{r.logged, r.lost} }
