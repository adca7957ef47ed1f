package main

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
)

// accessKeyCommand holds the commands about credentials. All of them but first
// call the admin API of a running server.
func accessKeyCommand() *cobra.Command {
	return group("accesskey", "Manage the credentials of tenants and their users of a running server",
		accessKeyAddCommand(), accessKeyListCommand(), accessKeyRevokeCommand(), accessKeyFirstCommand())
}

// accessKeyAddCommand creates another credential. Its secret is shown once,
// because the server does not give it again.
func accessKeyAddCommand() *cobra.Command {
	var flags credentialFlags
	var user string
	cmd := adminCommand("add TENANT", "Create another credential for a tenant's root or user; its secret is shown only once", cobra.ExactArgs(1),
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

// addUserFlag adds the flag that selects a user of the tenant.
func addUserFlag(cmd *cobra.Command, user *string) {
	cmd.Flags().StringVar(user, "user", "", "user of the tenant; without it, the tenant's root")
}

// accessKeysOf is the path of the access keys of a tenant's root in the admin
// API, or of one of its users.
func accessKeysOf(tenant, user string) string {
	if user != "" {
		return usersOf(tenant) + "/" + url.PathEscape(user) + "/access-keys"
	}
	return "/v1/tenants/" + url.PathEscape(tenant) + "/access-keys"
}

// accessKeyListCommand lists access keys. Secrets are not part of the list.
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

// accessKeyRevokeCommand deletes a credential. Revoking the command's own
// credential is a likely mistake that locks the operator out, so it needs
// --yes.
func accessKeyRevokeCommand() *cobra.Command {
	var yes bool
	cmd := adminCommand("revoke ACCESSKEY", "Make a credential invalid for good", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			if args[0] == a.accessKey && !yes {
				return usage(errors.New("this command uses that credential itself, and could manage nothing afterwards; " +
					"use another credential, or say --yes"))
			}
			return a.call(cmd.Context(), http.MethodDelete, "/v1/access-keys/"+url.PathEscape(args[0]), nil, nil)
		})
	cmd.Flags().BoolVar(&yes, "yes", false, "revoke even the credential that this command uses itself")
	return cmd
}
