// Package documents reads the project's own Markdown for tests that compare it with
// the code: links with their anchors, code spans, and lines of fenced code. It
// knows the few forms in these documents, and is not a general parser of Markdown.
package documents

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
)

// Document is one Markdown file.
type Document struct {
	Name  string // from the root of the repository, with slashes
	Links []Link
	Code  []Code
	// Anchors are those of the headings, in the form of link fragments.
	Anchors map[string]bool
}

// Link is one link of a document.
type Link struct {
	Line   int
	Path   string // as it is written; empty: this document
	Anchor string // after the #; empty: none
}

// Code is a code span, or a line of a fenced block.
type Code struct {
	Line    int
	Text    string
	Heading string // the nearest heading above, or the one that contains it, without its #; empty: none
	// Fence is the word behind the opening ```, such as sh. Fenced is false for a span.
	Fence  string
	Fenced bool
	// Before and After are the rest of the line on either side of a span.
	Before, After string
}

// At formats a position for a test's message.
func (d *Document) At(line int) string { return fmt.Sprintf("%s:%d", d.Name, line) }

// All reads every Markdown file below root that git knows or would add. It is an
// error if there is none.
func All(root string) ([]*Document, error) {
	out, err := exec.Command("git", "-C", root, "ls-files", "-co", "--exclude-standard", "*.md").Output()
	if err != nil {
		return nil, err
	}
	var all []*Document
	for _, name := range strings.Fields(string(out)) {
		text, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // deleted, and not yet committed
		}
		if err != nil {
			return nil, err
		}
		all = append(all, Parse(name, string(text)))
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no documents below %s", root)
	}
	return all, nil
}

var (
	span = regexp.MustCompile("`([^`]+)`")
	link = regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)
	tag  = regexp.MustCompile(`\b(?:src|srcset|href)="([^"#]*)(?:#([^"]*))?"`)
)

// Parse parses the text of a document.
func Parse(name, text string) *Document {
	d := &Document{Name: name, Anchors: map[string]bool{}}
	number, fenced, fence, under := 0, false, "", ""
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\n")
		if info, ok := strings.CutPrefix(strings.TrimSpace(line), "```"); ok {
			fenced, fence = !fenced, strings.TrimSpace(info)
			continue
		}
		if fenced {
			d.Code = append(d.Code, Code{Line: number, Text: line, Heading: under, Fence: fence, Fenced: true})
			continue
		}
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			under = strings.TrimSpace(heading)
			d.addAnchor(heading)
		}
		for _, m := range span.FindAllStringSubmatchIndex(line, -1) {
			d.Code = append(d.Code, Code{Line: number, Text: line[m[2]:m[3]], Heading: under, Before: line[:m[0]], After: line[m[1]:]})
		}
		bare := span.ReplaceAllString(line, "``") // a span may show link syntax that is no link
		for _, form := range []*regexp.Regexp{link, tag} {
			for _, m := range form.FindAllStringSubmatch(bare, -1) {
				d.Links = append(d.Links, Link{Line: number, Path: m[1], Anchor: m[2]})
			}
		}
	}
	return d
}

var linked = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

// addAnchor adds the anchor of a heading by the rule of the hosting sites: lower case,
// blanks become hyphens, other punctuation goes. A second one of the same name has -1.
func (d *Document) addAnchor(heading string) {
	heading = linked.ReplaceAllString(strings.TrimSpace(heading), "$1")
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		}
	}
	name := b.String()
	for n := 1; d.Anchors[name]; n++ {
		name = fmt.Sprintf("%s-%d", b.String(), n)
	}
	d.Anchors[name] = true
}
