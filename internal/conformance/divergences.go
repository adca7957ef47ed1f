//go:build linux

package conformance

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A Divergence is a row of the table in docs/s3-divergences.md: tests that are
// meant to fail, and why.
type Divergence struct {
	Suite string
	Names []string // of tests; * stands for anything, as in path.Match
	Why   string
	Line  int // in the document
}

// Covers reports whether a test is meant.
func (d Divergence) Covers(t Test) bool {
	return d.Suite == t.Suite && slices.ContainsFunc(d.Names, func(n string) bool { return nameMatches(n, t.Name) })
}

// nameMatches is path.Match, to which the slash in names of subtests means nothing.
func nameMatches(pattern, name string) bool {
	flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	ok, err := path.Match(flat(pattern), flat(name))
	return ok && err == nil
}

var (
	codeSpan   = regexp.MustCompile("`([^`]*)`")
	headerRow  = []string{"suite", "tests", "why"}
	dashedCell = regexp.MustCompile(`^:?-+:?$`)
)

// ParseDivergences reads the one table of a Markdown document whose columns are
// suite, tests and why. Tests are names in backticks. A row that names no suite
// there is, no test, or no reason is an error: it would excuse nothing or
// anything.
func ParseDivergences(document string) (list []Divergence, err error) {
	tables, inside := 0, false
	for i, line := range strings.Split(document, "\n") {
		row := cells(line)
		switch {
		case slices.Equal(row, headerRow):
			tables++
			inside = true
		case row == nil:
			inside = false
		case !inside || dashedCell.MatchString(row[0]):
		default:
			d, err := parseDivergence(row)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			d.Line = i + 1
			list = append(list, d)
		}
	}
	if tables != 1 {
		return nil, fmt.Errorf("%d tables with the columns %s instead of one", tables, strings.Join(headerRow, ", "))
	}
	return list, nil
}

func parseDivergence(row []string) (Divergence, error) {
	if len(row) != len(headerRow) {
		return Divergence{}, fmt.Errorf("%d cells instead of %d", len(row), len(headerRow))
	}
	d := Divergence{Suite: row[0], Why: row[2]}
	if !slices.Contains(Suites(), d.Suite) {
		return d, fmt.Errorf("no suite %q; there are %s", d.Suite, strings.Join(Suites(), ", "))
	}
	for _, m := range codeSpan.FindAllStringSubmatch(row[1], -1) {
		if _, err := path.Match(m[1], ""); err != nil {
			return d, fmt.Errorf("%q: %w", m[1], err)
		}
		d.Names = append(d.Names, m[1])
	}
	rest := codeSpan.ReplaceAllString(row[1], "")
	if len(d.Names) == 0 || strings.Trim(rest, " ,") != "" {
		return d, fmt.Errorf("tests are names in backticks, separated by spaces or commas, not %q", row[1])
	}
	if d.Why == "" {
		return d, fmt.Errorf("no reason for %s", row[1])
	}
	return d, nil
}

// cells are those of a table's row, or nil.
func cells(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") || !strings.HasSuffix(line, "|") || len(line) < 2 {
		return nil
	}
	row := strings.Split(line[1:len(line)-1], "|")
	for i := range row {
		row[i] = strings.TrimSpace(row[i])
	}
	return row
}
