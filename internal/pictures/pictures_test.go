package pictures

import (
	"bytes"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/documents"
)

var update = flag.Bool("update", false, "draw docs/pictures/*.svg anew")

// all calls f with each picture of the documents.
func all(t *testing.T, f func(t *testing.T, name string, p *Picture)) {
	t.Helper()
	names, err := filepath.Glob("../../docs/pictures/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no pictures: %v", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Parse(string(text))
			if err != nil {
				t.Fatal(err)
			}
			f(t, strings.TrimSuffix(name, ".txt"), p)
		})
	}
}

// Each picture is what its text says, and well formed.
func TestPicturesAreCurrent(t *testing.T) {
	all(t, func(t *testing.T, name string, p *Picture) {
		want := p.SVG()
		for d := xml.NewDecoder(bytes.NewReader(want)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if *update {
			if err := os.WriteFile(name+".svg", want, 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		if got, err := os.ReadFile(name + ".svg"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("the picture is not what its text says: run go test ./internal/pictures -update (%v)", err)
		}
	})
}

func (r rect) meets(o rect) bool {
	return r.x < o.right() && o.x < r.right() && r.y < o.bottom() && o.y < r.bottom()
}

func (r rect) holds(o rect) bool {
	return r.x <= o.x && o.right() <= r.right() && r.y <= o.y && o.bottom() <= r.bottom()
}

// Nothing lies on anything else: boxes not on boxes, arrows not on boxes or words, words
// within their box or outside all of them, and all of it on the picture.
func TestNothingOverlaps(t *testing.T) {
	all(t, func(t *testing.T, _ string, p *Picture) { p.wantRoom(t) })
}

func (p *Picture) wantRoom(t *testing.T) {
	t.Helper()
	d := p.draw()
	whole := rect{0, 0, d.w, d.h}
	for i, b := range p.boxes {
		if !whole.holds(b.rect) {
			t.Errorf("%q is not on the picture", b.text)
		}
		for _, o := range p.boxes[:i] {
			if b.rect.meets(o.rect) {
				t.Errorf("%q lies on %q", b.text, o.text)
			}
		}
	}
	for i, l := range d.labels {
		if l.of != nil && !l.of.rect.holds(l.rect) || !whole.holds(l.rect) {
			t.Errorf("%q stands out of its box", l.text)
		}
		for _, b := range p.boxes {
			if b != l.of && b.rect.meets(l.rect) {
				t.Errorf("%q lies on the box %q", l.text, b.text)
			}
		}
		for _, o := range d.labels[:i] {
			if l.meets(o.rect) {
				t.Errorf("%q lies on %q", l.text, o.text)
			}
		}
	}
	for i, line := range d.lines {
		a := p.arrows[i]
		for n := range line[1:] {
			from, to := line[n], line[n+1]
			r := rect{min(from.x, to.x), min(from.y, to.y), max(from.x, to.x) - min(from.x, to.x) + 1, max(from.y, to.y) - min(from.y, to.y) + 1}
			for _, b := range p.boxes {
				if b != a.from && b != a.to && b.rect.meets(r) {
					t.Errorf("the arrow from %q to %q crosses %q", a.from.text, a.to.text, b.text)
				}
			}
			for _, l := range d.labels {
				if l.of != a.from && l.of != a.to && l.meets(r) {
					t.Errorf("the arrow from %q to %q crosses the words %q", a.from.text, a.to.text, l.text)
				}
			}
		}
	}
}

// Each picture is shown by some document.
func TestPicturesAreShown(t *testing.T) {
	docs, err := documents.All("../..")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, d := range docs {
		for _, l := range d.Links {
			shown[path.Join(path.Dir(d.Name), l.Path)] = true
		}
	}
	all(t, func(t *testing.T, name string, _ *Picture) {
		if name := "docs/pictures/" + filepath.Base(name) + ".svg"; !shown[name] {
			t.Errorf("no document shows %s", name)
		}
	})
}

// A text that is no picture is an error which names the line.
func TestTextsThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "there is no title",
		"title | a":                              "no box",
		"title | a\nbox":                         "line 2",
		"title | a\nbox b x | c":                 `"x" is no COLUMN,ROW`,
		"title | a\nbox b 0,-1 | c":              `"0,-1" is no COLUMN,ROW`,
		"title | a\nbox b 0,0 0x1 | c":           `"0x1" is neither`,
		"title | a\nbox b 0,0 pink | c":          `"pink" is neither`,
		"title | a\nbox b 0,0 | c\narrow b d":    "line 3: there is no box b or d",
		"title | a\nbox b 0,0 | c\nline b b":     "line 3",
		"title | a\nframe 0,0 1x1 | two | three": "line 2",
	} {
		if p, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %s", text, p, err, want)
		}
	}
}
