package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
)

func backendCommand() *cobra.Command {
	return group("backend", "Look at the backends of a running server, and empty them",
		backendListCommand(), backendDrainCommand(), backendCancelCommand(), backendDiscardCommand())
}

// sizedBackend is a backend with how much it has, where that was asked for and found out.
type sizedBackend struct {
	admin.Backend
	Stored *admin.Stored `json:"stored,omitempty"`
}

func backendListCommand() *cobra.Command {
	var size bool
	cmd := adminCommand("list", "List all backends, with how far draining has come", cobra.NoArgs,
		func(cmd *cobra.Command, a *adminClient, output string, _ []string) error {
			var all admin.Backends
			if err := a.call(cmd.Context(), http.MethodGet, "/v1/backends", nil, &all); err != nil {
				return err
			}
			list := make([]sizedBackend, len(all.Backends))
			for i, b := range all.Backends {
				if list[i].Backend = b; size && b.Configured && !b.Away {
					var err error
					if list[i].Stored, err = a.stored(cmd.Context(), b.Name); err != nil {
						return fmt.Errorf("backend %s: %w", b.Name, err)
					}
				}
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), list)
			}
			head := []string{"name", "type", "state", "health", "default", "region", "jurisdiction", "draining", "in doubt"}
			if size {
				head = append(head, "blobs", "bytes")
			}
			var rows [][]string
			for _, b := range list {
				row := []string{b.Name, b.Type, b.State, healthText(b.Backend), defaultMark(b.Backend), b.Region, b.Jurisdiction, drainText(b.Drain), doubtText(b.Doubtful)}
				if size {
					row = append(row, storedTexts(b.Stored)...)
				}
				rows = append(rows, row)
			}
			return writeTable(cmd.OutOrStdout(), head, rows)
		})
	cmd.Long = `List all backends, with how far draining has come.

With --size the gateway lists all blobs of each backend that is there, which takes
one request to a provider for each thousand of them. Bytes are sealed ones, as the
provider counts them, and include blobs that wait to be deleted.`
	cmd.Flags().BoolVar(&size, "size", false, "count the blobs of each backend and their bytes")
	return cmd
}

// stored counts what a backend has, run by run.
func (a *adminClient) stored(ctx context.Context, name string) (*admin.Stored, error) {
	var sum admin.Stored
	for after := ""; ; {
		target := backendPath(name) + "/stored"
		if after != "" {
			target += "?after=" + url.QueryEscape(after)
		}
		var run admin.Stored
		if err := a.call(ctx, http.MethodGet, target, nil, &run); err != nil {
			return nil, err
		}
		sum.Blobs += run.Blobs
		sum.Bytes += run.Bytes
		if run.Next <= after {
			return &sum, nil
		}
		after = run.Next
	}
}

// storedTexts are the cells of how much a backend has.
func storedTexts(s *admin.Stored) []string {
	if s == nil {
		return []string{"", ""}
	}
	return []string{strconv.FormatInt(s.Blobs, 10), strconv.FormatInt(s.Bytes, 10)}
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
