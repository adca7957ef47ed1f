package main

import (
	"cmp"
	"crypto/fips140"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/encrypt"
)

// version is set by the linker for releases.
var version = "dev"

// buildInfo describes this binary. Format is the sealed format that it writes.
// Schema is the version of the store's schema that it migrates to, by engine.
// CHANGELOG.md tells what they mean for an upgrade.
type buildInfo struct {
	Version  string           `json:"version"`
	Revision string           `json:"revision,omitempty"`
	Modified bool             `json:"modified,omitempty"`
	Go       string           `json:"go"`
	Platform string           `json:"platform"`
	Format   string           `json:"format"`
	Schema   map[string]int64 `json:"schema"`
	FIPS     string           `json:"fips"`
}

// thisBuild reads the description from the binary. The version control data is
// missing in builds without a repository.
func thisBuild() buildInfo {
	b := buildInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Format: encrypt.Format, Schema: releaseSchemas(), FIPS: fipsMode()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// versionCommand prints the description of this binary, for people or as JSON.
func versionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print the version of this binary, and the format and schema that it writes", Args: cobra.NoArgs}
	output := addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		b := thisBuild()
		if *output == "json" {
			return failed(writeJSON(cmd.OutOrStdout(), b))
		}
		_, err := fmt.Fprint(cmd.OutOrStdout(), b.text())
		return failed(err)
	}
	return cmd
}

// fipsMode says which of Go's cryptographic modules runs, and in which mode.
// Source: https://go.dev/doc/security/fips140
func fipsMode() string {
	switch {
	case fips140.Enforced():
		return "only, module " + fips140.Version()
	case fips140.Enabled():
		return "on, module " + fips140.Version()
	}
	return "off"
}

// text is the description for people, with one fact on each line.
func (b buildInfo) text() string {
	revision := cmp.Or(b.Revision, "unknown")
	if b.Modified {
		revision += " with changes"
	}
	return fmt.Sprintf("gateway %s\ncommit  %s\nbuilt   %s %s\nformat  %s\nschema  %d on SQLite, %d on PostgreSQL\nfips    %s\n",
		b.Version, revision, b.Go, b.Platform, b.Format, b.Schema["sqlite"], b.Schema["postgres"], b.FIPS)
}
