// Package bounded has maps with a bound in bytes and a maximal age. All state
// that a caller could make large is kept in one of them.
package bounded

import (
	"sync"
	"time"
)

// EntryBytes is the memory that is counted for each entry besides its key and
// value.
const EntryBytes = 192

// sweptByPut is the number of least recently used entries that each Put checks,
// so that expired ones are dropped without further calls.
const sweptByPut = 2

// Options of a Cache.
type Options[K comparable, V any] struct {
	// Bytes bounds the memory of all entries. A single entry that needs more is
	// not kept.
	Bytes int
	// TTL is the age at which an entry is dropped; 0: none.
	TTL time.Duration
	// Size is the memory of an entry besides EntryBytes and its Parts, in
	// bytes; nil: none. It must not change while the entry is held.
	Size func(K, V) int
	// Parts are texts that several entries may share. Each is counted once
	// while an entry has it; nil: none. They must not change while the entry is
	// held.
	Parts func(V) []Part
	// Party is who has an entry for; nil: nobody in particular. If one party has
	// more than half of Bytes, each shared part counted for each entry, its own
	// entries make room first. It must not change while the entry is held.
	Party func(V) any
	// Now is a clock that never steps back; nil: this process's.
	Now func() time.Duration
}

// Part is a text that entries may share, with the memory of the text and of
// everything derived from it, in bytes.
type Part struct {
	Text  string
	Bytes int
}

// Cache is a map that drops the least recently used entries first. It is safe
// for concurrent use.
type Cache[K comparable, V any] struct {
	o     Options[K, V]
	mu    sync.Mutex
	m     map[K]*entry[K, V]
	parts map[string]*part
	bytes int
	of    map[any]int // bytes by party
	heavy any         // the last party that had more than half
	loads map[*load[K, V]]struct{}
	// newest and oldest are the ends of the list of entries, ordered by use.
	newest, oldest *entry[K, V]
}

// entry is an element of the list of entries.
type entry[K comparable, V any] struct {
	key          K
	value        V
	read         time.Duration // when its reading began
	until        time.Duration
	bytes        int
	party        any
	alone        int // bytes with all parts
	newer, older *entry[K, V]
}

// part is a Part with the number of its entries.
type part struct {
	Part
	held int // number of entries that have it
}

// New returns an empty cache.
func New[K comparable, V any](o Options[K, V]) *Cache[K, V] {
	if o.Now == nil {
		start := time.Now()
		o.Now = func() time.Duration { return time.Since(start) }
	}
	return &Cache[K, V]{o: o, m: make(map[K]*entry[K, V]), of: make(map[any]int), parts: make(map[string]*part), loads: make(map[*load[K, V]]struct{})}
}

// Get returns the value of the key if it is still held.
func (c *Cache[K, V]) Get(k K) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.m[k]
	if e == nil {
		return v, false
	}
	if c.expired(e, c.now()) {
		c.remove(e)
		return v, false
	}
	c.unlink(e)
	c.link(e)
	return e.value, true
}

// Put sets the value of the key. The value is as old as this call: one that
// takes time to read, and may change meanwhile, comes by Load.
func (c *Cache[K, V]) Put(k K, v V) { c.put(k, v, c.now(), nil) }

