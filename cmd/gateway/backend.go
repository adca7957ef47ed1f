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

// backendCommand holds the commands about backends of a running server.
func backendCommand() *cobra.Command {
	return group("backend", "Show and empty the backends of a running server",
		backendListCommand(), backendDrainCommand(), backendCancelCommand(), backendDiscardCommand())
}

// sizedBackend is a backend with the size of its contents. Stored is nil if the
// size was not requested or is not known.
type sizedBackend struct {
	admin.Backend
	Stored *admin.Stored `json:"stored,omitempty"`
}

// backendListCommand shows all backends, including retired ones that are no
// longer in the configuration.
func backendListCommand() *cobra.Command {
	var size bool
	cmd := adminCommand("list", "List all backends, with the progress of draining", cobra.NoArgs,
		func(cmd *cobra.Command, a *adminClient, output string, _ []string) error {
			var all admin.Backends
			if err := a.call(cmd.Context(), http.MethodGet, "/v1/backends", nil, &all); err != nil {
				return err
			}
			list := make([]sizedBackend, len(all.Backends))
			for i, b := range all.Backends {
				// A backend that is away cannot be counted, and its size stays unknown.
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
				row := []string{b.Name, b.Type, b.State, healthText(b.Backend), defaultMark(b.Backend), b.Region, b.Jurisdiction,
					drainText(b.Drain), doubtText(b.Doubtful)}
				if size {
					row = append(row, storedTexts(b.Stored)...)
				}
				rows = append(rows, row)
			}
			return writeTable(cmd.OutOrStdout(), head, rows)
		})
	cmd.Long = `List all backends, with the progress of draining.

With --size the gateway lists all blobs of each available backend, which takes one
request to the provider for each thousand of them. It counts sealed bytes, as the
provider does, including blobs that wait for deletion.`
	cmd.Flags().BoolVar(&size, "size", false, "count the blobs of each backend and their bytes")
	return cmd
}

// stored counts the blobs of a backend. Each call of the admin API counts a
// bounded number of them.
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
		// A position that does not advance would be asked for without end.
		if run.Next <= after {
			return &sum, nil
		}
		after = run.Next
	}
}

// storedTexts are the cells with the size of a backend's contents.
func storedTexts(s *admin.Stored) []string {
	if s == nil {
		return []string{"", ""}
	}
	return []string{strconv.FormatInt(s.Blobs, 10), strconv.FormatInt(s.Bytes, 10)}
}

// healthText is the health of a backend as the answering gateway sees it. Other
// gateways may see it differently.
func healthText(b admin.Backend) string {
	switch {
	case !b.Configured:
		return "not configured"
	case b.Away:
		return "away"
	}
	return "there"
}

// defaultMark tells whether new buckets are placed on the backend.
func defaultMark(b admin.Backend) string {
	if b.Default {
		return "yes"
	}
	return "no"
}

// drainText is the progress of draining, or "" if the backend is not drained.
func drainText(d *admin.Drain) string {
	if d == nil {
		return ""
	}
	return fmt.Sprintf("to %s, %d blobs with %d bytes moved", d.Target, d.Blobs, d.Bytes)
}

// doubtText is the number of blobs in doubt, or "" if there are none.
func doubtText(blobs int64) string {
	if blobs == 0 {
		return ""
	}
	return fmt.Sprintf("%d blobs", blobs)
}

// backendDrainCommand starts draining. The gateways do the work in the
// background, so the command returns at once.
func backendDrainCommand() *cobra.Command {
	var to string
	cmd := adminCommand("drain NAME --to OTHER", "Move all blobs of a backend to another backend, still sealed", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			return a.call(cmd.Context(), http.MethodPost, backendPath(args[0])+"/drain", admin.DrainBackend{Target: to}, nil)
		})
	cmd.Long = `Move all blobs of a backend to another backend. They stay sealed on the way.

New blobs are written to the other backend from now on. The gateways move the rest
in the background, one gateway at a time, and continue after a restart; "backend list"
shows the progress. When nothing is left, the backend is retired and can be removed
from the configuration. The command is refused if a bucket demands a region or
jurisdiction that the other backend does not have.`
	cmd.Flags().StringVar(&to, "to", "", "backend that the blobs move to")
	cmd.MarkFlagRequired("to")
	return cmd
}

// backendCancelCommand ends draining. Blobs stay on the backend that holds them
// now, so no work is lost or repeated.
func backendCancelCommand() *cobra.Command {
	return adminCommand("cancel NAME", "Stop draining a backend; blobs that moved stay where they are", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			return a.call(cmd.Context(), http.MethodDelete, backendPath(args[0])+"/drain", nil, nil)
		})
}

// backendDiscardCommand deletes blobs in doubt. Only the operator can decide
// this: the store cannot tell whether a later state of itself exists.
func backendDiscardCommand() *cobra.Command {
	cmd := adminCommand("discard NAME", "Delete the blobs in doubt that killed gateways left at a backend", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, output string, args []string) error {
			var done admin.Discarded
			if err := a.call(cmd.Context(), http.MethodDelete, backendPath(args[0])+"/doubtful", nil, &done); err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), done)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d blobs will be deleted after the collector's grace period\n", done.Blobs)
			return err
		})
	cmd.Long = `Delete the blobs in doubt that killed gateways left at a backend.

A blob is in doubt when a gateway was killed after writing it and, as far as the
store knows, before committing it. If the store was restored from a copy, the blob
may belong to an object that was written after the copy. So it is kept until you
confirm, with this command, that no later state of the store will be put back.
"gateway fsck" names the blobs.`
	return cmd
}

// backendPath is the path of a backend in the admin API.
func backendPath(name string) string { return "/v1/backends/" + url.PathEscape(name) }
