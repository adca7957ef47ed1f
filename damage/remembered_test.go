package damage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/cachetest"
	"github.com/sanctum-storage/gateway/meta"
)

// fillAll puts n entries of the largest kind into each cache, and returns the bounds.
func (r *remembered) fillAll(n int) (bounds map[string]int) {
	for i := range n {
		id := meta.NewID()
		text := fmt.Sprint(i, strings.Repeat("x", 10<<10))
		r.logged.Put(id.String()+text[:200], struct{}{})
		r.lost.Put(meta.Body{Kind: meta.BodyUpload, Upload: id}, meta.BlobID{})
	}
	return map[string]int{
		"logged": MaxLoggedBytes, "lost": MaxLostBytes,
	}
}

// Each thing that Reports remember has a bound in bytes, which many entries of the
// largest kind reach and do not exceed; and each is swept, but for what never expires.
func TestRemembered(t *testing.T) {
	r := newRemembered()
	bounds := r.fillAll(5_000)
	cachetest.Bounds[remembered](t, r.caches(), bounds, 2<<20)
}
