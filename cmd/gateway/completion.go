package main

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
)

// completionTimeout bounds what a person waits for who pressed the tab key.
const completionTimeout = 2 * time.Second

// completedArguments are the commands whose first argument is the name of something
// that a running server knows, by the kind of thing.
var completedArguments = map[string]func(context.Context, *adminClient) ([]string, error){
	"gateway tenant show": tenantNames, "gateway tenant delete": tenantNames, "gateway tenant residency": tenantNames,
	"gateway accesskey add": tenantNames, "gateway accesskey list": tenantNames,
	"gateway backend drain": backendNames, "gateway backend cancel": backendNames, "gateway backend discard": backendNames,
}

// completedFlags are the flags of any command whose value is such a name.
var completedFlags = map[string]func(context.Context, *adminClient) ([]string, error){"tenant": tenantNames, "to": backendNames}

// completing lets shells complete names of what a running server knows.
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
			_ = cmd.RegisterFlagCompletionFunc(flag, completed(names, -1)) // fails for a flag that has one
		}
	}
}

// completed asks the server for names, where there are fewer than most arguments
// before the one to complete; -1: always. It completes nothing when there is no
// answer, as a shell has no place for an error.
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

func tenantNames(ctx context.Context, a *adminClient) (names []string, err error) {
	all, err := a.tenants(ctx)
	for _, t := range all {
		names = append(names, t.Name)
	}
	return names, err
}

func bucketNames(ctx context.Context, a *adminClient) (names []string, err error) {
	all, err := a.buckets(ctx)
	for _, b := range all {
		names = append(names, b.Name)
	}
	return names, err
}

func backendNames(ctx context.Context, a *adminClient) (names []string, err error) {
	var all admin.Backends
	err = a.call(ctx, http.MethodGet, "/v1/backends", nil, &all)
	for _, b := range all.Backends {
		names = append(names, b.Name)
	}
	return names, err
}
