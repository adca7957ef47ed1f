package access

import (
	"context"
	"runtime"
	"sync"
)

// costly are the turns of this process.
var costly = turns{of: make(map[ID]*lane)}

// turns let the costly decisions of one tenant take turns on half of the processors, at
// least one, however many of its requests there are: the others are left to whoever else
// asks. It is safe for concurrent use, and costs memory for the tenants that are in it.
type turns struct {
	mu sync.Mutex
	of map[ID]*lane
}

type lane struct {
	places chan struct{}
	users  int // those that hold a place or wait for one; under turns.mu
}

// enter waits for a place of the tenant's until the context ends, which is an error. The
// place is held until leave is called.
func (l *turns) enter(ctx context.Context, tenant ID) (leave func(), err error) {
	l.mu.Lock()
	one := l.of[tenant]
	if one == nil {
		one = &lane{places: make(chan struct{}, max(runtime.GOMAXPROCS(0)/2, 1))}
		l.of[tenant] = one
	}
	one.users++
	l.mu.Unlock()
	select {
	case one.places <- struct{}{}:
		return func() {
			<-one.places
			l.left(tenant, one)
		}, nil
	case <-ctx.Done():
		l.left(tenant, one)
		return nil, ctx.Err()
	}
}

func (l *turns) left(tenant ID, one *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(l.of, tenant)
	}
}
