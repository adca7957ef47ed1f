package tidy

import (
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/documents"
)

// history tells of names that were there once.
const history = "CHANGELOG.md"

// eachCode calls f with every code span and line of code of the documents that speak
// of the present.
func eachCode(t *testing.T, f func(d *documents.Document, c documents.Code)) {
	t.Helper()
	for _, d := range allDocuments(t) {
		if d.Name == history {
			continue
		}
		for _, c := range d.Code {
			f(d, c)
		}
	}
}

// foreignTests are of other projects.
var foreignTests = []string{"TestIntegration"}

var (
	testName   = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)[A-Z]\w*$`)
	testPrefix = regexp.MustCompile(`^((?:Test|Fuzz|Benchmark|test)[A-Z]\w*)…$`)
)

// Tests that documents name exist, in the folder that stands before them, and are run by
// the target that stands before them, where one does: `api`: `TestKMS`, `TestPreflight` · …
func TestNamedTests(t *testing.T) {
	have := declarationsOf(t)
	checked, placed := 0, 0
	eachCode(t, func(d *documents.Document, c documents.Code) {
		if c.Fenced {
			return
		}
		if m := testPrefix.FindStringSubmatch(c.Text); m != nil {
			checked++
			if !slices.ContainsFunc(slices.Collect(maps.Keys(have.anyTest)), func(name string) bool { return strings.HasPrefix(name, m[1]) }) {
				t.Errorf("%s: no test begins with %s", d.At(c.Line), m[1])
			}
		}
		if !testName.MatchString(c.Text) || slices.Contains(foreignTests, c.Text) {
			return
		}
		checked++
		if !have.anyTest[c.Text] {
			t.Errorf("%s names %s, which is not there", d.At(c.Line), c.Text)
			return
		}
		if dir := listBefore(folderOfList, c.Before); dir != "" {
			placed++
			if !have.tests[dir][c.Text] {
				t.Errorf("%s: %s is not in %s", d.At(c.Line), c.Text, dir)
			}
		}
		if target := listBefore(targetOfList, c.Before); target != "" && !slices.ContainsFunc(have.places[c.Text], func(p place) bool {
			return isRunBy(target, p)
		}) {
			t.Errorf("%s: make %s does not run %s", d.At(c.Line), target, c.Text)
		}
	})
	if checked < 50 || placed < 30 {
		t.Errorf("only %d tests are named, %d of them with their folder", checked, placed)
	}
}

// The text before a list of tests names the folder that they are in, or the target of
// the Makefile that runs them.
var (
	folderOfList = regexp.MustCompile("`([a-z][a-z0-9/]*)`: (?:`[^`]*`(?:, | and )?)*$")
	targetOfList = regexp.MustCompile("`make (test[a-z-]*)`: (?:`[^`]*`(?:, | and )?)*$")
)

// listBefore is the head of the list that a span belongs to; empty: it is in none.
func listBefore(head *regexp.Regexp, before string) string {
	if m := head.FindStringSubmatch(before); m != nil {
		return m[1]
	}
	return ""
}

// slow are the folders of make test-clients.
var slow = []string{"internal/clienttest", "internal/clustertest", "transfer", "deploy"}

// isRunBy reports whether a target runs a test that is in a place.
func isRunBy(target string, p place) bool {
	switch target {
	case "test":
		return p.tag == ""
	case "test-clients":
		return (p.tag == "" || p.tag == "clients") && slices.Contains(slow, p.dir)
	case "test-clients-more":
		return p.tag == "more" && p.dir == "internal/clienttest"
	case "test-peers":
		return p.tag != "clients" && p.tag != "more" && p.dir == "backends/s3"
	}
	return false
}

var (
	goTest   = regexp.MustCompile(`\bgo test\b[^|;&#]*`)
	runFlag  = regexp.MustCompile(`-(?:run|bench)[ =]('[^']*'|"[^"]*"|\S+)`)
	goFolder = regexp.MustCompile(`\./[\w/.-]*`)
)

