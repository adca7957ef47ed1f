package tidy

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/documents"
)

// allDocuments are the Markdown files of the repository.
func allDocuments(t *testing.T) []*documents.Document {
	t.Helper()
	all, err := documents.All(root)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Documents link to files that exist, and to headings that they have.
func TestLinks(t *testing.T) {
	all := allDocuments(t)
	byName := map[string]*documents.Document{}
	for _, d := range all {
		byName[d.Name] = d
	}
	links, anchors := 0, 0
	for _, d := range all {
		for _, l := range d.Links {
			if strings.Contains(l.Path, ":") {
				continue // another site, or mail
			}
			links++
			target := d.Name
			if l.Path != "" {
				target = path.Join(path.Dir(d.Name), l.Path)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which is not there", d.At(l.Line), target)
				continue
			}
			if l.Anchor == "" {
				continue
			}
			anchors++
			if to := byName[target]; to == nil || !to.Anchors[l.Anchor] {
				t.Errorf("%s links to #%s of %s, which has no such heading", d.At(l.Line), l.Anchor, target)
			}
		}
	}
	if links < 100 || anchors < 20 {
		t.Errorf("only %d links and %d anchors were found", links, anchors)
	}
}
