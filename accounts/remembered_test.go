package accounts

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

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
	fields := reflect.TypeFor[remembered]()
	caches := a.Caches()
	if fields.NumField() != len(caches) || len(bounds) != len(caches) {
		t.Fatalf("%d things are remembered, %d swept, %d bounded", fields.NumField(), len(caches), len(bounds))
	}
	total := 0
	for i, c := range caches {
		name := fields.Field(i).Name
		t.Logf("%s: %d bytes of %d", name, c.Bytes(), bounds[name])
		total += bounds[name]
		if c.Bytes() > bounds[name] || c.Bytes() == 0 {
			t.Errorf("%s: %d bytes, at most %d", name, c.Bytes(), bounds[name])
		}
	}
	if most := 96 << 20; total > most {
		t.Errorf("all together may take %d bytes", total)
	}
}
