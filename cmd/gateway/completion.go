package main

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
)

// completionTimeout bounds the wait after the tab key.
const completionTimeout = 2 * time.Second

// completedArguments maps commands to the names that their first argument can
// have. A running server knows the names.
var completedArguments = map[string]func(context.Context, *adminClient) ([]string, error){
	"gateway tenant show": tenantNames, "gateway tenant delete": tenantNames, "gateway tenant residency": tenantNames,
	"gateway accesskey add": tenantNames, "gateway accesskey list": tenantNames,
	"gateway bucket show": bucketNames, "gateway bucket set": bucketNames,
	"gateway backend drain": backendNames, "gateway backend cancel": backendNames, "gateway backend discard": backendNames,
}

// completedFlags are flags that take such names, in every command.
var completedFlags = map[string]func(context.Context, *adminClient) ([]string, error){"tenant": tenantNames, "to": backendNames}

// completing adds completion of names to a command and its subcommands.
func completing(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		completing(c)
	}
	if names := completedArguments[cmd.CommandPath()]; names != nil {
		cmd.ValidArgsFunction = completed(names, 1)
	}
	if cmd.CommandPath() == "gateway limits show" || cmd.CommandPath() == "gateway limits set" || cmd.CommandPath() == "gateway limits unset" {
		cmd.ValidArgsFunction = completedLimits
	}
	for flag, names := range completedFlags {
		if cmd.Flags().Lookup(flag) != nil {
			_ = cmd.RegisterFlagCompletionFunc(flag, completed(names, -1)) // fails for a flag that has completion already
		}
	}
}

// completed returns a completion that asks the server for names, as long as
// fewer than most arguments precede; -1: always. It completes nothing without
// an answer, because a shell has no place for an error.
func completed(names func(context.Context, *adminClient) ([]string, error), most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := loadConfig(cmd, environment())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		a, err := newAdminClient(c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
		defer cancel()
		found, err := names(ctx, a)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// completedLimits completes the arguments of the limits commands: a kind, then
// a name of that kind. Names of users are not completed, as they need their
// tenant.
func completedLimits(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return []string{"tenant", "user", "bucket"}, cobra.ShellCompDirectiveNoFileComp
	}
	switch args[0] {
	case "tenant":
		return completed(tenantNames, 2)(cmd, args, typed)
	case "bucket":
		return completed(bucketNames, 2)(cmd, args, typed)
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// tenantNames asks the server for the names of all tenants.
func tenantNames(ctx context.Context, a *adminClient) (names []string, err error) {
	all, err := a.tenants(ctx)
	for _, t := range all {
		names = append(names, t.Name)
	}
	return names, err
}

// bucketNames asks the server for the names of all buckets.
func bucketNames(ctx context.Context, a *adminClient) (names []string, err error) {
	all, err := a.buckets(ctx)
	for _, b := range all {
		names = append(names, b.Name)
	}
	return names, err
}

// backendNames asks the server for the names of all backends, retired ones
// included.
func backendNames(ctx context.Context, a *adminClient) (names []string, err error) {
	var all admin.Backends
	err = a.call(ctx, http.MethodGet, "/v1/backends", nil, &all)
	for _, b := range all.Backends {
		names = append(names, b.Name)
	}
	return names, err
}