// put adds a value whose reading began at read, unless it was dropped since.
func (c *Cache[K, V]) put(k K, v V, read time.Duration, by *load[K, V]) {
	e := &entry[K, V]{key: k, value: v, bytes: EntryBytes, read: read, until: read + c.o.TTL}
	if c.o.Size != nil {
		e.bytes += c.o.Size(k, v)
	}
	var parts []Part
	if c.o.Parts != nil {
		parts = c.o.Parts(v)
	}
	alone := e.bytes
	for _, p := range parts {
		alone += EntryBytes + p.Bytes
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if by.dropped(v) {
		return
	}
	now := c.now()
	if before := c.m[k]; before != nil {
		c.remove(before)
	}
	if alone > c.o.Bytes {
		return // it would drive out all others, and then itself
	}
	c.m[k] = e
	c.link(e)
	c.bytes += e.bytes
	for _, p := range parts {
		c.hold(p)
	}
	if c.o.Party != nil {
		e.party, e.alone = c.o.Party(v), alone
		if c.of[e.party] += alone; c.of[e.party] > c.o.Bytes/2 {
			c.heavy = e.party
		}
	}
	for range sweptByPut {
		if c.oldest != e && c.expired(c.oldest, now) {
			c.remove(c.oldest)
		}
	}
	for c.bytes > c.o.Bytes {
		c.remove(c.next())
	}
}

// next is the entry that makes room: the oldest of the party that has more than
// half, or else the oldest of all.
func (c *Cache[K, V]) next() *entry[K, V] {
	if c.heavy == nil || c.of[c.heavy] <= c.o.Bytes/2 {
		return c.oldest
	}
	e := c.oldest
	for e.party != c.heavy {
		e = e.newer
	}
	return e
}

// Drop removes the key.
func (c *Cache[K, V]) Drop(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.m[k]; e != nil {
		c.remove(e)
	}
	c.noteDrop(func(dropped K, _ V) bool { return dropped == k })
}

// DropIf removes the entries for which drop is true. drop may be called later,
// for values that are being read.
func (c *Cache[K, V]) DropIf(drop func(K, V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.oldest; e != nil; {
		newer := e.newer
		if drop(e.key, e.value) {
			c.remove(e)
		}
		e = newer
	}
	c.noteDrop(drop)
}

// Clear removes all entries.
func (c *Cache[K, V]) Clear() { c.DropIf(func(K, V) bool { return true }) }

// Sweep removes all expired entries.
func (c *Cache[K, V]) Sweep() {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.oldest; e != nil; {
		newer := e.newer
		if c.expired(e, now) {
			c.remove(e)
		}
		e = newer
	}
}

// Shared returns a text equal to s: the one that entries have as a part, if
// any, so that equal texts are in memory once.
func (c *Cache[K, V]) Shared(s string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.parts[s]; p != nil {
		return p.Text
	}
	return s
}

// Bytes is the counted memory of all entries.
func (c *Cache[K, V]) Bytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// Len is the number of entries, including expired ones that are still held.
func (c *Cache[K, V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.m)
}

func (c *Cache[K, V]) now() time.Duration { return c.o.Now() }

func (c *Cache[K, V]) expired(e *entry[K, V], now time.Duration) bool {
	return c.o.TTL > 0 && now > e.until
}

// hold counts one more entry with the part.
func (c *Cache[K, V]) hold(p Part) {
	known := c.parts[p.Text]
	if known == nil {
		known = &part{Part: p}
		c.parts[p.Text] = known
		c.bytes += EntryBytes + p.Bytes
	}
	known.held++
}

// letGo counts one entry less with the part.
func (c *Cache[K, V]) letGo(p Part) {
	known := c.parts[p.Text]
	if known.held--; known.held == 0 {
		delete(c.parts, p.Text)
		c.bytes -= EntryBytes + known.Bytes
	}
}

// remove drops an entry and its parts.
func (c *Cache[K, V]) remove(e *entry[K, V]) {
	delete(c.m, e.key)
	c.unlink(e)
	c.bytes -= e.bytes
	if c.of[e.party] -= e.alone; c.of[e.party] == 0 {
		delete(c.of, e.party)
	}
	if c.o.Parts != nil {
		for _, p := range c.o.Parts(e.value) {
			c.letGo(p)
		}
	}
}

// link makes e the newest entry.
func (c *Cache[K, V]) link(e *entry[K, V]) {
	e.older, e.newer = c.newest, nil
	if c.newest != nil {
		c.newest.newer = e
	} else {
		c.oldest = e
	}
	c.newest = e
}

// unlink takes e out of the order.
func (c *Cache[K, V]) unlink(e *entry[K, V]) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		c.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		c.oldest = e.newer
	}
}
