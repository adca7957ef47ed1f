package bounded

import "time"

// maxDrops bounds what is remembered for one reading. A value that was read
// through more drops is not kept.
const maxDrops = 16

// load is a reading of a value that is under way.
type load[K comparable, V any] struct {
	key   K
	drops []func(K, V) bool // since the reading began
}

// dropped reports whether the value that was read was dropped meanwhile: it may
// be the one of before the change. A nil load reads nothing.
func (l *load[K, V]) dropped(v V) bool {
	if l == nil {
		return false
	}
	if len(l.drops) > maxDrops {
		return true
	}
	for _, drop := range l.drops {
		if drop(l.key, v) {
			return true
		}
	}
	return false
}

// noteDrop tells the readings that are under way of a drop. The lock is held.
func (c *Cache[K, V]) noteDrop(drop func(K, V) bool) {
	for l := range c.loads {
		if len(l.drops) <= maxDrops {
			l.drops = append(l.drops, drop)
		}
	}
}

// Load reads a value and sets it. Its age counts from the call and not from the
// answer, which may be old when it comes. A value that was dropped while it was
// read is returned, since the caller asked before, and not kept. Concurrent
// calls for a key each read it.
func (c *Cache[K, V]) Load(k K, read func() (V, error)) (V, error) {
	l, began := &load[K, V]{key: k}, c.now()
	c.mu.Lock()
	c.loads[l] = struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.loads, l)
		c.mu.Unlock()
	}()
	v, err := read()
	if err == nil {
		c.put(k, v, began, l)
	}
	return v, err
}

// GetSince is Get for callers that have waited for another's Load since a time
// of Now: a value whose reading began after it is new to them at any age.
func (c *Cache[K, V]) GetSince(k K, since time.Duration) (v V, ok bool) {
	c.mu.Lock()
	e := c.m[k]
	ok = e != nil && e.read >= since
	c.mu.Unlock()
	if ok {
		return e.value, true
	}
	return c.Get(k)
}

// Now is the time of the cache's clock.
func (c *Cache[K, V]) Now() time.Duration { return c.now() }
