package api

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write docs/s3-coverage.md anew")

const coverageFile = "../docs/s3-coverage.md"

// coverage generates docs/s3-coverage.md from the operation table.
func coverage() []byte {
	var b bytes.Buffer
	done := 0
	for i := range Operations {
		if Operations[i].Handle != nil {
			done++
		}
	}
	b.WriteString("# S3 coverage\n\n")
	b.WriteString("Generated from the operation table (`api/operations*.go`) by `go test ./api -run TestCoverage -update`; a test keeps it current.\n\n")
	fmt.Fprintf(&b, "%d of %d operations are carried out. All others answer 501 NotImplemented once the request is authorized, and no request for them reaches another operation.\n", done, len(Operations))
	for _, scope := range []Scope{Service, BucketScope, ObjectScope, ControlScope} {
		to := "the " + scope.String()
		if scope == ControlScope {
			to = "S3 Control, with x-amz-account-id"
		}
		fmt.Fprintf(&b, "\n## Requests to %s\n\n| operation | request | carried out |\n|---|---|---|\n", to)
		for i := range Operations {
			if op := &Operations[i]; op.Scope == scope {
				fmt.Fprintf(&b, "| %s | `%s` | %s |\n", op.Name, op.request(), op.state())
			}
		}
	}
	return b.Bytes()
}

func (op *Operation) request() string {
	target, _ := op.example()
	s := op.Method + " " + target
	if op.Header != "" {
		s += " with " + op.Header
	}
	return s
}

func (op *Operation) state() string {
	switch {
	case op.Handle != nil && op.Note != "":
		return op.Note
	case op.Handle != nil:
		return "yes"
	case op.Note != "":
		return "no: " + op.Note
	}
	return "no"
}

func TestCoverageIsCurrent(t *testing.T) {
	want := coverage()
	if *update {
		if err := os.WriteFile(coverageFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(coverageFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/s3-coverage.md differs from the operation table: run go test ./api -run TestCoverage -update")
	}
}
