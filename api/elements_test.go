package api_test

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/api"
)

// elementTable is testdata/parameters/elements.json, see README.md there.
type elementTable struct {
	Elements []elementRow
	Aside    []struct{ Element, Why string }
}

// elementRow is one element of a document.
type elementRow struct {
	Element  string // its path, from the root
	Of       string // operations; empty: all whose documents have the root
	In       string // a document of its own; empty: the operation's sample
	With     string // content for it where the document lacks it
	Absent   string // the code of a document without it; empty: it succeeds
	Empty    string // the code of a document where it is empty; empty: malformed
	Repeated string // the code of a document where it is repeated; empty: malformed
	Form     string // of its text, see formOf; empty: it has elements
	Code     string // the code of a text not of the form; empty: malformed
	Good     []string
	Bad      map[string]string
	Most     int    // the largest number of them; 0: not tried
	Many     string // the code of one too many
}

// node is an element of a document.
type node struct {
	name     string
	attrs    []xml.Attr
	text     string
	children []*node
}

func parseNode(t *testing.T, document string) *node {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(document))
	root := &node{}
	open := []*node{root}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return root
		}
		if err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		last := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			n := &node{name: token.Name.Local, attrs: token.Attr}
			last.children = append(last.children, n)
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			last.text += string(token)
		}
	}
}

func (n *node) String() string {
	inner := ""
	for _, c := range n.children {
		inner += c.String()
	}
	if len(n.children) == 0 {
		var b strings.Builder
		xml.EscapeText(&b, []byte(n.text))
		inner = b.String()
	}
	if n.name == "" {
		return inner
	}
	return "<" + n.name + ">" + inner + "</" + n.name + ">"
}

