package buckets

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/internal/cachetest"
	"github.com/sanctum-storage/gateway/meta"
)

// fillAll puts n entries of the largest kind into each cache, and returns the bounds.
func (r *remembered) fillAll(n int) (bounds map[string]int) {
	for i := range n {
		id := meta.NewID()
		text := fmt.Sprint(i, strings.Repeat("x", 10<<10))
		r.keys.Put(id, &keyring{of: map[uint32]*encrypt.BucketKeys{1: nil, 2: nil}})
		r.proven.Put(id, &provenBucket{recorded: recorded{sums: []byte(text)}})
		r.settings.Put(id, &Settings{documents: map[string]string{"policy": text}})
		r.parsed.Put(parsedKey{name: text[:10], length: len(text)}, i)
		r.usages.Put(id, &usageSeen{})
	}
	return map[string]int{
		"keys": MaxKeyBytes, "proven": MaxProvenBytes, "settings": MaxSettingsBytes, "parsed": MaxParsedBytes, "usages": MaxUsageBytes,
	}
}

// Each thing that Buckets remember has a bound in bytes, which many entries of the
// largest kind reach and do not exceed; and each is swept.
func TestRemembered(t *testing.T) {
	r := newRemembered(DefaultKeysTTL, nil)
	bounds := r.fillAll(5_000)
	cachetest.Bounds[remembered](t, r.caches(), bounds, 124<<20)
}

// Buckets with settings of one text share what is made of it, also after one of them
// was forgotten; another text, kind or bucket's name is another.
func TestParsedIsShared(t *testing.T) {
	r := newRemembered(DefaultKeysTTL, nil)
	settings := func(doc string) *Settings {
		return &Settings{documents: map[string]string{"policy": doc}, parsed: make(map[string]any), shared: r.parsed}
	}
	made := 0
	parse := func(doc []byte) (*string, error) {
		made++
		s := string(doc)
		return &s, nil
	}
	first := settings("text")
	a, _, _ := ParsedFor(first, "policy", "b", parse)
	for range 80 {
		if b, ok, err := ParsedFor(settings("text"), "policy", "b", parse); a != b || !ok || err != nil {
			t.Fatal("made anew", ok, err)
		}
	}
	if made != 1 {
		t.Errorf("80 buckets of one text: parsed %d times", made)
	}
	if b, _, _ := ParsedFor(settings("text"), "policy", "another", parse); b == a {
		t.Error("what depends on the bucket's name is another bucket's")
	}
	if b, _, _ := ParsedFor(settings("other"), "policy", "b", parse); *b != "other" {
		t.Errorf("another text is %q", *b)
	}
	if n, _, _ := Parsed(settings("text"), "policy", func(doc []byte) (int, error) { return len(doc), nil }); n != 4 {
		t.Errorf("another kind is %d", n)
	}
	if _, ok, err := Parsed(settings("text"), "policy", func([]byte) (int8, error) { return 0, fmt.Errorf("no") }); err == nil || !ok {
		t.Error("an error was not told")
	}
	r.parsed.DropIf(func(parsedKey, any) bool { return true })
	if b, _, _ := ParsedFor(first, "policy", "b", parse); b != a {
		t.Error("made anew for a bucket that has it")
	}
}

// Buckets of one owner with the largest settings do not crowd out those of another
// owner's bucket, in whatever order they are used.
func TestSettingsOfOneOwnerLeaveRoom(t *testing.T) {
	r := newRemembered(DefaultKeysTTL, nil)
	mine, reads := meta.NewID(), 0
	for range 20 {
		if _, ok := r.settings.Get(mine); !ok {
			reads++
			r.settings.Put(mine, &Settings{owner: meta.ID{1}, documents: map[string]string{"policy": "small"}})
		}
		for i := range 5 {
			s := &Settings{owner: meta.ID{2}, documents: make(map[string]string)}
			for n := range 2 {
				s.documents[fmt.Sprint("inventory/", n)] = fmt.Sprint(i, n, strings.Repeat("x", maxSettingsText/2-8))
			}
			r.settings.Put(meta.ID{2, byte(i)}, s)
		}
	}
	if reads != 1 {
		t.Errorf("a bucket's settings were read %d times for 20 requests", reads)
	}
	if n := r.settings.Bytes(); n > MaxSettingsBytes || n < MaxSettingsBytes/2 {
		t.Errorf("%d bytes are remembered", n)
	}
}
