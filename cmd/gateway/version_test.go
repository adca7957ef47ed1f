package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The newest section of CHANGELOG.md names the format and the schema of this
// source, because they decide which releases can serve beside it or follow it
// backwards.
func TestChangelogNamesFormatAndSchema(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	_, newest, found := strings.Cut(string(text), "\n## Unreleased\n")
	if !found {
		t.Fatal("CHANGELOG.md has no section for changes that are not released")
	}
	newest, _, _ = strings.Cut(newest, "\n## ")
	b := thisBuild()
	want := fmt.Sprintf("Sealed format %s. Store schema %d.", b.Format, max(b.Schema["sqlite"], b.Schema["postgres"]))
	if !strings.Contains(newest, want) {
		t.Errorf("CHANGELOG.md does not say %q of what is not released", want)
	}
}
