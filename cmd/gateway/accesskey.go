package main

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
)

func accessKeyCommand() *cobra.Command {
	return group("accesskey", "Manage the credentials of tenants and their users of a running server",
		accessKeyAddCommand(), accessKeyListCommand(), accessKeyRevokeCommand(), accessKeyFirstCommand())
}

func accessKeyAddCommand() *cobra.Command {
	var flags credentialFlags
	var user string
	cmd := adminCommand("add TENANT", "Create another credential for a tenant's root or user, which is shown this once", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, output string, args []string) error {
			secret, err := flags.secret()
			if err != nil {
				return err
			}
			in := admin.CreateAccessKey{AccessKey: flags.accessKey, SecretKey: secret}
			if user != "" {
				var made admin.NewUser
				if err := a.call(cmd.Context(), http.MethodPost, accessKeysOf(args[0], user), in, &made); err != nil {
					return err
				}
				return printNewUser(cmd, output, made)
			}
			var made admin.NewTenant
			if err := a.call(cmd.Context(), http.MethodPost, accessKeysOf(args[0], ""), in, &made); err != nil {
				return err
			}
			return printNewTenant(cmd, output, made)
		})
	flags.add(cmd)
	addUserFlag(cmd, &user)
	return cmd
}

func addUserFlag(cmd *cobra.Command, user *string) {
	cmd.Flags().StringVar(user, "user", "", "user of the tenant; without it, the tenant's root")
}

func accessKeysOf(tenant, user string) string {
	if user != "" {
		return usersOf(tenant) + "/" + url.PathEscape(user) + "/access-keys"
	}
	return "/v1/tenants/" + url.PathEscape(tenant) + "/access-keys"
}

func accessKeyListCommand() *cobra.Command {
	var user string
	cmd := adminCommand("list TENANT", "List the access keys of a tenant's root or user", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, output string, args []string) error {
			var all admin.AccessKeys
			if err := a.call(cmd.Context(), http.MethodGet, accessKeysOf(args[0], user), nil, &all); err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), all.AccessKeys)
			}
			var rows [][]string
			for _, k := range all.AccessKeys {
				rows = append(rows, []string{k.AccessKey, k.Created.Format(time.RFC3339)})
			}
			return writeTable(cmd.OutOrStdout(), []string{"access key", "created"}, rows)
		})
	addUserFlag(cmd, &user)
	return cmd
}

func accessKeyRevokeCommand() *cobra.Command {
	var yes bool
	cmd := adminCommand("revoke ACCESSKEY", "Make a credential invalid for good", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			if args[0] == a.accessKey && !yes {
				return usage(errors.New("that is the credential which this command uses itself, and nothing can be managed with it afterwards; " +
					"use another one, or say --yes"))
			}
			return a.call(cmd.Context(), http.MethodDelete, "/v1/access-keys/"+url.PathEscape(args[0]), nil, nil)
		})
	cmd.Flags().BoolVar(&yes, "yes", false, "revoke even the credential that this command uses itself")
	return cmd
}
