package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sanctum-storage/gateway/internal/documents"
)

// page FILE HEADING...: run the shell commands below headings of a document in
// one shell, as they are written. The variable REPLACE has pairs of words, such
// as a port in the document and the port to use in its place.
func cmdPage(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: page FILE HEADING...")
	}
	commands := ""
	for _, heading := range args[1:] {
		more, err := pageCommands(args[0], heading)
		ts.Check(err)
		commands += more
	}
	typed := strings.NewReplacer(strings.Fields(ts.Getenv("REPLACE"))...).Replace(commands)
	err := ts.Exec("bash", "-euo", "pipefail", "-c", typed)
	if neg != (err != nil) {
		ts.Fatalf("%s, %q: %v\n%s", args[0], args[1:], err, typed)
	}
}

// pageCommands are the lines of shell below a heading of a document of the
// repository.
func pageCommands(name, heading string) (string, error) {
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, c := range documents.Parse(name, string(text)).Code {
		if c.Fence == "sh" && c.Heading == heading {
			fmt.Fprintln(&b, c.Text)
		}
	}
	if b.Len() == 0 {
		return "", fmt.Errorf("%s has no shell commands below %q", name, heading)
	}
	return b.String(), nil
}
