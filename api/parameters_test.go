package api_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/s3err"
)

// parameterTable is testdata/parameters/parameters.json, see README.md there.
type parameterTable struct {
	Parameters []parameterRow
	Cases      []parameterCase
	Aside      []struct{ Header, Query, Of, Why string }
}

// parameterRow is one header or query parameter with the form of its values.
type parameterRow struct {
	Header, Query string
	Of            string // operations; "*": all of the model that have it
	Form          string // see formOf
	Code          string // of a value not of the form
	Empty         string // of an empty value; empty: the same as Code
	Twice         string // of one given twice; empty: InvalidArgument
	Absent        string // of a request without it; empty: it is optional
	Repeats       bool   // may be given twice
	In            string // a bucket other than the default
	With          map[string]string
	Good          []string
	Bad           map[string]string // values with codes of their own
}

// parameterCase is a combination of parameters.
type parameterCase struct {
	Of   string
	In   string
	With map[string]string
	Code string // "ok": it succeeds
}

// name is the parameter's name; for a prefix, the name of one header.
func (r *parameterRow) name() string {
	if strings.HasSuffix(r.Header, "-") {
		return r.Header + "a"
	}
	return r.Header + r.Query
}

// is reports whether the row is about a member of the model.
func (r *parameterRow) is(m member) bool { return m.kind != "element" && m.name == r.Header+r.Query }

// fine is the code of a successful request.
const fine = "ok"

// member is a line of testdata/parameters/model.txt: one member of an
// operation's input.
type member struct{ operation, kind, name, of, need, many string }

func readModel(t *testing.T) []member {
	t.Helper()
	text, err := os.ReadFile("../testdata/parameters/model.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []member
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := append(strings.Fields(line), "")
		if !carriedOut(f[0]) {
			continue
		}
		all = append(all, member{f[0], f[1], f[2], f[3], f[4], f[5]})
	}
	return all
}

// carriedOut reports whether the gateway implements the operation.
func carriedOut(operation string) bool {
	i := slices.IndexFunc(api.Operations, func(op api.Operation) bool { return op.Name == operation })
	return i >= 0 && api.Operations[i].Handle != nil
}

func readTable[T any](t *testing.T, name string) (table T) {
	t.Helper()
	text, err := os.ReadFile("../testdata/parameters/" + name)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&table); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return table
}

// operations returns the operations of a row.
func (r *parameterRow) operations(model []member) []string {
	named := strings.Fields(r.Of)
	all := slices.DeleteFunc(named, func(o string) bool { return o == "*" })
	if len(all) == len(strings.Fields(r.Of)) {
		return all
	}
	for _, m := range model {
		if r.is(m) {
			all = append(all, m.operation)
		}
	}
	return all
}

// Each header and query parameter of each operation is sent with valid and
// invalid values. All that AWS refuses is refused with AWS's code, and changes
// nothing.
func TestParameters(t *testing.T) {
	table, w := readTable[parameterTable](t, "parameters.json"), newParameterWorld(t)
	cases, before := 0, w.shot()
	for _, accepted := range []bool{false, true} { // accepted ones change something, so they come last
		for i := range table.Parameters {
			row := &table.Parameters[i]
			for _, operation := range row.operations(w.model) {
				if accepted {
					cases += w.tryAccepted(row, operation)
				} else {
					cases += w.tryRefused(row, operation)
				}
			}
			if !accepted {
				before = w.unchanged(before, row.Header+row.Query)
			}
		}
		for i := range table.Cases {
			c := &table.Cases[i]
			if (c.Code == fine) != accepted {
				continue
			}
			cases += w.tryCase(i, c)
			if !accepted {
				before = w.unchanged(before, fmt.Sprint("case ", i))
			}
		}
	}
	t.Logf("%d cases", cases)
	if cases < 5000 {
		t.Errorf("%d cases: some were lost", cases)
	}
}

// The region of a deployment may have a name that AWS does not use.
func TestRegionOfAnotherName(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{Region: "cellar"})
	g.Must(t, 200, "PUT", "/bkt", nil)
	if res := g.Must(t, 200, "GET", "/?bucket-region=cellar", nil); res.Element("Name") != "bkt" {
		t.Errorf("%s", res.Body)
	}
	expect(t, "another", g.Do(t, g.Root, "GET", "/?bucket-region=attic", nil), 400, "InvalidArgument")
}

// The table has every header and query parameter that AWS's model has for an
// implemented operation, unless it is set aside with a reason.
func TestParametersAreComplete(t *testing.T) {
	table, model := readTable[parameterTable](t, "parameters.json"), readModel(t)
	seen := make(map[string]bool)
	for i := range table.Parameters {
		row := &table.Parameters[i]
		for _, operation := range row.operations(model) {
			at := operation + " " + row.Header + row.Query
			if seen[at+row.In] && row.With == nil {
				t.Errorf("%s has two rows", at)
			}
			seen[at], seen[at+row.In] = true, true
		}
	}
	for _, a := range table.Aside {
		if a.Why == "" {
			t.Errorf("%s%s is set aside without a reason", a.Header, a.Query)
		}
		known := false
		for _, m := range model {
			if m.name == a.Header+a.Query && (a.Of == "*" || slices.Contains(strings.Fields(a.Of), m.operation)) {
				known, seen[m.operation+" "+m.name] = true, true
			}
		}
		if !known {
			t.Errorf("%s%s is set aside, and nothing has it", a.Header, a.Query)
		}
	}
	for _, m := range model {
		if m.kind != "element" && !seen[m.operation+" "+m.name] {
			t.Errorf("%s: testdata/parameters/parameters.json has no line for %s %s", m.operation, m.kind, m.name)
		}
	}
}

