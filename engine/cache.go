package engine

import (
	"sync"
	"time"
)

// cache is a bounded map whose entries are forgotten after a while. What it
// holds may be stale by at most its ttl.
type cache[K comparable, V any] struct {
	mu  sync.RWMutex
	m   map[K]cached[V]
	max int
	ttl time.Duration
}

type cached[V any] struct {
	value V
	until time.Time // by the monotonic clock
}

func newCache[K comparable, V any](max int, ttl time.Duration) cache[K, V] {
	return cache[K, V]{m: make(map[K]cached[V]), max: max, ttl: ttl}
}

func (c *cache[K, V]) get(k K) (v V, ok bool) {
	c.mu.RLock()
	e, ok := c.m[k]
	c.mu.RUnlock()
	if !ok || time.Now().After(e.until) {
		return v, false
	}
	return e.value, true
}

func (c *cache[K, V]) put(k K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.m[k]; !known && len(c.m) >= c.max {
		for old := range c.m { // any entry: a miss costs little
			delete(c.m, old)
			break
		}
	}
	c.m[k] = cached[V]{v, time.Now().Add(c.ttl)}
}

// clear forgets everything.
func (c *cache[K, V]) clear() {
	c.mu.Lock()
	clear(c.m)
	c.mu.Unlock()
}

func (c *cache[K, V]) drop(k K) {
	c.mu.Lock()
	delete(c.m, k)
	c.mu.Unlock()
}