func (n *node) child(name string) *node {
	i := slices.IndexFunc(n.children, func(c *node) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return n.children[i]
}

// elementCase is one document and the code of its answer.
type elementCase struct{ what, document, code string }

// at finds the row's element in a new copy of the document, and its parent.
// Missing elements are made as the rows say.
func (table *elementTable) at(t *testing.T, document, path string) (root, parent, element *node) {
	t.Helper()
	root = parseNode(t, document)
	element = root
	names := strings.Split(path, "/")
	for i, name := range names {
		parent = element
		if element = parent.child(name); element != nil {
			continue
		}
		with := ""
		at := strings.Join(names[:i+1], "/")
		for _, row := range table.Elements {
			if row.Element == at {
				with = row.With
			}
		}
		element = parseNode(t, "<"+name+">"+with+"</"+name+">").children[0]
		parent.children = append(parent.children, element)
	}
	return root, parent, element
}

// cases makes the documents with a valid, or an invalid, element of the row.
func (table *elementTable) cases(t *testing.T, row *elementRow, document string) (all []elementCase) {
	t.Helper()
	add := func(what, code string, change func(parent, element *node)) {
		root, parent, element := table.at(t, document, row.Element)
		change(parent, element)
		all = append(all, elementCase{what, root.String(), code})
	}
	malformed := "MalformedXML"
	if strings.HasPrefix(row.Element, "AccessControlPolicy") {
		malformed = "MalformedACLError"
	}
	top := !strings.Contains(row.Element, "/")
	add("as it should be", fine, func(_, _ *node) {})
	if !top {
		add("absent", cmp.Or(row.Absent, fine), func(parent, element *node) {
			parent.children = slices.DeleteFunc(parent.children, func(c *node) bool { return c.name == element.name })
		})
		add("misspelt", malformed, func(_, element *node) { element.name += "x" })
		add("in another case", malformed, func(_, element *node) { element.name = strings.ToUpper(element.name) + "S" })
		add("repeated", cmp.Or(row.Repeated, malformed), func(parent, element *node) { parent.children = append(parent.children, element) })
	}
	if row.Most > 0 {
		add(fmt.Sprint(row.Most), fine, func(parent, element *node) { parent.fill(element, row.Most) })
		add(fmt.Sprint(row.Most, " and one more"), row.Many, func(parent, element *node) { parent.fill(element, row.Most+1) })
	}
	add("empty", cmp.Or(row.Empty, malformed), func(_, element *node) { element.text, element.children = "", nil })
	if row.Form == "" {
		add("text in it", malformed, func(_, element *node) { element.text, element.children = "text", nil })
		add("an unknown element in it", malformed, func(_, element *node) { element.children = append(element.children, &node{name: "Nonsense"}) })
		return all
	}
	add("an element in it", malformed, func(_, element *node) { element.children = []*node{{name: "Nonsense"}} })
	good, bad := formOf(t, row.Form)
	values := make(map[string]string)
	for _, v := range bad {
		if !hasControl(v) { // no document can have it
			values[v] = cmp.Or(row.Code, malformed)
		}
	}
	for _, v := range append(good, row.Good...) {
		values[v] = fine
	}
	for v, code := range row.Bad {
		values[v] = code
	}
	sorted := make([]string, 0, len(values))
	for v := range values {
		sorted = append(sorted, v)
	}
	sort.Strings(sorted)
	for _, v := range sorted {
		add(fmt.Sprintf("%.60q", v), values[v], func(_, element *node) { element.text = v })
	}
	return all
}

// fill puts n of the element into the node, numbered where it has a number.
func (n *node) fill(element *node, count int) {
	n.children = slices.DeleteFunc(n.children, func(c *node) bool { return c.name == element.name })
	for i := range count {
		n.children = append(n.children, parseNumbered(element, i))
	}
}

func parseNumbered(element *node, i int) *node {
	c := &node{name: element.name, text: strings.ReplaceAll(element.text, "{n}", fmt.Sprint(i))}
	for _, child := range element.children {
		c.children = append(c.children, parseNumbered(child, i))
	}
	return c
}

// operations returns the operations whose documents have the row's element.
func (row *elementRow) operations(model []member) []string {
	if row.Of != "" {
		return strings.Fields(row.Of)
	}
	var all []string
	for _, m := range model {
		if root, _, _ := strings.Cut(row.Element, "/"); m.kind == "element" && strings.HasPrefix(m.name, root+"/") && !slices.Contains(all, m.operation) {
			all = append(all, m.operation)
		}
	}
	return all
}

// settingsOf is a separate bucket for documents whose sample other operations
// would miss.
func settingsOf(operation string) string {
	i := slices.IndexFunc(api.Operations, func(op api.Operation) bool { return op.Name == operation })
	if api.Operations[i].Scope == api.BucketScope && operation != "PutBucketAcl" && operation != "PutObjectLockConfiguration" && operation != "DeleteObjects" {
		return "plain"
	}
	return ""
}

// tryElement sends the documents that succeed, or those that fail.
func (w *parameterWorld) tryElement(table *elementTable, row *elementRow, operation string, accepted bool) (cases int) {
	w.t.Helper()
	document := cmp.Or(row.In, w.sample(operation, "").body)
	for _, c := range table.cases(w.t, row, document) {
		if (c.code == fine) != accepted {
			continue
		}
		r := w.sample(operation, settingsOf(operation))
		r.body = w.fill(c.document)
		switch operation {
		case "PutObjectRetention": // it may be shortened this way
			r.setHeader("x-amz-bypass-governance-retention", "true")
		case "DeleteObjects":
			r.setHeader("content-md5", "{bodymd5}")
		}
		w.expect(fmt.Sprintf("%s, %s %s", operation, row.Element, c.what), r, c.code)
		cases++
	}
	return cases
}

// Each element of each document is left out, emptied, repeated, and filled with
// allowed and forbidden values. All that AWS refuses is refused, and changes
// nothing.
func TestElements(t *testing.T) {
	table, w := readTable[elementTable](t, "elements.json"), newParameterWorld(t)
	cases, before := 0, w.shot()
	for _, accepted := range []bool{false, true} { // accepted ones change something, so they come last
		for i := range table.Elements {
			row := &table.Elements[i]
			for _, operation := range row.operations(w.model) {
				cases += w.tryElement(&table, row, operation, accepted)
			}
			if !accepted {
				before = w.unchanged(before, row.Element)
			}
		}
	}
	t.Logf("%d cases", cases)
	if cases < 2000 {
		t.Errorf("%d cases: some were lost", cases)
	}
}

// The table has every element that AWS's model has for documents that the
// gateway accepts, unless it is set aside with a reason.
func TestElementsAreComplete(t *testing.T) {
	table, model := readTable[elementTable](t, "elements.json"), readModel(t)
	seen := make(map[string]bool)
	for _, row := range table.Elements {
		for _, operation := range row.operations(model) {
			seen[operation+" "+row.Element] = true
		}
	}
	for _, a := range table.Aside {
		if a.Why == "" {
			t.Errorf("%s is set aside without a reason", a.Element)
		}
		for _, m := range model {
			if strings.HasPrefix(m.name, a.Element) {
				seen[m.operation+" "+m.name] = true
			}
		}
	}
	for _, m := range model {
		if m.kind == "element" && !seen[m.operation+" "+m.name] {
			t.Errorf("%s: testdata/parameters/elements.json has no line for %s", m.operation, m.name)
		}
	}
}
