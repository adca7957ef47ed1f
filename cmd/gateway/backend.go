package main

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
)

func backendCommand() *cobra.Command {
	return group("backend", "Look at the backends of a running server, and empty them",
		backendListCommand(), backendDrainCommand(), backendCancelCommand(), backendDiscardCommand())
}

func backendListCommand() *cobra.Command {
	return adminCommand("list", "List all backends, with how far draining has come", cobra.NoArgs,
		func(cmd *cobra.Command, a *adminClient, output string, _ []string) error {
			var all admin.Backends
			if err := a.call(cmd.Context(), http.MethodGet, "/v1/backends", nil, &all); err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), all.Backends)
			}
			var rows [][]string
			for _, b := range all.Backends {
				rows = append(rows, []string{b.Name, b.Type, b.State, healthText(b), defaultMark(b), b.Region, b.Jurisdiction, drainText(b.Drain), doubtText(b.Doubtful)})
			}
			return writeTable(cmd.OutOrStdout(), []string{"name", "type", "state", "health", "default", "region", "jurisdiction", "draining", "in doubt"}, rows)
		})
}

// healthText is what the gateway that answers knows of a backend.
func healthText(b admin.Backend) string {
	switch {
	case !b.Configured:
		return "not configured"
	case b.Away:
		return "away"
	}
	return "there"
}

func defaultMark(b admin.Backend) string {
	if b.Default {
		return "yes"
	}
	return "no"
}

func drainText(d *admin.Drain) string {
	if d == nil {
		return ""
	}
	return fmt.Sprintf("to %s, %d blobs with %d bytes moved", d.Target, d.Blobs, d.Bytes)
}

func doubtText(blobs int64) string {
	if blobs == 0 {
		return ""
	}
	return fmt.Sprintf("%d blobs", blobs)
}

func backendDrainCommand() *cobra.Command {
	var to string
	cmd := adminCommand("drain NAME --to OTHER", "Move all blobs of a backend to another, sealed as they are", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			return a.call(cmd.Context(), http.MethodPost, backendPath(args[0])+"/drain", admin.DrainBackend{Target: to}, nil)
		})
	cmd.Long = `Move all blobs of a backend to another, sealed as they are.

New blobs go to the other from now on. The gateways move the rest in the
background, one of them at a time, going on after a restart; "backend list" shows
how far they are. When nothing is left the backend is retired and may be taken out
of the configuration. A bucket that demands a region or jurisdiction which the other
does not have is a reason to refuse.`
	cmd.Flags().StringVar(&to, "to", "", "the backend that takes the blobs")
	cmd.MarkFlagRequired("to")
	return cmd
}

func backendCancelCommand() *cobra.Command {
	return adminCommand("cancel NAME", "Stop draining a backend; what has moved stays moved", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			return a.call(cmd.Context(), http.MethodDelete, backendPath(args[0])+"/drain", nil, nil)
		})
}

func backendDiscardCommand() *cobra.Command {
	cmd := adminCommand("discard NAME", "Delete the blobs in doubt that killed gateways have left at a backend", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, output string, args []string) error {
			var done admin.Discarded
			if err := a.call(cmd.Context(), http.MethodDelete, backendPath(args[0])+"/doubtful", nil, &done); err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), done)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d blobs will be deleted when the collector's grace is over\n", done.Blobs)
			return err
		})
	cmd.Long = `Delete the blobs in doubt that killed gateways have left at a backend.

A blob is in doubt when a gateway was killed between writing it and committing it,
as far as the store knows. If the store was restored from a copy, the blob may be
that of an object which was written after the copy: so it is kept until you say
that no later state of the store will be put back. "gateway fsck" names the blobs.`
	return cmd
}

func backendPath(name string) string { return "/v1/backends/" + url.PathEscape(name) }
