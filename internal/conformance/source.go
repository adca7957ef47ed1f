//go:build linux

package conformance

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
)

// source is the parsed Go files of a suite.
type source struct {
	funcs map[string]*ast.FuncDecl // package-level functions; a method is under its own name, too
}

// parseSource reads the non-test Go files that the pattern names.
func parseSource(pattern string) (*source, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	s := &source{funcs: make(map[string]*ast.FuncDecl)}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				s.funcs[fn.Name.Name] = fn
			}
		}
	}
	return s, nil
}

// called is a function and the one that calls it.
type called struct{ by, name string }

// A reading finds the tests that a suite's main function would run. It follows
// branches as the suite's settings would; a branch whose condition it does not
// know and that holds tests is an error, so that no test is lost unseen.
type reading struct {
	source *source
	truth  map[string]bool // conditions by their text
	// kind says whether a call runs a test, or a function that runs further ones.
	kind func(*ast.CallExpr) (name string, isTest, isGroup bool)
	// found are the tests in the order in which they would run, each once.
	found []called
}

// read follows the function of that name.
func (r *reading) read(name string) error {
	fn := r.source.funcs[name]
	if fn == nil {
		return fmt.Errorf("the suite has no function %s", name)
	}
	return r.block(name, fn.Body)
}

func (r *reading) block(by string, b *ast.BlockStmt) error {
	for _, s := range b.List {
		if err := r.statement(by, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) statement(by string, s ast.Stmt) error {
	switch s := s.(type) {
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		if !ok {
			return nil
		}
		name, isTest, isGroup := r.kind(call)
		switch {
		case isGroup:
			return r.read(name)
		case isTest && !slices.ContainsFunc(r.found, func(c called) bool { return c.name == name }):
			r.found = append(r.found, called{by, name})
		}
		return nil
	case *ast.BlockStmt:
		return r.block(by, s)
	case *ast.IfStmt:
		yes, known := r.holds(s.Cond)
		switch {
		case !known && r.runsTests(s):
			return fmt.Errorf("%s runs tests only if %s, which is not known here", by, types.ExprString(s.Cond))
		case !known:
			return nil
		case yes:
			return r.block(by, s.Body)
		case s.Else != nil:
			return r.statement(by, s.Else)
		}
		return nil
	}
	if r.runsTests(s) {
		return fmt.Errorf("%s runs tests in a way that is not understood: %T", by, s)
	}
	return nil
}

// holds evaluates a condition.
func (r *reading) holds(e ast.Expr) (yes, known bool) {
	if yes, known = r.truth[types.ExprString(e)]; known {
		return yes, true
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return r.holds(e.X)
	case *ast.UnaryExpr:
		yes, known = r.holds(e.X)
		return !yes, known && e.Op == token.NOT
	case *ast.BinaryExpr:
		a, knownA := r.holds(e.X)
		b, knownB := r.holds(e.Y)
		switch e.Op {
		case token.LAND:
			return a && b, knownA && knownB
		case token.LOR:
			return a || b, knownA && knownB
		}
	}
	return false, false
}

// runsTests reports whether a statement has calls of tests anywhere.
func (r *reading) runsTests(s ast.Stmt) (found bool) {
	ast.Inspect(s, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			_, isTest, isGroup := r.kind(call)
			found = found || isTest || isGroup
		}
		return !found
	})
	return found
}

// reaches are the functions from which the function target may be called,
// itself among them. A function counts as called where its name occurs.
func (s *source) reaches(target string) map[string]bool {
	callers := make(map[string][]string)
	for name, fn := range s.funcs {
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && s.funcs[id.Name] != nil {
				callers[id.Name] = append(callers[id.Name], name)
			}
			return true
		})
	}
	reach := map[string]bool{target: true}
	for queue := []string{target}; len(queue) > 0; queue = queue[1:] {
		for _, c := range callers[queue[0]] {
			if !reach[c] {
				reach[c] = true
				queue = append(queue, c)
			}
		}
	}
	return reach
}
