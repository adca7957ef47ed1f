package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
)

const (
	revocationsPath = keysPath + "/revocations"
	restorePath     = revocationsPath + "/restore"
)

// keyRevokeCommand takes keys away in an emergency.
func keyRevokeCommand() *cobra.Command {
	cmd := revocationCommand("revoke", "Take keys away from every gateway within 5 seconds", revocationsPath,
		"revoked; `gateway key restore` takes it back")
	cmd.Long = `Take away the keys of a bucket, those under a key provider, or those of all buckets.
Within 5 seconds every gateway of the deployment has dropped them from memory and fetches
them no more, whatever the provider says. Nothing is destroyed or changed. Requests that
need them get KMS.DisabledException; those under way are finished.

The system's keys stay, so that operators can sign in. To take these away too, disable the
key at its provider.`
	return cmd
}

// keyRestoreCommand takes a revocation back.
func keyRestoreCommand() *cobra.Command {
	cmd := revocationCommand("restore", "Take back what gateway key revoke did", restorePath, "restored")
	cmd.Long = `Take back a revocation of the same bucket, key provider, or all buckets. Other revocations
stay. With --all a list of revocations that somebody edited in the store is written anew.`
	return cmd
}

// revocationCommand is a command that posts whose keys are meant.
func revocationCommand(name, short, path, done string) *cobra.Command {
	var k admin.RevokeKeys
	cmd := adminCommand(name+" [BUCKET]", short, cobra.MaximumNArgs(1),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			if len(args) == 1 {
				k.Bucket = args[0]
			}
			if (k.Bucket != "") == (k.Provider != "" || k.All) {
				return usage(errors.New("name a bucket, or --provider, or --all: one of them"))
			}
			if err := a.call(cmd.Context(), http.MethodPost, path, k, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), done)
			return err
		})
	cmd.Flags().StringVar(&k.Provider, "provider", "", "the seeds that this key provider wrapped, unless another one opens them")
	cmd.Flags().BoolVar(&k.All, "all", false, "the keys of all buckets")
	cmd.MarkFlagsMutuallyExclusive("provider", "all")
	return cmd
}

// keyRevokedCommand lists the revocations in force.
func keyRevokedCommand() *cobra.Command {
	return adminCommand("revoked", "List the keys that are revoked", cobra.NoArgs,
		func(cmd *cobra.Command, a *adminClient, output string, _ []string) error {
			var all admin.Revocations
			if err := a.call(cmd.Context(), http.MethodGet, revocationsPath, nil, &all); err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			var rows [][]string
			for _, v := range all.Revocations {
				what := "all buckets"
				if v.Bucket != "" {
					what = "bucket " + v.Bucket
				} else if v.Provider != "" {
					what = "provider " + v.Provider
				}
				rows = append(rows, []string{what, v.By, v.At.Format(time.RFC3339)})
			}
			if err := writeTable(cmd.OutOrStdout(), []string{"revoked", "by", "at"}, rows); err != nil || all.Edited == "" {
				return err
			}
			return fmt.Errorf("all keys are revoked: %s", all.Edited)
		})
}
