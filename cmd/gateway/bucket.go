package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
)

// bucketCommand holds the commands about buckets.
func bucketCommand() *cobra.Command {
	return group("bucket", "Show the buckets of a running server", bucketListCommand())
}

// bucketListCommand lists the buckets of the whole deployment, which no S3
// request does.
func bucketListCommand() *cobra.Command {
	return adminCommand("list", "List the buckets of all tenants", cobra.NoArgs,
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

// buckets reads all pages. It stops at a page that does not advance, so that a
// faulty server cannot keep it in a loop.
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
