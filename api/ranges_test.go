package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

func TestParseRange(t *testing.T) {
	huge := strings.Repeat("9", 40)
	for value, want := range map[string]*engine.Range{
		"":                    nil,
		"bytes":               nil,
		"bytes=":              nil,
		"bytes=-":             nil,
		"bytes=a-b":           nil,
		"bytes=1-b":           nil,
		"bytes=5-4":           nil,
		"bytes=+1-4":          nil,
		"bytes=0x1-4":         nil,
		"bytes=1-2,4-5":       nil,
		"bytes=1-2-3":         nil,
		"bytes= 1 - 2":        nil,
		"bytes= -1":           nil,
		"bytes=0 -1":          nil,
		"bytes=0- 1":          nil,
		"items=1-2":           nil,
		"bytes=0-0":           {First: 0, Last: 0},
		"bytes=1-4":           {First: 1, Last: 4},
		"Bytes=1-4":           {First: 1, Last: 4},
		" bytes=1-4 ":         {First: 1, Last: 4},
		"bytes=7-":            {First: 7, Last: -1},
		"bytes=-7":            {Suffix: 7},
		"bytes=-0":            {First: unsatisfiable, Last: -1},
		"bytes=0-" + huge:     {First: 0, Last: unsatisfiable},
		"bytes=" + huge + "-": {First: unsatisfiable, Last: -1},
		"bytes=-" + huge:      {Suffix: unsatisfiable},
		"bytes=9223372036854775807-9223372036854775807": {First: unsatisfiable, Last: unsatisfiable},
	} {
		if got := parseRange(value); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("parseRange(%q) = %v, want %v", value, got, want)
		}
	}
}

func TestParseCopyRange(t *testing.T) {
	if r, err := parseCopyRange(""); r != nil || err != nil {
		t.Errorf("no header: %v, %v", r, err)
	}
	if r, err := parseCopyRange("bytes=2-9"); err != nil || *r != (engine.Range{First: 2, Last: 9}) {
		t.Errorf("bytes=2-9: %v, %v", r, err)
	}
	for _, value := range []string{"0-2", "bytes=0", "bytes=hello-world", "bytes=0-bar", "bytes=hello-", "bytes=0-2,3-5",
		"bytes=3-", "bytes=-3", "bytes=3-2", "bytes"} {
		if r, err := parseCopyRange(value); r != nil || !errors.Is(err, s3err.InvalidArgument) {
			t.Errorf("parseCopyRange(%q) = %v, %v; want InvalidArgument", value, r, err)
		}
	}
}

// FuzzParseRange checks that every accepted range is one that the engine can
// calculate with, in exactly one form.
func FuzzParseRange(f *testing.F) {
	for _, seed := range []string{"bytes=1-4", "bytes=-4", "bytes=4-", "bytes=-0", "bytes=1-2,3-4", "bytes=99999999999999999999-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if r := parseRange(value); r != nil {
			checkRange(t, value, *r)
		}
		r, err := parseCopyRange(value)
		if err == nil && r != nil {
			checkRange(t, value, *r)
			if r.Last < 0 || r.Suffix != 0 {
				t.Errorf("copy range %q is open: %v", value, *r)
			}
		}
	})
}

func checkRange(t *testing.T, value string, r engine.Range) {
	t.Helper()
	switch {
	case r.Suffix < 0, r.First < 0, r.Last < -1:
		t.Errorf("%q: a negative number in %v", value, r)
	case r.Suffix > 0 && (r.First != 0 || r.Last != 0):
		t.Errorf("%q: two forms at once in %v", value, r)
	case r.Suffix == 0 && r.Last >= 0 && r.First > r.Last:
		t.Errorf("%q: first after last in %v", value, r)
	case r.Last+1 < r.Last || r.First+1 < r.First:
		t.Errorf("%q: %v overflows", value, r)
	}
}
