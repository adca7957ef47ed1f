package documents

import (
	"maps"
	"reflect"
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	d := Parse("a.md", "# The `key` & its [use](b.md)\n\n"+
		"See [b](b.md#x-y), [below](#twice) and `[no](link.md)`; <img src=\"c.svg\">.\n"+
		"## Twice\n## Twice\n```sh\nmake test # [no](link)\n```\nRun `make lint`: now.\n")
	if got, want := slices.Sorted(maps.Keys(d.Anchors)), []string{"the-key--its-use", "twice", "twice-1"}; !slices.Equal(got, want) {
		t.Errorf("anchors %q, want %q", got, want)
	}
	wantLinks := []Link{{1, "b.md", ""}, {3, "b.md", "x-y"}, {3, "", "twice"}, {3, "c.svg", ""}}
	if !reflect.DeepEqual(d.Links, wantLinks) {
		t.Errorf("links %v, want %v", d.Links, wantLinks)
	}
	wantCode := []Code{
		{Line: 1, Text: "key", Heading: "The `key` & its [use](b.md)", Before: "# The ", After: " & its [use](b.md)"},
		{Line: 3, Text: "[no](link.md)", Heading: "The `key` & its [use](b.md)", Before: "See [b](b.md#x-y), [below](#twice) and ", After: `; <img src="c.svg">.`},
		{Line: 7, Text: "make test # [no](link)", Heading: "Twice", Fence: "sh", Fenced: true},
		{Line: 9, Text: "make lint", Heading: "Twice", Before: "Run ", After: ": now."},
	}
	if !reflect.DeepEqual(d.Code, wantCode) {
		t.Errorf("code %+v,\nwant %+v", d.Code, wantCode)
	}
}
