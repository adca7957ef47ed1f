// Package cachetest holds what a package remembers against its bounds.
package cachetest

import (
	"reflect"
	"testing"

	"github.com/sanctum-storage/gateway/bounded"
)

// Bounds checks the caches of a type whose fields are all caches, filled with more
// entries of the largest kind than their bounds allow. Each field is swept, in the
// order of the fields, and has a bound in bytes by its name, which it does not exceed.
// All bounds together are at most most.
func Bounds[T any](t *testing.T, caches []bounded.Swept, bounds map[string]int, most int) {
	t.Helper()
	fields := reflect.TypeFor[T]()
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
	if total > most {
		t.Errorf("all together may take %d bytes", total)
	}
}
