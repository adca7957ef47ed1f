package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes manual pages. It is hidden, because only makers of packages
// need it.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write a manual page for each command into a folder", Args: cobra.ExactArgs(1), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return failed(err)
			}
			header := &doc.GenManHeader{Section: "1", Source: "Sanctum Gateway " + version, Manual: "Sanctum Gateway"}
			return failed(doc.GenManTree(cmd.Root(), header, args[0]))
		},
	}
}