// Commands that run tests find some.
func TestNamedTestRuns(t *testing.T) {
	have := declarationsOf(t)
	checked := 0
	eachCode(t, func(d *documents.Document, c documents.Code) {
		for _, command := range goTest.FindAllString(c.Text, -1) {
			dirs := goFolder.FindAllString(runFlag.ReplaceAllString(command, ""), -1)
			for _, dir := range dirs {
				dir = path.Clean(strings.TrimSuffix(dir, "..."))
				if dir != "FOLDER" && have.tests[dir] == nil {
					t.Errorf("%s: %s: no tests are in %s", d.At(c.Line), command, dir)
				}
				for _, m := range runFlag.FindAllStringSubmatch(command, -1) {
					expression := strings.Trim(m[1], `'"`)
					if expression == "-" || dir == "FOLDER" {
						continue
					}
					checked++
					first, _, _ := strings.Cut(expression, "/")
					if !anyMatches(t, first, have.tests[dir]) {
						t.Errorf("%s: %s: no test of %s matches %s", d.At(c.Line), command, dir, expression)
					}
				}
			}
		}
	})
	if checked < 3 {
		t.Errorf("only %d commands were found", checked)
	}
}

func anyMatches(t *testing.T, expression string, names map[string]bool) bool {
	t.Helper()
	e, err := regexp.Compile(expression)
	if err != nil {
		t.Error(err)
		return false
	}
	for name := range names {
		if (strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Benchmark") || strings.HasPrefix(name, "Fuzz")) && e.MatchString(strings.TrimPrefix(name, "Benchmark")) {
			return true
		}
	}
	return false
}

var (
	qualified = regexp.MustCompile(`^([a-z][a-z0-9]*)\.([A-Z]\w*)(?:\.(\w+))?$`)
	ofType    = regexp.MustCompile(`^([A-Z][a-z]\w*)\.(\w+)$`)
	plainName = regexp.MustCompile(`^[a-z]+[A-Z]\w*$`)
)

// standard are packages of Go whose names documents use.
var standard = []string{"os", "http", "cipher", "testing"}

// Go identifiers that documents name are declared: package.Name, package.Type.Member,
// Type.Member, and within the decisions also names of functions alone.
func TestNamedIdentifiers(t *testing.T) {
	have := declarationsOf(t)
	checked := 0
	eachCode(t, func(d *documents.Document, c documents.Code) {
		if c.Fenced {
			return
		}
		text := strings.TrimSuffix(c.Text, "()")
		switch {
		case qualified.MatchString(text):
			m := qualified.FindStringSubmatch(text)
			if slices.Contains(standard, m[1]) || m[2] == strings.ToUpper(m[2]) && m[3] != "" {
				return // backends.NAME.timeout is a setting
			}
			checked++
			switch name := m[1] + "." + m[2]; {
			case !have.names[name]:
				t.Errorf("%s names %s, which is not declared", d.At(c.Line), name)
			case m[3] != "" && !have.members[name][m[3]]:
				t.Errorf("%s names %s, which has no %s", d.At(c.Line), name, m[3])
			}
		case ofType.MatchString(text):
			m := ofType.FindStringSubmatch(text)
			checked++
			if !have.members[m[1]][m[2]] {
				t.Errorf("%s names %s, which no type has", d.At(c.Line), text)
			}
		case plainName.MatchString(text) && strings.HasPrefix(d.Name, "docs/adr/"):
			checked++
			if !have.any[text] {
				t.Errorf("%s names %s, which is not declared", d.At(c.Line), text)
			}
		}
	})
	if checked < 40 {
		t.Errorf("only %d identifiers were found", checked)
	}
}

var (
	filePath = regexp.MustCompile(`^\.?[\w-]+(?:[./…*-][\w-]*)*/?$`)
	inFence  = regexp.MustCompile(`(?:^|[\s=@"'])((?:deploy|scripts|docs|testdata|internal|cmd)/[\w./-]+)`)
	stands   = regexp.MustCompile(`/v?N(/|$)`) // for a number that the reader chooses
)

