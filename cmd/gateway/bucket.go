package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
)

// bucketCommand holds the commands about buckets.
func bucketCommand() *cobra.Command {
	return group("bucket", "Show the buckets of a running server, and set their properties",
		bucketListCommand(), bucketShowCommand(), bucketSetCommand())
}

func bucketPath(name string) string { return "/v1/buckets/" + url.PathEscape(name) }

// bucketShowCommand shows the properties that S3 does not have.
func bucketShowCommand() *cobra.Command {
	return adminCommand("show NAME", "Show a bucket with its properties", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, output string, args []string) error {
			var b admin.BucketProperties
			if err := a.call(cmd.Context(), http.MethodGet, bucketPath(args[0]), nil, &b); err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), b)
			}
			return writeTable(cmd.OutOrStdout(), []string{"name", "id", "tenant", "created", "residency", "padding"},
				[][]string{append(bucketRow(&b.Bucket), b.Padding)})
		})
}

// bucketSetCommand sets properties of a bucket.
func bucketSetCommand() *cobra.Command {
	var in admin.SetBucket
	cmd := adminCommand("set NAME", "Set the given properties of a bucket and keep the others", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			if in == (admin.SetBucket{}) {
				return usage(fmt.Errorf("%s needs a property to set, such as --padding padme; %s", cmd.CommandPath(), helpOf(cmd)))
			}
			return a.call(cmd.Context(), http.MethodPatch, bucketPath(args[0]), in, nil)
		})
	cmd.Flags().StringVar(&in.Padding, "padding", "",
		"padding of the lengths of new blobs: none, or padme for size classes (up to 6.3 % more bytes, and 4 KiB at least)")
	return cmd
}

// bucketRow is what tables of buckets have of one.
func bucketRow(b *admin.Bucket) []string {
	return []string{b.Name, b.ID, b.Tenant, b.Created.Format(time.RFC3339), strings.Join(b.Residency, ",")}
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
			for i := range all {
				rows = append(rows, bucketRow(&all[i]))
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