// values returns the codes of the row's values, and the values that succeed.
func (row *parameterRow) values(t *testing.T) (codes map[string]string, accepted []string) {
	good, bad := formOf(t, row.Form)
	codes = map[string]string{"": cmp.Or(row.Empty, row.Code)}
	for _, v := range bad {
		codes[v] = row.Code
	}
	for _, v := range append(good, row.Good...) {
		codes[v] = fine
	}
	maps.Copy(codes, row.Bad)
	for _, v := range slices.Sorted(maps.Keys(codes)) {
		if row.Header != "" && hasControl(v) {
			codes[v] = "InvalidArgument" // impossible in a header, however it is sent
		}
		if codes[v] == fine {
			accepted = append(accepted, v)
			delete(codes, v)
		}
	}
	return codes, accepted
}

// tryRefused sends the refused values of a parameter in all ways, and returns
// the number of ways.
func (w *parameterWorld) tryRefused(row *parameterRow, operation string) (cases int) {
	w.t.Helper()
	refused, accepted := row.values(w.t)
	for _, v := range slices.Sorted(maps.Keys(refused)) {
		for _, road := range row.roads(operation, v) {
			r := w.base(row, operation)
			road.put(r, row.name(), w.fill(v))
			w.expect(fmt.Sprintf("%s, %s %.60q in the %s", operation, row.name(), v, road.name), r, refused[v])
			cases++
		}
	}
	if !row.Repeats && len(accepted) > 0 && operation != "PostObject" {
		v := accepted[len(accepted)-1] // not one that begins with a blank
		road := row.roads(operation, v)[0]
		r := w.base(row, operation)
		road.put(r, row.name(), w.fill(v))
		road.again(r, row.name(), w.fill(v))
		w.expect(fmt.Sprintf("%s, %s twice", operation, row.name()), r, cmp.Or(row.Twice, "InvalidArgument"))
		cases++
	}
	if row.Absent != "" {
		r := w.base(row, operation)
		r.remove(row.name())
		w.expect(fmt.Sprintf("%s without %s", operation, row.name()), r, row.Absent)
		cases++
	}
	return cases
}

// tryAccepted sends the values that succeed.
func (w *parameterWorld) tryAccepted(row *parameterRow, operation string) (cases int) {
	w.t.Helper()
	_, accepted := row.values(w.t)
	for _, v := range accepted {
		for _, road := range row.roads(operation, v) {
			r := w.base(row, operation)
			road.put(r, row.name(), w.fill(v))
			w.expect(fmt.Sprintf("%s, %s %.60q in the %s", operation, row.name(), v, road.name), r, fine)
			cases++
		}
	}
	return cases
}

// tryCase sends a combination of parameters.
func (w *parameterWorld) tryCase(i int, c *parameterCase) (cases int) {
	w.t.Helper()
	for operation := range strings.FieldsSeq(c.Of) {
		r := w.sample(operation, c.In)
		for _, name := range slices.Sorted(maps.Keys(c.With)) {
			r.set(name, w.fill(c.With[name]))
		}
		w.expect(fmt.Sprintf("case %d, %s with %v", i, operation, c.With), r, c.Code)
		cases++
	}
	return cases
}

// base returns a request of an operation without any parameter but the row's.
func (w *parameterWorld) base(row *parameterRow, operation string) *sampleRequest {
	r := w.sample(operation, row.In)
	for name, value := range row.With {
		r.set(name, w.fill(value))
	}
	return r
}

// expect sends a request that must be answered with the code.
func (w *parameterWorld) expect(what string, r *sampleRequest, code string) {
	w.t.Helper()
	res := w.send(r)
	if res.Status < 300 {
		w.spoil(r, res)
	}
	if code == fine {
		if res.Status >= 400 && !slices.Contains(absences[r.operation], res.Code()) {
			w.t.Errorf("%s: %d %s, want it carried out: %.300s", what, res.Status, res.Code(), res.Body)
		}
		return
	}
	want := s3err.Code(code).Status()
	if res.Status != want || r.method != "HEAD" && res.Code() != code {
		w.t.Errorf("%s: %d %s, want %d %s: %.300s", what, res.Status, res.Code(), want, code, res.Body)
	}
}

// shot is the state before requests that must not change it. Reservations of
// refused bodies are left out, because the collector removes them.
func (w *parameterWorld) shot() map[string]string {
	state := snapshot(w.t, w.g)
	delete(state, "ledger")
	return state
}

// unchanged demands that the state is as before, and returns it.
func (w *parameterWorld) unchanged(before map[string]string, what string) map[string]string {
	w.t.Helper()
	now := w.shot()
	for name, is := range now {
		if is != before[name] {
			w.t.Errorf("%s: a refused request has changed %s from\n%s\nto\n%s", what, name, before[name], is)
		}
	}
	return now
}
