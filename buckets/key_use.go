package buckets

import (
	"context"
	"slices"
	"strconv"
	"sync"
)

// KeyUse is the generations of buckets' keys that a piece of work took, for its line in the
// log. It is safe for concurrent use. The zero value has none.
type KeyUse struct {
	mu             sync.Mutex
	opened, sealed generations
}

// maxUses is the number of generations that a KeyUse names in each list.
const maxUses = 4

// generations are different numbers in their order of use.
type generations struct {
	n    [maxUses]uint32
	have int
	more bool // than there is room for
}

func (g *generations) add(n uint32) {
	switch {
	case slices.Contains(g.n[:g.have], n):
	case g.have == maxUses:
		g.more = true
	default:
		g.n[g.have] = n
		g.have++
	}
}

// String joins the numbers by commas, and ends in ,+ where there were more. One number below
// a hundred, the usual text, allocates nothing.
func (g *generations) String() (text string) {
	for i, n := range g.n[:g.have] {
		if i > 0 {
			text += ","
		}
		text += strconv.FormatUint(uint64(n), 10)
	}
	if g.more {
		text += ",+"
	}
	return text
}

// Opened are the generations of the keys that something was opened with, as text such as 1
// or 1,2; empty: none.
func (u *KeyUse) Opened() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.opened.String()
}

// Sealed are those that were taken to seal something.
func (u *KeyUse) Sealed() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sealed.String()
}

type keyUseKey struct{}

// WithKeyUse returns a context whose work is recorded in u.
func WithKeyUse(ctx context.Context, u *KeyUse) context.Context {
	return context.WithValue(ctx, keyUseKey{}, u)
}

func noteOpened(ctx context.Context, generation uint32) {
	if u, ok := ctx.Value(keyUseKey{}).(*KeyUse); ok {
		u.mu.Lock()
		u.opened.add(generation)
		u.mu.Unlock()
	}
}

func noteSealed(ctx context.Context, generation uint32) {
	if u, ok := ctx.Value(keyUseKey{}).(*KeyUse); ok {
		u.mu.Lock()
		u.sealed.add(generation)
		u.mu.Unlock()
	}
}
