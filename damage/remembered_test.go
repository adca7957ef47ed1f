package damage

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
)

// fillAll puts n entries of the largest kind into each cache, and returns the bounds.
func (r *remembered) fillAll(n int) (bounds map[string]int) {
	for i := range n {
		id := meta.NewID()
		text := fmt.Sprint(i, strings.Repeat("x", 10<<10))
		r.logged.Put(id.String()+text[:200], struct{}{})
		r.lost.Put(meta.Body{Kind: meta.BodyUpload, Upload: id}, meta.BlobID{})
	}
	return map[string]int{
		"logged": MaxLoggedBytes, "lost": MaxLostBytes,
	}
}

// Each thing that Reports remember has a bound in bytes, which many entries of the
// largest kind reach and do not exceed; and each is swept, but for what never expires.
func TestRemembered(t *testing.T) {
	r := newRemembered()
	bounds := r.fillAll(5_000)
	fields := reflect.TypeFor[remembered]()
	caches := r.caches()
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
	if most := 2 << 20; total > most {
		t.Errorf("all together may take %d bytes", total)
	}
}
