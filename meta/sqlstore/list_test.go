package sqlstore

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
)

// table has sorted keys and counts reads.
type table struct {
	keys    []string
	fetches int
	rows    int
}

func (s *table) listing(prefix, delimiter string, limit int) *listing[[]byte, string] {
	return &listing[[]byte, string]{
		prefix: prefix, delimiter: delimiter, most: limit + 1,
		fetch: func(from, to []byte, n int) ([]string, error) {
			lo, _ := slices.BinarySearch(s.keys, string(from))
			hi, _ := slices.BinarySearch(s.keys, string(to))
			hi = max(lo, min(hi, lo+n))
			s.fetches++
			s.rows += n // the reads of an engine that materialises a LIMIT
			return s.keys[lo:hi], nil
		},
		key:   func(k string) string { return k },
		at:    func(k []byte) []byte { return k },
		after: func(k string) []byte { return keyAfter(k) },
	}
}

// page lists as ListObjects does.
func (s *table) page(t *testing.T, prefix, delimiter string, limit int) (shown []string) {
	t.Helper()
	l := s.listing(prefix, delimiter, limit)
	if err := l.run(start("", prefix, delimiter), func(common, key string) bool {
		if len(shown) == limit {
			return false
		}
		if common != "" {
			key = common + "*"
		}
		shown = append(shown, key)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return shown
}

// A page costs its entries, however many keys lie under its common prefixes.
func TestListingSkips(t *testing.T) {
	const prefixes = 100
	for _, each := range []int{1, 100, 10_000} {
		s := &table{}
		for p := range prefixes {
			for k := range each {
				s.keys = append(s.keys, fmt.Sprintf("p%02d/%06d", p, k))
			}
		}
		shown := s.page(t, "", "/", 1000)
		if len(shown) != prefixes || shown[7] != "p07/*" {
			t.Fatalf("%d keys each: %d entries, the eighth %q", each, len(shown), shown[7])
		}
		if s.fetches > prefixes+1 || s.rows > (prefixes+1)*2*firstBatch {
			t.Errorf("%d keys each: %d fetches of %d rows for %d entries", each, s.fetches, s.rows, prefixes)
		}
	}
}

// Listings with a delimiter read plain keys in few, growing batches.
func TestListingGrows(t *testing.T) {
	s := &table{}
	for k := range 100_000 {
		s.keys = append(s.keys, fmt.Sprintf("%06d", k))
	}
	if shown := s.page(t, "", "/", 1000); len(shown) != 1000 {
		t.Fatalf("%d entries", len(shown))
	}
	if s.fetches > 10 || s.rows > 2100 {
		t.Errorf("%d fetches of %d rows for 1000 entries", s.fetches, s.rows)
	}
	s.fetches, s.rows = 0, 0
	if shown := s.page(t, "", "", 10); len(shown) != 10 || s.fetches != 1 || s.rows != 11 {
		t.Errorf("without a delimiter: %d fetches of %d rows for %d entries", s.fetches, s.rows, len(shown))
	}
}

func TestPrefixEnd(t *testing.T) {
	for prefix, want := range map[string]string{
		"":           afterAllKeys,
		"a":          "b",
		"a/":         "a0",
		"a\xff":      "b",
		"a\xff\xff":  "b",
		"\xff":       afterAllKeys,
		"\xff\xff":   afterAllKeys,
		"\xfe":       "\xff",
		"\x00":       "\x01",
		"a\x00":      "a\x01",
		"\xff\x00":   "\xff\x01",
		"é":          "\xc3\xaa",
		"a\xfe\xff/": "a\xfe\xff0",
	} {
		got := prefixEnd(prefix)
		if got != want {
			t.Errorf("%q: got %.8q, want %.8q", prefix, got, want)
		}
		if highest := prefix + strings.Repeat("\xff", meta.MaxKeyBytes-len(prefix)); got <= highest {
			t.Errorf("%q: %.8q is not above all keys with the prefix", prefix, got)
		}
	}
}
