package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
)

func bucketCommand() *cobra.Command {
	return group("bucket", "Look at the buckets of a running server", bucketListCommand())
}

func bucketListCommand() *cobra.Command {
	return adminCommand("list", "List the buckets of all users", cobra.NoArgs,
		func(cmd *cobra.Command, a *adminClient, output string, _ []string) error {
			all, err := a.buckets(cmd.Context())
			if err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			var rows [][]string
			for _, b := range all {
				rows = append(rows, []string{b.Name, b.ID, b.Tenant, b.Created.Format(time.RFC3339), strings.Join(b.Residency, ",")})
			}
			return writeTable(cmd.OutOrStdout(), []string{"name", "id", "tenant", "created", "residency"}, rows)
		})
}

// buckets reads all pages.
func (a *adminClient) buckets(ctx context.Context) ([]admin.Bucket, error) {
	all := []admin.Bucket{}
	for after := ""; ; {
		var page admin.Buckets
		if err := a.call(ctx, http.MethodGet, "/v1/buckets?"+pageQuery(after), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Buckets...)
		if page.Next <= after {
			return all, nil
		}
		after = page.Next
	}
}
