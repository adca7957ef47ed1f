package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/engine"
)

func limitsCommand() *cobra.Command {
	return group("limits", "Quotas and rates of tenants, users and buckets", limitsShowCommand(), limitsSetCommand())
}

// limitsPath is where the limits of `tenant NAME`, `user TENANT/NAME` or
// `bucket NAME` are.
func limitsPath(kind, name string) (string, error) {
	switch kind {
	case "tenant", "bucket":
		return "/v1/" + kind + "s/" + url.PathEscape(name) + "/limits", nil
	case "user":
		tenant, user, ok := strings.Cut(name, "/")
		if !ok {
			return "", usage(fmt.Errorf("a user is named TENANT/NAME, not %q", name))
		}
		return "/v1/tenants/" + url.PathEscape(tenant) + "/users/" + url.PathEscape(user) + "/limits", nil
	}
	return "", usage(fmt.Errorf("limits are those of a tenant, user or bucket, not of a %q", kind))
}

func limitsShowCommand() *cobra.Command {
	return adminCommand("show tenant|user|bucket NAME", "Show limits and what is used (a user is named TENANT/NAME)", cobra.ExactArgs(2),
		func(cmd *cobra.Command, a *adminClient, output string, args []string) error {
			path, err := limitsPath(args[0], args[1])
			if err != nil {
				return err
			}
			var l admin.Limits
			if err := a.call(cmd.Context(), http.MethodGet, path, nil, &l); err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), l)
			}
			used := func(n func(*admin.Usage) string) string {
				if l.Usage == nil {
					return "-"
				}
				return n(l.Usage)
			}
			return writeTable(cmd.OutOrStdout(), []string{"limit", "at most", "used"}, [][]string{
				{"bytes", shownLimit(l.Bytes), used(func(u *admin.Usage) string {
					return fmt.Sprintf("%d, in parts of open uploads %d", u.Bytes, u.PartBytes)
				})},
				{"versions", shownLimit(l.Versions), used(func(u *admin.Usage) string {
					return fmt.Sprintf("%d, open uploads %d, delete markers %d", u.Versions, u.Uploads, u.Markers)
				})},
				{"requests a second", shownLimit(l.Requests), "-"},
				{"concurrent requests", shownLimit(l.Concurrent), "-"},
				{"upload bytes a second", shownLimit(l.Upload), "-"},
				{"download bytes a second", shownLimit(l.Download), "-"},
			})
		})
}

func shownLimit(n int64) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

func limitsSetCommand() *cobra.Command {
	var l engine.Limits
	cmd := adminCommand("set tenant|user|bucket NAME", "Replace all limits; those that are not given are none (a user is named TENANT/NAME)", cobra.ExactArgs(2),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			path, err := limitsPath(args[0], args[1])
			if err != nil {
				return err
			}
			return a.call(cmd.Context(), http.MethodPut, path, l, nil)
		})
	flags := cmd.Flags()
	flags.Int64Var(&l.Bytes, "bytes", 0, "stored bytes of all versions (tenants and buckets)")
	flags.Int64Var(&l.Versions, "versions", 0, "stored versions of objects (tenants and buckets)")
	flags.Int64Var(&l.Requests, "requests", 0, "requests a second, at each gateway")
	flags.Int64Var(&l.Concurrent, "concurrent", 0, "requests in progress, at each gateway")
	flags.Int64Var(&l.Upload, "upload", 0, "received bytes a second, at each gateway")
	flags.Int64Var(&l.Download, "download", 0, "sent bytes a second, at each gateway")
	return cmd
}
