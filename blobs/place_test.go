package blobs

import (
	"reflect"
	"slices"
	"testing"
)

// A place that is handed out of this package lets nobody delete: it has these methods, and
// no field that others could reach a backend by.
func TestPlaceCannotDelete(t *testing.T) {
	for of, may := range map[reflect.Type][]string{
		reflect.TypeFor[*Place]():      {"Admitted", "Fail", "Name"},
		reflect.TypeFor[*Reserved]():   {"Put"},
		reflect.TypeFor[*Relocation](): {"Move"},
	} {
		var has []string
		for m := range of.Methods() {
			has = append(has, m.Name)
		}
		if !slices.Equal(has, may) {
			t.Errorf("%v has %v", of, has)
		}
	}
	for _, of := range []reflect.Type{reflect.TypeFor[Place](), reflect.TypeFor[Relocation](), reflect.TypeFor[Inspection](), reflect.TypeFor[Blobs]()} {
		for _, f := range reflect.VisibleFields(of) {
			if f.IsExported() {
				t.Errorf("%v.%s can be reached from outside", of, f.Name)
			}
		}
	}
}
