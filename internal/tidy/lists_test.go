package tidy

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const decisions = "docs/adr/README.md"

var (
	decisionRow   = regexp.MustCompile(`(?m)^\| (\d{3}) \| \[(.+)\]\((.+)\) \| (accepted|open) \|`)
	decisionPage  = regexp.MustCompile(`^docs/adr/\d{3}-[a-z0-9-]+\.md$`)
	decisionTitle = regexp.MustCompile(`^# (\d{3}): (.+)\n\n(?:\*\*State:\*\* )?(\w+)`)
)

// stateWords are the words by which a page may tell its state.
var stateWords = map[string]string{"Accepted": "accepted", "accepted": "accepted", "taken": "accepted", "Open": "open", "open": "open"}

// Every decision is in the list, under its number and title and with its state.
func TestDecisionsAreListed(t *testing.T) {
	rows := map[string][]string{} // by file: number, title, state
	for _, m := range decisionRow.FindAllStringSubmatch(read(t, decisions), -1) {
		rows[path.Join(path.Dir(decisions), m[3])] = []string{m[1], m[2], m[4]}
	}
	numbers := map[string]string{}
	for _, d := range allDocuments(t) {
		if !decisionPage.MatchString(d.Name) {
			continue
		}
		m := decisionTitle.FindStringSubmatch(read(t, d.Name))
		if m == nil || stateWords[m[3]] == "" {
			t.Errorf("%s does not begin with its number, title and state (Accepted or Open)", d.Name)
			continue
		}
		want := []string{m[1], m[2], stateWords[m[3]]}
		if !strings.HasPrefix(path.Base(d.Name), m[1]) || numbers[m[1]] != "" {
			t.Errorf("%s calls itself %s, and so does %q", d.Name, m[1], numbers[m[1]])
		}
		numbers[m[1]] = d.Name
		if !slices.Equal(rows[d.Name], want) {
			t.Errorf("%s: add or correct the row of %s: | %s | [%s](%s) | %s | …", decisions, d.Name, want[0], want[1], path.Base(d.Name), want[2])
		}
		delete(rows, d.Name)
	}
	for name := range rows {
		t.Errorf("%s lists %s, which is not there", decisions, name)
	}
	if len(numbers) < 20 {
		t.Errorf("only %d decisions were found", len(numbers))
	}
}

const strategy = "docs/testing-strategy.md"

// Every folder with tests is named in the testing strategy.
func TestSuitesAreNamed(t *testing.T) {
	named := map[string]bool{}
	for _, d := range allDocuments(t) {
		if d.Name != strategy {
			continue
		}
		for _, c := range d.Code {
			named[c.Text] = true
		}
	}
	folders := map[string]bool{}
	eachGoFile(t, func(name string) {
		if strings.HasSuffix(name, "_test.go") {
			folders[path.Dir(name)] = true
		}
	})
	for folder := range folders {
		if !named[folder] {
			t.Errorf("%s says nothing of the tests in %s: name the folder in the row of what they are about", strategy, folder)
		}
	}
	if len(folders) < 30 {
		t.Errorf("only %d folders with tests were found", len(folders))
	}
}

// index lists every document with its reader and its check.
const index = "docs/README.md"

var indexRow = regexp.MustCompile(`^\| .+\]\(.+\).* \| [^|]+ \| [^|]+ \|$`)

// Every document but the decisions, which have a list of their own, is in the list of
// documents, in a row that says who would sign it and what keeps it true.
func TestDocumentsAreListed(t *testing.T) {
	listed := map[string]bool{index: true}
	lines := strings.Split(read(t, index), "\n")
	all := allDocuments(t)
	for _, d := range all {
		if d.Name != index {
			continue
		}
		for _, l := range d.Links {
			if row := lines[l.Line-1]; !strings.HasPrefix(row, "| ") {
				continue
			} else if !indexRow.MatchString(row) {
				t.Errorf("%s: the row does not say who signs the page and what checks it", d.At(l.Line))
			}
			listed[path.Join(path.Dir(index), l.Path)] = true
		}
	}
	for _, d := range all {
		if !listed[d.Name] && !decisionPage.MatchString(d.Name) {
			t.Errorf("%s does not list %s: add a row with the role that signs it and the check that keeps it true", index, d.Name)
		}
	}
}
