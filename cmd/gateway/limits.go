package main

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/strict"
)

// limitsCommand holds the commands about quotas and rates.
func limitsCommand() *cobra.Command {
	return group("limits", "Quotas and rates of tenants, users and buckets", limitsShowCommand(), limitsSetCommand(), limitsUnsetCommand())
}

// limitsPath is the path of limits in the admin API, for `tenant NAME`, `user
// TENANT/NAME` or `bucket NAME`.
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
	return "", usage(fmt.Errorf("a tenant, user or bucket has limits, not a %q", kind))
}

// limitsShowCommand shows limits, and beside the quotas for bytes and versions
// the present use.
func limitsShowCommand() *cobra.Command {
	return adminCommand("show tenant|user|bucket NAME", "Show limits and usage (a user is named TENANT/NAME)", cobra.ExactArgs(2),
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
				{"buckets", shownLimit(l.Buckets), "-"},
			})
		})
}

// shownLimit prints a limit; 0 is none.
func shownLimit(n int64) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

// limitFlags are the limits, by the names that the command line and the admin
// API use.
var limitFlags = []struct{ name, doc string }{
	{"bytes", "stored bytes of all versions, such as 1TB or 500GiB (tenants and buckets)"},
	{"versions", "stored versions of objects (tenants and buckets)"},
	{"requests", "requests a second, at each gateway"},
	{"concurrent", "requests in progress, at each gateway"},
	{"upload", "received bytes a second, such as 50MB, at each gateway"},
	{"download", "sent bytes a second, such as 50MB, at each gateway"},
	{"buckets", "buckets, instead of limits.buckets (tenants)"},
}

// limitsSetCommand changes only the limits that are given, so that two
// operators do not overwrite each other's limits.
func limitsSetCommand() *cobra.Command {
	cmd := adminCommand("set tenant|user|bucket NAME", "Set the given limits and keep the others (a user is named TENANT/NAME)", cobra.ExactArgs(2),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			path, err := limitsPath(args[0], args[1])
			if err != nil {
				return err
			}
			named := map[string]int64{}
			for _, l := range limitFlags {
				if f := cmd.Flags().Lookup(l.name); f.Changed {
					named[l.name] = int64(*f.Value.(*amount))
				}
			}
			if len(named) == 0 {
				return usage(fmt.Errorf("%s needs a limit to set, such as --requests 500; %s", cmd.CommandPath(), helpOf(cmd)))
			}
			return a.call(cmd.Context(), http.MethodPatch, path, named, nil)
		})
	for _, l := range limitFlags {
		cmd.Flags().Var(new(amount), l.name, l.doc)
	}
	return cmd
}

// limitsUnsetCommand removes limits.
func limitsUnsetCommand() *cobra.Command {
	return adminCommand("unset tenant|user|bucket NAME [LIMIT…]", "Remove the named limits, or all limits", cobra.MinimumNArgs(2),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			path, err := limitsPath(args[0], args[1])
			if err != nil {
				return err
			}
			if len(args) == 2 {
				// PUT replaces all limits, here by none.
				return a.call(cmd.Context(), http.MethodPut, path, map[string]int64{}, nil)
			}
			named := map[string]int64{}
			for _, name := range args[2:] {
				if !slices.ContainsFunc(limitFlags, func(l struct{ name, doc string }) bool { return l.name == name }) {
					return usage(fmt.Errorf("there is no limit %q; there are bytes, versions, requests, concurrent, upload, download and buckets", name))
				}
				// 0 is no limit.
				named[name] = 0
			}
			return a.call(cmd.Context(), http.MethodPatch, path, named, nil)
		})
}

// amount is a number on the command line, with or without a unit: 500, 1TB,
// 10GiB.
type amount int64

// units are the units of amount: powers of 1000 and of 1024.
var units = map[string]int64{
	"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15,
	"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40, "PIB": 1 << 50,
}

// Set implements pflag.Value.
func (a *amount) Set(s string) error {
	digits := strings.TrimRight(s, "BKMGTPibkmgtp")
	unit, known := units[strings.ToUpper(s[len(digits):])]
	n, ok := strict.Number(digits, math.MaxInt64)
	if !known || !ok || n > math.MaxInt64/unit {
		return fmt.Errorf("%q is no amount: want a number such as 500, or with a unit 1TB or 10GiB", s)
	}
	*a = amount(n * unit)
	return nil
}

// String implements pflag.Value.
func (a *amount) String() string { return fmt.Sprint(int64(*a)) }

// Type implements pflag.Value.
func (a *amount) Type() string { return "amount" }
