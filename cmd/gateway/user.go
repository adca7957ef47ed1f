package main

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/plainfile"
)

// policies are the policies that --policy knows by name.
var policies = map[string]string{
	"readonly": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":"*"}]}`,
	"readwrite": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*",
		"Action":["s3:Get*","s3:List*","s3:PutObject","s3:DeleteObject","s3:AbortMultipartUpload"]}]}`,
}

// maxPolicyFile bounds the file of a policy, in bytes.
const maxPolicyFile = 32 << 10

// policyText is the policy of that name, or the content of the file of that
// name.
func policyText(name string) (string, error) {
	if text, ok := policies[name]; ok || name == "" {
		return text, nil
	}
	text, err := plainfile.Read(name, maxPolicyFile)
	if err != nil {
		return "", usage(fmt.Errorf("policy: %w", err))
	}
	return string(text), nil
}

// userCommand holds the commands about users.
func userCommand() *cobra.Command {
	return group("user", "Manage the users within a tenant of a running server",
		userCreateCommand(), userListCommand(), userDeleteCommand())
}

// usersOf is the path of a tenant's users in the admin API.
func usersOf(tenant string) string { return "/v1/tenants/" + url.PathEscape(tenant) + "/users" }

// ofTenant adds the required flag --tenant to a command.
func ofTenant(cmd *cobra.Command, tenant *string) *cobra.Command {
	cmd.Flags().StringVar(tenant, "tenant", "", "tenant of the user")
	if err := cmd.MarkFlagRequired("tenant"); err != nil { // only if the flag does not exist
		panic(err)
	}
	return cmd
}

// userCreateCommand creates a user together with a credential.
func userCreateCommand() *cobra.Command {
	var flags credentialFlags
	var tenant, policy string
	cmd := adminCommand("create NAME", "Create a user with a credential; its secret is shown only this once", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, output string, args []string) error {
			secret, err := flags.secret()
			if err != nil {
				return err
			}
			text, err := policyText(policy)
			if err != nil {
				return err
			}
			var made admin.NewUser
			in := admin.CreateUser{Name: args[0], Policy: text, AccessKey: flags.accessKey, SecretKey: secret}
			if err := a.call(cmd.Context(), http.MethodPost, usersOf(tenant), in, &made); err != nil {
				return err
			}
			return printNewUser(cmd, output, made)
		})
	flags.add(cmd)
	cmd.Flags().StringVar(&policy, "policy", "",
		"readonly, readwrite, or the file of a policy in JSON; without a policy the user has no rights")
	return ofTenant(cmd, &tenant)
}

// printNewUser prints a new credential of a user.
func printNewUser(cmd *cobra.Command, output string, u admin.NewUser) error {
	if output == "json" {
		return writeJSON(cmd.OutOrStdout(), u)
	}
	return writeTable(cmd.OutOrStdout(), []string{"name", "tenant", "access key", "secret key"},
		[][]string{{u.Name, u.Tenant, u.AccessKey, u.SecretKey}})
}

// userListCommand lists the users of a tenant.
func userListCommand() *cobra.Command {
	var tenant string
	cmd := adminCommand("list", "List the users of a tenant", cobra.NoArgs,
		func(cmd *cobra.Command, a *adminClient, output string, _ []string) error {
			all := []admin.User{}
			for after := ""; ; {
				var page admin.Users
				if err := a.call(cmd.Context(), http.MethodGet, usersOf(tenant)+"?"+pageQuery(after), nil, &page); err != nil {
					return err
				}
				// A position that does not advance would be asked for without
				// end.
				if all = append(all, page.Users...); page.Next == "" || page.Next == after {
					break
				}
				after = page.Next
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			var rows [][]string
			for _, u := range all {
				rows = append(rows, []string{u.Name, u.Tenant})
			}
			return writeTable(cmd.OutOrStdout(), []string{"name", "tenant"}, rows)
		})
	return ofTenant(cmd, &tenant)
}

// userDeleteCommand deletes a user.
func userDeleteCommand() *cobra.Command {
	var tenant string
	cmd := adminCommand("delete NAME", "Delete a user, with its credentials", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			return a.call(cmd.Context(), http.MethodDelete, usersOf(tenant)+"/"+url.PathEscape(args[0]), nil, nil)
		})
	return ofTenant(cmd, &tenant)
}
