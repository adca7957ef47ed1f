// Package tidy holds the source to the project's own rules: who may import
// whom, what never belongs in a file, and that documents link to what exists.
// It has tests and nothing else.
package tidy

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sanctum-storage/gateway"

// root is the module's folder, from this one.
const root = "../.."

// layers says which of our packages each folder's non-test code may import.
// A folder that is not here may import nothing of ours; "X/…" stands for all
// folders below X. cmd/gateway may import everything.
var layers = map[string][]string{
	"api":             {"sigv4", "access", "accounts", "blobs", "buckets", "damage", "engine", "iam", "inventory", "lifecycle", "meta", "requestlog", "s3err", "strict", "fair", "weakhash"},
	"admin":           {"sigv4", "access", "accounts", "blobs", "buckets", "engine", "iam", "meta", "requestlog", "s3err", "strict", "rewrap", "rotate", "jobs"},
	"iam":             {"sigv4", "access", "accounts", "bounded", "meta", "s3err", "strict", "fair"},
	"fsck":            {"backends", "blobs", "damage", "encrypt", "engine", "meta", "records", "s3err"},
	"accounts":        {"access", "bounded", "fair", "meta", "records", "s3err", "sigv4"},
	"blobs":           {"backends", "bounded", "meta", "records", "s3err"},
	"damage":          {"backends", "blobs", "bounded", "encrypt", "meta", "records", "s3err"},
	"buckets":         {"accounts", "blobs", "bounded", "encrypt", "fair", "meta", "records", "s3err"},
	"records":         {"encrypt", "meta"},
	"workers":         {"blobs", "inventory", "lifecycle", "meta", "reseal", "rewrap", "rotate"},
	"rewrap":          {"encrypt", "engine", "jobs", "meta", "s3err"},
	"rotate":          {"damage", "encrypt", "engine", "jobs", "meta", "s3err"},
	"jobs":            {"meta", "s3err"},
	"reseal":          {"accounts", "encrypt", "engine", "meta", "records"},
	"lifecycle":       {"buckets", "engine", "fair", "meta", "s3err", "strict"},
	"inventory":       {"buckets", "engine", "fair", "lifecycle", "meta", "s3err", "strict", "weakhash"},
	"engine":          {"accounts", "blobs", "buckets", "damage", "bounded", "fair", "meta", "backends", "encrypt", "records", "s3err", "weakhash"},
	"meta":            {"s3err"},
	"sigv4":           {"s3err", "strict", "weakhash"},
	"access":          {"s3err", "strict", "fair"},
	"backends":        {},
	"encrypt":         {},
	"requestlog":      {"access"},
	"s3err":           {},
	"strict":          {},
	"fair":            {},
	"bounded":         {},
	"weakhash":        {},
	"outbound":        {"plainfile"},
	"outbound/…":      {"outbound", "plainfile"},
	"plainfile":       {},
	"transfer":        {"outbound", "plainfile", "s3err", "sigv4", "weakhash"}, // S3 on both sides, and nothing of the inside
	"meta/sqlstore":   {"meta", "s3err"},
	"meta/metatest":   {"meta"},
	"meta/sqlite":     {"fair", "meta", "meta/sqlstore", "s3err"},
	"meta/postgres":   {"fair", "meta", "meta/sqlstore", "s3err"},
	"meta/…":          {"meta", "meta/sqlstore", "s3err"},
	"backends/…":      {"backends", "outbound", "outbound/googleauth", "plainfile", "weakhash"},
	"encrypt/…":       {"encrypt", "outbound", "outbound/googleauth", "plainfile"},
	"internal/faults": {"backends", "encrypt", "meta"},
	"internal/tidy":   {},
	"cmd/…":           {"*"},
	"internal/…":      {"*"}, // test support and benchmarks, never imported by the product
}

// wires match the files that name concrete adapters.
var wires = regexp.MustCompile(`^cmd/gateway/(wire|wire_keys|key_provider_[a-z0-9_]+)\.go$`)

