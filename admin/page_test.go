package admin

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

var update = flag.Bool("update", false, "write docs/admin-api.md anew")

const pageFile = "../docs/admin-api.md"

const pageHead = `# Admin API

Generated from the table of routes ([§admin/routes.go§](../admin/routes.go)) by §go test ./admin -run TestPage -update§; a test keeps it current, and others
hold each answer to it.

Operators make tenants, users and credentials, set limits and drain backends with it. The commands of §gateway§ are its clients. It listens on
§127.0.0.1:9001§ unless §admin.address§ says otherwise. Tenants manage their own users with the IAM API of the S3 listener instead.

## Requests

* Every call takes the **operator's** signature: a credential of the root of the tenant §root§. No policy gives a call to anybody else. The action of each call
  is what [the log](operating/logs.md) shows.
* Signatures are AWS Signature Version 4 for the service §sanctum§ and the gateway's region, in the §Authorization§ header, over the body: §x-amz-content-sha256§ holds
  its SHA-256.
* A body is one JSON object of at most %d KiB. A field that is unknown, or there twice, is an error, and so is a parameter that a call does not take.
* An answer is JSON, or has no body where its status is 204. Clients ignore fields that they do not know: later releases add some. Times are RFC 3339 in UTC.
* Names in paths are escaped: §a/b§ is §a%%2Fb§.
* A listing in pages takes §limit§, from 1 to %d entries, %d unless said, and §after§, the last name of the page before.
* A request that failed changed nothing, unless its status is 500 or above: then look, or send it again.

§§§sh
body='{"name": "acme"}'
curl --aws-sigv4 aws:amz:us-east-1:sanctum --user "$SANCTUM_ACCESS_KEY:$SANCTUM_SECRET_KEY" \
  -H "x-amz-content-sha256: $(printf %%s "$body" | sha256sum | cut -d ' ' -f 1)" \
  -H 'Content-Type: application/json' -d "$body" http://127.0.0.1:9001/v1/tenants
§§§

## Errors

Every error has the body [Problem](#problem). These come from any call:

`

// page generates docs/admin-api.md from the table.
func page(t *testing.T) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, strings.NewReplacer("§", "`").Replace(pageHead), MaxBody>>10, MaxPage, DefaultPage)
	writeFaults(&b, everywhere)
	bodies := []reflect.Type{reflect.TypeFor[Problem]()}
	last := ""
	for _, rt := range table {
		if noun := rt.noun(); noun != last {
			last = noun
			fmt.Fprintf(&b, "\n## Calls for %s\n", strings.ReplaceAll(noun, "-", " "))
		}
		fmt.Fprintf(&b, "\n### %s /v1%s\n\n%s\n\nAction: `%s%s`", rt.method, rt.path, rt.does, service, rt.action)
		if len(rt.query) > 0 {
			fmt.Fprintf(&b, " · Parameters: `%s`", strings.Join(rt.query, "`, `"))
		}
		if rt.takes != nil {
			fmt.Fprintf(&b, " · Body: %s", linkTo(rt.takes, &bodies))
		}
		fmt.Fprintln(&b, " · Answer:", strings.TrimSpace(fmt.Sprint(rt.status, " ", linkTo(rt.answers, &bodies))))
		if len(rt.faults) > 0 {
			b.WriteString("\n")
			writeFaults(&b, rt.faults)
		}
	}
	b.WriteString("\n## Bodies\n\nA field that is optional is left out where it is empty, zero or false.\n")
	said := comments(t)
	slices.SortFunc(bodies, func(x, y reflect.Type) int { return cmp.Compare(x.Name(), y.Name()) })
	for _, body := range slices.Compact(bodies) {
		fmt.Fprintf(&b, "\n### %s\n\n| field | kind | |\n|---|---|---|\n", body.Name())
		writeFields(t, &b, body, said)
	}
	return b.Bytes()
}

func writeFaults(b *bytes.Buffer, faults []fault) {
	b.WriteString("| error | status | when |\n|---|---|---|\n")
	for _, f := range faults {
		fmt.Fprintf(b, "| `%s` | %d | %s |\n", string(f.code), f.code.Status(), f.when)
	}
}

// noun is the subject of a call: its path's last name, or the owner's.
func (rt *route) noun() string {
	names := regexp.MustCompile(`/([a-z-]+)`).FindAllStringSubmatch(rt.path, -1)
	last := names[len(names)-1][1]
	of := map[string]string{"residency": "tenants", "drain": "backends", "doubtful": "backends", "stored": "backends"}
	return cmp.Or(of[last], last)
}

// linkTo returns a link to the section about a body, and adds the body and
// those within it to all.
func linkTo(body any, all *[]reflect.Type) string {
	if body == nil {
		return ""
	}
	var add func(reflect.Type)
	add = func(of reflect.Type) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || of == reflect.TypeFor[time.Time]() || slices.Contains(*all, of) {
			return
		}
		*all = append(*all, of)
		for _, f := range reflect.VisibleFields(of) {
			if !f.Anonymous {
				add(f.Type)
			}
		}
	}
	of := reflect.TypeOf(body)
	add(of)
	return fmt.Sprintf("[%s](#%s)", of.Name(), strings.ToLower(of.Name()))
}

func writeFields(t *testing.T, b *bytes.Buffer, body reflect.Type, said map[string]string) {
	for _, f := range reflect.VisibleFields(body) {
		if f.Anonymous {
			continue
		}
		owner := body
		if len(f.Index) > 1 { // of an embedded struct
			owner = body.FieldByIndex(f.Index[:len(f.Index)-1]).Type
		}
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		text := said[owner.String()+"."+f.Name]
		if name == "" || text == "" {
			t.Errorf("%s.%s has no JSON name, or no comment", owner, f.Name)
		}
		kind := kindOf(f.Type)
		if strings.Contains(rest, "omitempty") {
			kind += ", optional"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, kind, text)
	}
}

// kindOf is the JSON type of a field.
func kindOf(of reflect.Type) string {
	switch {
	case of == reflect.TypeFor[time.Time]():
		return "time"
	case of.Kind() == reflect.Pointer:
		return kindOf(of.Elem())
	case of.Kind() == reflect.Slice:
		return "list of " + kindOf(of.Elem())
	case of.Kind() == reflect.Struct:
		return fmt.Sprintf("[%s](#%s)", of.Name(), strings.ToLower(of.Name()))
	case of.Kind() == reflect.String:
		return "text"
	case of.Kind() == reflect.Bool:
		return "true or false"
	}
	return "number"
}

// comments returns the comments of all fields of structs, by package, type and
// field.
func comments(t *testing.T) map[string]string {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, name := range append(files, "../meta/limits.go") {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					text := strings.Join(strings.Fields(f.Doc.Text()+" "+f.Comment.Text()), " ")
					for _, id := range f.Names {
						said[file.Name.Name+"."+spec.Name.Name+"."+id.Name] = text
					}
				}
			}
			return true
		})
	}
	return said
}

func TestPageIsCurrent(t *testing.T) {
	if most := accounts.MaxIdentities(meta.IdentityUser); most != 5000 {
		t.Errorf("the table says that a tenant has 5000 users at most, and it has %d", most)
	}
	want := page(t)
	if *update {
		if err := os.WriteFile(pageFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/admin-api.md differs from the table of routes: run go test ./admin -run TestPage -update")
	}
}
