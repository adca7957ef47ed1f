package tidy

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// clause finds a sentence that begins with a clause where its subject should be.
// A question may begin so.
var clause = regexp.MustCompile(`(?:^|[.!?:] )((?:What|Who|Whoever) [^.?!]*[.?!]?)`)

// clauses are the sentences of a paragraph that begin with a clause.
func clauses(paragraph string) (found []string) {
	for _, m := range clause.FindAllStringSubmatch(strings.Join(strings.Fields(paragraph), " "), -1) {
		if !strings.HasSuffix(m[1], "?") {
			found = append(found, m[1])
		}
	}
	return found
}

func TestClauses(t *testing.T) {
	for text, want := range map[string]int{
		"What is gone is gone.": 1, "It goes. Whoever asks waits.": 1, "First\nline. What\nis left stays": 1, "It waits: Who asks waits.": 1,
		"What is it?": 0, "It says what is gone.": 0, "Whatever comes.": 0,
	} {
		if got := clauses(text); len(got) != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// A sentence begins with the thing that it is about.
func TestSentencesNameTheirSubject(t *testing.T) {
	seen := 0
	eachGoFile(t, func(name string) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range f.Comments {
			for paragraph := range strings.SplitSeq(group.Text(), "\n\n") {
				seen++
				for _, found := range clauses(paragraph) {
					t.Errorf("%s: %q begins with a clause", name, found)
				}
			}
		}
	})
	for _, d := range allDocuments(t) {
		name := d.Name
		fenced := false
		for line := range strings.Lines(read(t, name)) {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
			}
			// Headings and cells of tables are no sentences.
			if fenced || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "|") {
				continue
			}
			seen++
			for _, found := range clauses(strings.TrimLeft(line, " *->0123456789.")) {
				t.Errorf("%s: %q begins with a clause", name, found)
			}
		}
	}
	if seen < 5000 {
		t.Fatalf("only %d paragraphs were read", seen)
	}
}
