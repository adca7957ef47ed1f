package bounded

import (
	"testing"
	"time"
)

// A value that was read through a drop may be of before it: the next caller reads again.
func TestDroppedWhileRead(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(*Cache[string, value])
		kept      bool
	}{
		"nothing":       {func(*Cache[string, value]) {}, true},
		"the key":       {func(c *Cache[string, value]) { c.Drop("k") }, false},
		"another key":   {func(c *Cache[string, value]) { c.Drop("other") }, true},
		"by its value":  {func(c *Cache[string, value]) { c.DropIf(func(_ string, v value) bool { return v.text == "read" }) }, false},
		"another value": {func(c *Cache[string, value]) { c.DropIf(func(_ string, v value) bool { return v.text == "new" }) }, true},
		"very many": {func(c *Cache[string, value]) {
			for range 2 * maxDrops {
				c.Drop("other")
			}
		}, false},
	} {
		cache := newCache(20_000, &clock{})
		v, err := cache.Load("k", func() (value, error) {
			c.meanwhile(cache)
			return value{text: "read"}, nil
		})
		if err != nil || v.text != "read" {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
		if _, ok := cache.Get("k"); ok != c.kept {
			t.Errorf("%s: kept %v, want %v", name, ok, c.kept)
		}
		if len(cache.loads) != 0 {
			t.Errorf("%s: a reading is remembered after its end", name)
		}
		cache.check(t)
	}
}

// The age of a value counts from the beginning of its reading. Those who waited
// for that reading get it at any age.
func TestAgeCountsFromTheReading(t *testing.T) {
	at := &clock{}
	cache := newCache(20_000, at)
	before := cache.Now()
	at.now += time.Millisecond
	if _, err := cache.Load("k", func() (value, error) {
		at.now += 900 * time.Millisecond
		return value{}, nil
	}); err != nil {
		t.Fatal(err)
	}
	since := cache.Now()
	if _, ok := cache.GetSince("k", since); !ok {
		t.Error("a value in its time is not given to those who came later")
	}
	at.now += 101 * time.Millisecond
	if _, ok := cache.GetSince("k", before); !ok {
		t.Error("a value that was read since it was asked for is not given")
	}
	if _, ok := cache.GetSince("k", since); ok {
		t.Error("an old value is given to those who came after its reading began")
	}
	if _, ok := cache.Get("k"); ok {
		t.Error("the time that the reading took does not count")
	}
}