// forbidden imports, whatever the layer.
var forbidden = map[string][]string{
	"net/http":     {"engine", "blobs"},
	"database/sql": {"engine", "blobs"},
}

// only says which folders alone may import a package, tests of others aside.
var only = map[string][]string{
	"crypto/md5":  {"weakhash"}, // where FIPS 140-3 is told of it
	"crypto/sha1": {"weakhash"},
}

func allowed(dir string) []string {
	if a, ok := layers[dir]; ok {
		return a
	}
	for p := dir; p != "."; p = path.Dir(p) {
		if a, ok := layers[path.Dir(p)+"/…"]; ok {
			return a
		}
	}
	return nil
}

// eachGoFile calls f with every Go file's path from the root.
func eachGoFile(t *testing.T, f func(name string)) {
	t.Helper()
	if err := walkGoFiles(func(name string) error { f(name); return nil }); err != nil {
		t.Fatal(err)
	}
}

func walkGoFiles(f func(name string) error) error {
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(p, root+string(filepath.Separator)))
		if d.IsDir() && p != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "bin") {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(name, ".go") {
			return f(name)
		}
		return nil
	})
}

func imports(t *testing.T, name string) (paths []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}

func TestLayers(t *testing.T) {
	seen := 0
	eachGoFile(t, func(name string) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		dir := path.Dir(name)
		may := allowed(dir)
		for _, p := range imports(t, name) {
			if slices.Contains(forbidden[p], dir) {
				t.Errorf("%s imports %s", name, p)
			}
			if dirs, ok := only[p]; ok && !slices.Contains(dirs, dir) && !strings.HasPrefix(dir, "internal/") {
				t.Errorf("%s imports %s; only %v may", name, p, dirs)
			}
			ours, ok := strings.CutPrefix(p, module+"/")
			if !ok {
				continue
			}
			seen++
			if ours != dir && !slices.Contains(may, ours) && !slices.Contains(may, "*") {
				t.Errorf("%s imports %s; %s may import %v", name, ours, dir, may)
			}
			if strings.HasPrefix(ours, "internal/") && !strings.HasPrefix(dir, "internal/") {
				t.Errorf("%s imports %s, which is for tests", name, ours)
			}
			if dir == "cmd/gateway" && !wires.MatchString(name) && isAdapter(ours) {
				t.Errorf("%s names the adapter %s; only %v may", name, ours, wires)
			}
		}
	})
	if seen < 20 {
		t.Fatalf("only %d imports seen: is this the module's root?", seen)
	}
}

// The image is built from all folders that the gateway is made of.
func TestImageHasEveryFolder(t *testing.T) {
	ignored, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	kept := strings.Split(string(ignored), "\n")
	eachGoFile(t, func(name string) {
		folder, _, _ := strings.Cut(name, "/")
		if product := folder != "internal" && folder != "scripts" && folder != "deploy"; product && !strings.HasSuffix(name, "_test.go") && !slices.Contains(kept, "!"+folder) {
			t.Errorf("%s is not sent to the image's build: name %s in .dockerignore", name, folder)
		}
	})
}

// CONTRIBUTING shows the layers as they are.
func TestLayersAreDescribed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	described := make(map[string]bool)
	quoted := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		for _, folder := range quoted.FindAllStringSubmatch(cells[1], -1) {
			may, known := layers[folder[1]]
			if !known || strings.Contains(folder[1], "…") {
				continue
			}
			described[folder[1]] = true
			var said []string
			for _, name := range quoted.FindAllStringSubmatch(cells[3], -1) {
				said = append(said, name[1])
			}
			if slices.Sort(said); !slices.Equal(said, slices.Sorted(slices.Values(may))) {
				t.Errorf("CONTRIBUTING says that %s may import %v; the layers say %v", folder[1], said, may)
			}
		}
	}
	for folder := range layers {
		if !described[folder] && !strings.ContainsAny(folder, "/…") && folder != "s3err" {
			t.Errorf("CONTRIBUTING says nothing of %s", folder)
		}
	}
}