// Files and folders of the repository that documents name are there. A Go file may be
// named from any folder on.
func TestNamedFiles(t *testing.T) {
	list := exec.Command("git", "-C", root, "ls-files", "-co", "--exclude-standard")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	tracked := strings.Fields(string(out))
	top := map[string]bool{}
	for _, name := range tracked {
		first, _, _ := strings.Cut(name, "/")
		top[first] = true
	}
	checked := 0
	eachCode(t, func(d *documents.Document, c documents.Code) {
		var names []string
		if c.Fenced {
			for _, m := range inFence.FindAllStringSubmatch(c.Text, -1) {
				names = append(names, m[1])
			}
		} else if first, rest, slash := strings.Cut(c.Text, "/"); filePath.MatchString(c.Text) &&
			(strings.HasSuffix(c.Text, ".go") || slash && rest != "" && top[first]) {
			names = append(names, c.Text)
		}
		for _, name := range names {
			checked++
			if !stands.MatchString(name) && !isThere(name, path.Dir(d.Name), tracked) {
				t.Errorf("%s names %s, which is not there", d.At(c.Line), name)
			}
		}
	})
	if checked < 100 {
		t.Errorf("only %d files were found", checked)
	}
}

// made are files and folders that commands make in the repository's folder.
var made = []string{"bin/servers", "deploy/compose/secrets", "deploy/compose/secrets/keyring"}

// isThere reports whether a name, from the root, from the document's folder, or for Go
// files from anywhere, is a file or folder. … and * stand for anything.
func isThere(name, from string, tracked []string) bool {
	name = strings.TrimSuffix(strings.TrimSuffix(name, "/"), "/…")
	if slices.Contains(made, name) {
		return true
	}
	for _, p := range []string{name, path.Join(from, name)} {
		if found, err := filepath.Glob(filepath.Join(root, p)); err == nil && len(found) > 0 {
			return true
		}
	}
	return strings.HasSuffix(name, ".go") && slices.ContainsFunc(tracked, func(file string) bool {
		return strings.HasSuffix(file, "/"+name)
	})
}

var (
	makeCommand = regexp.MustCompile(`(?:^|\s)make ([a-z][a-z-]*)`)
	makeTarget  = regexp.MustCompile(`(?m)^([a-z][a-z-]*):.*## `)
)

// Targets that documents name are in the Makefile, and all of those that it tells of
// are named by a document.
func TestNamedTargets(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range makeTarget.FindAllStringSubmatch(string(text), -1) {
		named[m[1]] = false
	}
	eachCode(t, func(d *documents.Document, c documents.Code) {
		if !strings.HasPrefix(strings.TrimSpace(c.Text), "make ") {
			return
		}
		for _, m := range makeCommand.FindAllStringSubmatch(c.Text, -1) {
			if _, ok := named[m[1]]; !ok {
				t.Errorf("%s: the Makefile has no %s", d.At(c.Line), m[1])
			}
			named[m[1]] = true
		}
	})
	for target, ok := range named {
		if !ok {
			t.Errorf("no document tells of make %s", target)
		}
	}
}

var alertName = regexp.MustCompile(`^Sanctum[A-Z]\w*$`)

// Alerts that documents name are among the shipped rules.
func TestNamedAlerts(t *testing.T) {
	rules, err := os.ReadFile(filepath.Join(root, "deploy/prometheus/alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	eachCode(t, func(d *documents.Document, c documents.Code) {
		if c.Fenced || !alertName.MatchString(c.Text) {
			return
		}
		checked++
		if !strings.Contains(string(rules), "alert: "+c.Text+"\n") {
			t.Errorf("%s: no rule is named %s", d.At(c.Line), c.Text)
		}
	})
	if checked == 0 {
		t.Error("no alerts are named")
	}
}
