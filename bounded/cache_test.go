package bounded

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

type value struct {
	text  string
	parts []string
}

// clock is a clock of the test's.
type clock struct{ now time.Duration }

func newCache(bytes int, c *clock) *Cache[string, value] {
	return New(Options[string, value]{
		Bytes: bytes, TTL: time.Second, Now: func() time.Duration { return c.now },
		Size: func(k string, v value) int { return len(k) + len(v.text) },
		Parts: func(v value) (all []Part) {
			for _, p := range v.parts {
				all = append(all, Part{p, 9 * len(p)})
			}
			return all
		},
	})
}

// check counts again and compares with the cache's count.
func (c *Cache[K, V]) check(t *testing.T) {
	t.Helper()
	want, held := 0, make(map[string]int)
	n := 0
	for e := c.oldest; e != nil; e = e.newer {
		n++
		want += e.bytes
		if c.m[e.key] != e || e.newer == nil && c.newest != e {
			t.Fatal("the list is not the map's")
		}
		for _, p := range c.o.Parts(e.value) {
			if held[p.Text]++; held[p.Text] == 1 {
				want += EntryBytes + p.Bytes
			}
		}
	}
	if n != len(c.m) || len(held) != len(c.parts) || c.bytes != want || want > c.o.Bytes {
		t.Fatalf("%d entries of %d, %d parts of %d, %d bytes, really %d, of at most %d", n, len(c.m), len(held), len(c.parts), c.bytes, want, c.o.Bytes)
	}
}

// After any sequence of puts and gets, the cache holds the last value of a key,
// and none that is older or larger than allowed.
func TestCache(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	at := &clock{}
	c := newCache(20_000, at)
	model := make(map[string]value)
	until := make(map[string]time.Duration)
	hits := 0
	for range 20_000 {
		k := fmt.Sprint("key", r.IntN(60))
		switch r.IntN(12) {
		case 0:
			c.Drop(k)
			delete(model, k)
		case 1:
			at.now += time.Duration(r.IntN(300)) * time.Millisecond
		case 2:
			c.DropIf(func(k string, _ value) bool { return strings.HasSuffix(k, "7") })
			for k := range model {
				if strings.HasSuffix(k, "7") {
					delete(model, k)
				}
			}
		case 3:
			c.Sweep()
			for e := c.oldest; e != nil; e = e.newer {
				if at.now > e.until {
					t.Fatal("swept, and an expired entry is there")
				}
			}
		case 4, 5, 6:
			v := value{text: strings.Repeat("x", r.IntN(1500))}
			for range r.IntN(4) {
				v.parts = append(v.parts, strings.Repeat("p", r.IntN(300)))
			}
			c.Put(k, v)
			model[k], until[k] = v, at.now+time.Second
		default:
			v, ok := c.Get(k)
			want, put := model[k]
			if ok && (!put || v.text != want.text || at.now > until[k]) {
				t.Fatalf("%s is held as %d bytes, put %v with %d, until %v of %v", k, len(v.text), put, len(want.text), until[k], at.now)
			}
			if ok {
				hits++
			}
		}
		c.check(t)
	}
	if hits == 0 {
		t.Error("nothing was ever held")
	}
}

// The last used entries stay. An entry that is larger than the bound leaves
// nothing behind.
func TestCacheMakesWay(t *testing.T) {
	c := newCache(10*(EntryBytes+100), &clock{})
	for i := range 100 {
		c.Get("00")
		c.Put(fmt.Sprintf("%02d", i), value{text: strings.Repeat("x", 98)})
		c.check(t)
	}
	if _, ok := c.Get("00"); !ok || c.Len() != 10 {
		t.Errorf("%d entries; the one that was used most: %v", c.Len(), ok)
	}
	c.Put("large", value{text: strings.Repeat("x", 10_000)})
	if _, ok := c.Get("large"); ok || c.Len() != 10 {
		t.Errorf("one that is too large is held: %v; %d others", ok, c.Len())
	}
}

// Expired entries make way for new ones without a sweep.
func TestPutSweeps(t *testing.T) {
	at := &clock{}
	c := newCache(1<<30, at)
	for i := range 1000 {
		c.Put(fmt.Sprint("old", i), value{})
	}
	at.now = 2 * time.Second
	for i := range 500 {
		c.Put(fmt.Sprint("new", i), value{})
	}
	if n := c.Len(); n != 500 {
		t.Errorf("%d entries; 500 have not expired", n)
	}
}

// Shared texts are in memory once and counted once.
func TestShared(t *testing.T) {
	c := newCache(1<<30, &clock{})
	for i := range 100 {
		c.Put(fmt.Sprint(i), value{parts: []string{c.Shared(strings.Repeat("x", 100_000))}})
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 5_000_000 || c.Bytes() > 1_000_000 {
		t.Errorf("%d bytes in memory, %d counted", m.HeapAlloc, c.Bytes())
	}
	c.DropIf(func(string, value) bool { return true })
	if c.Bytes() != 0 || c.Shared("x") != "x" {
		t.Errorf("%d bytes of nothing", c.Bytes())
	}
}

func TestConcurrent(t *testing.T) {
	c := newCache(10_000, &clock{})
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 2000 {
				k := fmt.Sprint(i % 50)
				c.Put(k, value{text: k, parts: []string{fmt.Sprint(g % 2)}})
				if v, ok := c.Get(k); ok && v.text != k {
					t.Errorf("%s is %s", k, v.text)
				}
				c.Sweep()
			}
		})
	}
	all.Wait()
	c.check(t)
}
