package main

import (
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
)

func accessKeyCommand() *cobra.Command {
	return group("accesskey", "Manage the credentials of users of a running server",
		accessKeyAddCommand(), accessKeyListCommand(), accessKeyRevokeCommand())
}

func accessKeyAddCommand() *cobra.Command {
	var flags credentialFlags
	cmd := adminCommand("add USER", "Create another credential for a user, which is shown this once", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, output string, args []string) error {
			secret, err := flags.secret()
			if err != nil {
				return err
			}
			var made admin.NewUser
			in := admin.CreateAccessKey{AccessKey: flags.accessKey, SecretKey: secret}
			if err := a.call(cmd.Context(), http.MethodPost, accessKeysOf(args[0]), in, &made); err != nil {
				return err
			}
			return printNewUser(cmd, output, made)
		})
	flags.add(cmd)
	return cmd
}

func accessKeysOf(user string) string { return "/v1/users/" + url.PathEscape(user) + "/access-keys" }

func accessKeyListCommand() *cobra.Command {
	return adminCommand("list USER", "List the access keys of a user", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, output string, args []string) error {
			var all admin.AccessKeys
			if err := a.call(cmd.Context(), http.MethodGet, accessKeysOf(args[0]), nil, &all); err != nil {
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
}

func accessKeyRevokeCommand() *cobra.Command {
	return adminCommand("revoke ACCESSKEY", "Make a credential invalid for good", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			return a.call(cmd.Context(), http.MethodDelete, "/v1/access-keys/"+url.PathEscape(args[0]), nil, nil)
		})
}
