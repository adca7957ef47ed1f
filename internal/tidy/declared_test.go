package tidy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// declared is what the Go files of this repository declare.
type declared struct {
	packages map[string]bool            // names, such as engine
	names    map[string]bool            // package.Name of what is not a method or field
	members  map[string]map[string]bool // by package.Type and by Type alone: fields and methods
	any      map[string]bool            // every name, methods and fields included
	tests    map[string]map[string]bool // functions of test files, by folder
	anyTest  map[string]bool
	places   map[string][]place // of functions of test files
}

// place is where a function of a test is: its folder, and the word of the build tags
// that a make target gives, if the file has one.
type place struct{ dir, tag string }

var declarations = sync.OnceValues(readDeclarations)

// declarationsOf reads the source once for all tests.
func declarationsOf(t *testing.T) *declared {
	t.Helper()
	d, err := declarations()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func readDeclarations() (*declared, error) {
	d := &declared{packages: map[string]bool{}, names: map[string]bool{}, members: map[string]map[string]bool{},
		any: map[string]bool{}, tests: map[string]map[string]bool{}, anyTest: map[string]bool{}, places: map[string][]place{}}
	return d, walkGoFiles(func(name string) error {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		if strings.HasSuffix(name, "_test.go") {
			d.addTests(path.Dir(name), file)
			return nil
		}
		d.packages[file.Name.Name] = true
		for _, decl := range file.Decls {
			d.add(file.Name.Name, decl)
		}
		// Contracts are in functions of packages for tests, too, such as metatest.
		d.addTests(path.Dir(name), file)
		return nil
	})
}

// ofTargets are build tags that targets of the Makefile give.
var ofTargets = regexp.MustCompile(`^//go:build .*\b(clients|more|peers)\b`)

func (d *declared) addTests(dir string, file *ast.File) {
	tag := ""
	for _, group := range file.Comments {
		if m := ofTargets.FindStringSubmatch(group.List[0].Text); m != nil && group.Pos() < file.Package {
			tag = m[1]
		}
	}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
			if d.tests[dir] == nil {
				d.tests[dir] = map[string]bool{}
			}
			d.tests[dir][f.Name.Name], d.anyTest[f.Name.Name] = true, true
			d.places[f.Name.Name] = append(d.places[f.Name.Name], place{dir, tag})
		}
	}
}

func (d *declared) add(pkg string, decl ast.Decl) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Recv == nil {
			d.addName(pkg, decl.Name)
			return
		}
		d.addMember(pkg, receiver(decl.Recv.List[0].Type), decl.Name)
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					d.addName(pkg, name)
				}
			case *ast.TypeSpec:
				d.addName(pkg, spec.Name)
				d.addFields(pkg, spec)
			}
		}
	}
}

// addFields adds the fields of a struct and the methods of an interface.
func (d *declared) addFields(pkg string, spec *ast.TypeSpec) {
	var list *ast.FieldList
	switch t := spec.Type.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		return
	}
	for _, field := range list.List {
		for _, name := range field.Names {
			d.addMember(pkg, spec.Name.Name, name)
		}
	}
}

func (d *declared) addName(pkg string, name *ast.Ident) {
	d.names[pkg+"."+name.Name], d.any[name.Name] = true, true
}

func (d *declared) addMember(pkg, of string, name *ast.Ident) {
	d.any[name.Name] = true
	for _, key := range []string{of, pkg + "." + of} {
		if d.members[key] == nil {
			d.members[key] = map[string]bool{}
		}
		d.members[key][name.Name] = true
	}
}

// receiver is the name of a method's type, without its star and parameters.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
