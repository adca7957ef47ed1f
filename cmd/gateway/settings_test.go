package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/sigv4"
)

// Each setting is read somewhere: one that only the table names has a flag and
// a line of help, and no effect.
func TestSettingsAreRead(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	named, read := map[string]int{}, map[string]int{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				read[n.Sel.Name]++
			case *ast.UnaryExpr: // the table takes addresses
				if s, ok := n.X.(*ast.SelectorExpr); ok && n.Op == token.AND {
					named[s.Sel.Name]++
					read[s.Sel.Name]--
				}
			}
			return true
		})
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
		if named[f.Name] == 0 && f.Name != "Backends" && f.Name != "KeyProviders" { // which have a table each
			t.Errorf("Settings.%s has no row in table, in settings.go", f.Name)
		}
		if read[f.Name] == 0 {
			t.Errorf("Settings.%s is set and never read: serve.go or wire.go hands it to the package that it is for", f.Name)
		}
	}
}

func TestRegionSetting(t *testing.T) {
	for arg, want := range map[string]struct {
		first  string
		others []string
		all    bool
	}{
		"":                        {first: "us-east-1"},
		"--region=eu-west-1":      {first: "eu-west-1"},
		"--region=a,b,us-east-1":  {first: "a", others: []string{"b", "us-east-1"}},
		"--region=any":            {first: "us-east-1", all: true},
		"--region=any,a":          {first: "a", all: true},
		"--region=a, any ,b,a,,b": {first: "a", others: []string{"b"}, all: true},
	} {
		var args []string
		if arg != "" {
			args = append(args, arg)
		}
		c, err := load(t, "", nil, args...)
		if err != nil {
			t.Errorf("%s: %v", arg, err)
			continue
		}
		first, others, all := c.regions()
		if first != want.first || !reflect.DeepEqual(others, want.others) || all != want.all || c.region() != first {
			t.Errorf("%s: %q, %q, %v", arg, first, others, all)
		}
	}
	for _, wrong := range []string{"--region=,", "--region=a/b", "--region=a,b c"} {
		if _, err := load(t, "", nil, wrong); err == nil || !strings.Contains(err.Error(), "s3.region") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestSignatureSetting(t *testing.T) {
	for text, want := range map[string]sigv4.Version2Use{
		"": sigv4.Version2Off, "off": sigv4.Version2Off, "presigned": sigv4.Version2Presigned, "all": sigv4.Version2All,
	} {
		var args []string
		if text != "" {
			args = append(args, "--s3-signature-v2="+text)
		}
		c, err := load(t, "", nil, args...)
		if err != nil || c.signatureV2() != want {
			t.Fatalf("%q: %v, %v", text, c, err)
		}
		// The first text that an operator reads tells the value of the setting.
		var b bytes.Buffer
		if err := welcome(&b, accounts.Credential{AccessKey: "A", SecretKey: "S"}, "http://x", &c.Settings); err != nil {
			t.Fatal(err)
		}
		if text != "" && !strings.Contains(b.String(), "s3.signature_v2 is "+text) || !strings.Contains(b.String(), `signature_version="s3v4"`) {
			t.Errorf("the welcome says: %s", b.String())
		}
	}
	for _, wrong := range []string{"--s3-signature-v2=on", "--s3-signature-v2=ALL", "--s3-object-ownership=bucketownerenforced"} {
		if _, err := load(t, "", nil, wrong); err == nil || !strings.Contains(err.Error(), "is none of") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestMetricsOfSignatures(t *testing.T) {
	m := newMetrics()
	for _, signature := range []string{"SigV2", "SigV4", "", "SigV2"} {
		m.Request(api.Observation{Operation: "GetObject", Status: 200, Signature: signature})
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "sanctum_requests_by_signature_total" {
			for _, one := range f.GetMetric() {
				got[one.GetLabel()[0].GetValue()] = one.GetCounter().GetValue()
			}
		}
	}
	if want := map[string]float64{"SigV2": 2, "SigV4": 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
