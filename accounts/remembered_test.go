package accounts

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/cachetest"
	"github.com/sanctum-storage/gateway/meta"
)

// fillAll puts n entries of the largest kind into each cache, and returns the bounds.
func (a *Accounts) fillAll(n int) (bounds map[string]int) {
	for i := range n {
		id := meta.NewID()
		text := fmt.Sprint(i, strings.Repeat("x", 10<<10))
		policies := []PolicyText{{"p", text}, {"q", "shared" + text[len(text)-5000:]}}
		a.accessKeys.Put(id.String(), accessKey{secret: strings.Repeat("s", 128)})
		a.sessions.Put(tokenSum{byte(i), byte(i >> 8), byte(i >> 16)}, &openedSession{facts: &SessionFacts{Policies: policies}})
		a.holders.Put(id, holder{principal: &Principal{Policies: policies, Boundary: &policies[0]}})
		a.limits.Put(id, meta.Limits{})
	}
	return map[string]int{
		"accessKeys": MaxAccessKeyBytes, "sessions": MaxSessionBytes, "holders": MaxHolderBytes, "limits": MaxLimitsBytes,
	}
}

// TestRemembered fills each cache with more entries of the largest kind than
// its bound allows. No cache may exceed its bound, and each must be swept.
func TestRemembered(t *testing.T) {
	a := New(Config{})
	bounds := a.fillAll(5_000)
	cachetest.Bounds[remembered](t, a.Caches(), bounds, 96<<20)
}