// isAdapter reports whether a package is one of several behind a contract.
func isAdapter(dir string) bool {
	parent, base := path.Dir(dir), path.Base(dir)
	switch parent {
	case "backends", "meta", "encrypt", "events":
		return base != "sqlstore" && base != "guard" && !strings.HasSuffix(base, "test")
	}
	return false
}

// No package is a drawer for what has no home.
func TestPackageNames(t *testing.T) {
	bad := []string{"util", "utils", "common", "helpers", "misc", "shared", "types"}
	eachGoFile(t, func(name string) {
		for _, part := range strings.Split(strings.TrimSuffix(name, ".go"), "/") {
			if slices.Contains(bad, part) {
				t.Errorf("%s: %q says nothing", name, part)
			}
		}
	})
}

// The longest a Go file may be before it must be cut, and how many lines of
// test code a file may have.
const (
	maxLines     = 600
	maxTestLines = 900
)

func TestFileLengths(t *testing.T) {
	eachGoFile(t, func(name string) {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		limit := maxLines
		if strings.HasSuffix(name, "_test.go") {
			limit = maxTestLines
		}
		if n := strings.Count(string(b), "\n"); n > limit {
			t.Errorf("%s has %d lines; cut it", name, n)
		}
	})
}

// Every package says what it is for.
func TestPackageComments(t *testing.T) {
	documented := make(map[string]bool)
	eachGoFile(t, func(name string) {
		if strings.HasSuffix(name, "_test.go") && path.Dir(name) != "internal/tidy" {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		dir := path.Dir(name)
		documented[dir] = documented[dir] || f.Doc != nil
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

// maxTracked is in bytes; the largest file that is kept is a store of an old release.
const maxTracked = 1 << 20

// Built files are not kept beside the source: such a file stays in the history for
// ever.
func TestNoLargeFiles(t *testing.T) {
	list := exec.Command("git", "ls-files", "-z")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		info, err := os.Lstat(filepath.Join(root, name))
		if err == nil && info.Size() > maxTracked {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
	}
}

// A module within this one is for tests alone, has the name of its folder and pins
// what it requires, and the gateway requires none of it.
func TestNestedModules(t *testing.T) {
	out, err := exec.Command("git", "-C", root, "ls-files", "-co", "--exclude-standard", "*/go.mod").Output()
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(string(out))
	if len(files) == 0 {
		t.Error("no modules were found")
	}
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			continue // deleted, not yet committed
		}
		dir := path.Dir(name)
		if want := "module " + module + "/" + dir + "\n"; !strings.HasPrefix(string(text), want) {
			t.Errorf("%s does not begin with %q", name, want)
		}
		if !strings.HasPrefix(dir, "internal/") {
			t.Errorf("%s is not below internal", name)
		}
		if strings.Contains(string(text), "\nreplace ") {
			t.Errorf("%s replaces what it requires", name)
		}
		if _, err := os.Stat(filepath.Join(root, dir, "go.sum")); err != nil {
			t.Errorf("%s pins nothing: %v", name, err)
		}
		if strings.Contains(string(ours), module+"/"+dir) {
			t.Errorf("go.mod requires %s", dir)
		}
	}
}

// lenient are the readers of numbers and times that take other forms than those of
// the protocols.
var lenient = regexp.MustCompile(`\b(strconv\.(Atoi|ParseInt|ParseUint)|time\.Parse(InLocation)?|http\.ParseTime|mail\.ParseDate|fmt\.S?scan\w*)\(`)

// Package strict reads the numbers and times that clients send, in one form each.
func TestStrictReaders(t *testing.T) {
	readers := 0
	eachGoFile(t, func(name string) {
		if dir := path.Dir(name); strings.HasSuffix(name, "_test.go") ||
			!slices.Contains([]string{"api", "iam", "admin", "sigv4", "access"}, dir) {
			return
		}
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if m := lenient.FindString(string(b)); m != "" {
			t.Errorf("%s calls %s…); package strict has what reads it", name, m)
		}
		readers += strings.Count(string(b), "strict.")
	})
	if readers < 20 {
		t.Errorf("only %d readers were seen", readers)
	}
}
