package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker for releases.
var version = "dev"

// buildInfo is what is known of this binary.
type buildInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func thisBuild() buildInfo {
	b := buildInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
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

func versionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print the version of this binary", Args: cobra.NoArgs}
	output := addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		b := thisBuild()
		if *output == "json" {
			return failed(writeJSON(cmd.OutOrStdout(), b))
		}
		_, err := fmt.Fprint(cmd.OutOrStdout(), b.line())
		return failed(err)
	}
	return cmd
}

// line is what a person reads of it.
func (b buildInfo) line() string {
	revision := b.Revision
	if b.Modified {
		revision += " with changes"
	}
	if revision != "" {
		revision = " (" + revision + ")"
	}
	return fmt.Sprintf("gateway %s%s %s %s\n", b.Version, revision, b.Go, b.Platform)
}
