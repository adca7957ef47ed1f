package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
)

// adminCommand returns a command that calls the admin API of a running server.
// do gets the client and the output format.
func adminCommand(use, short string, args cobra.PositionalArgs,
	do func(cmd *cobra.Command, a *adminClient, output string, args []string) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: args}
	output := addOutputFlag(cmd)
	addSettingFlags(cmd, forClient)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		c, err := loadConfig(cmd, environment())
		if err != nil {
			return usage(err)
		}
		a, err := newAdminClient(c)
		if err != nil {
			return usage(err)
		}
		return failed(do(cmd, a, *output, args))
	}
	return cmd
}

// credentialFlags are the flags of commands that create a credential.
type credentialFlags struct{ accessKey, secretKey, secretKeyFile string }

// add adds the flags. A secret on the command line is possible for tests, and
// the help names the risk.
func (f *credentialFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.accessKey, "access-key", "", "access key; generated when absent")
	cmd.Flags().StringVar(&f.secretKey, "secret-key", "",
		"secret key; generated when absent; other users of this machine can see it while the command runs")
	cmd.Flags().StringVar(&f.secretKeyFile, "secret-key-file", "", "file that holds the secret key")
	cmd.MarkFlagsMutuallyExclusive("secret-key", "secret-key-file")
}

// secret is the secret key to set; empty if the server shall generate one.
func (f *credentialFlags) secret() (string, error) {
	secret := f.secretKey
	if f.secretKeyFile != "" {
		var err error
		if secret, err = readSecretFile(f.secretKeyFile); err != nil {
			return "", usage(err)
		}
	}
	if secret != "" && f.accessKey == "" {
		return "", usage(errors.New("a secret key needs its --access-key"))
	}
	return secret, nil
}

// tenantCommand holds the commands about tenants.
func tenantCommand() *cobra.Command {
	return group("tenant", "Manage the tenants of a running server",
		tenantCreateCommand(), tenantListCommand(), tenantShowCommand(), tenantResidencyCommand(), tenantDeleteCommand())
}

// tenantCreateCommand creates a tenant together with a credential, without
// which the tenant could not be used.
func tenantCreateCommand() *cobra.Command {
	var flags credentialFlags
	var residency string
	cmd := adminCommand("create NAME", "Create a tenant with a credential of its root; its secret is shown only this once", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, output string, args []string) error {
			secret, err := flags.secret()
			if err != nil {
				return err
			}
			var made admin.NewTenant
			in := admin.CreateTenant{Name: args[0], AccessKey: flags.accessKey, SecretKey: secret, Residency: residency}
			if err := a.call(cmd.Context(), http.MethodPost, "/v1/tenants", in, &made); err != nil {
				return err
			}
			return printNewTenant(cmd, output, made)
		})
	flags.add(cmd)
	cmd.Flags().StringVar(&residency, "residency", "",
		"name, region or jurisdiction of a backend that all buckets of the tenant must be on")
	return cmd
}

// tenantResidencyCommand sets the residency of future buckets. Existing buckets
// stay where they are.
func tenantResidencyCommand() *cobra.Command {
	return adminCommand("residency NAME PLACE",
		`Set the place of the buckets that a tenant creates from now on: a backend's name, region or jurisdiction, or ""`, cobra.ExactArgs(2),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			path := "/v1/tenants/" + url.PathEscape(args[0]) + "/residency"
			return a.call(cmd.Context(), http.MethodPut, path, admin.SetResidency{Residency: args[1]}, nil)
		})
}

// printNewTenant prints a new credential of a tenant's root.
func printNewTenant(cmd *cobra.Command, output string, u admin.NewTenant) error {
	if output == "json" {
		return writeJSON(cmd.OutOrStdout(), u)
	}
	return writeTable(cmd.OutOrStdout(), []string{"name", "id", "access key", "secret key"},
		[][]string{{u.Name, u.ID, u.AccessKey, u.SecretKey}})
}

// tenantListCommand lists all tenants.
func tenantListCommand() *cobra.Command {
	return adminCommand("list", "List all tenants", cobra.NoArgs,
		func(cmd *cobra.Command, a *adminClient, output string, _ []string) error {
			all, err := a.tenants(cmd.Context())
			if err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			var rows [][]string
			for _, u := range all {
				rows = append(rows, []string{u.Name, u.ID, u.Created.Format(time.RFC3339), u.Residency})
			}
			return writeTable(cmd.OutOrStdout(), []string{"name", "id", "created", "residency"}, rows)
		})
}

// tenants reads all pages. It stops at a page that does not advance, so that a
// faulty server cannot keep it in a loop.
func (a *adminClient) tenants(ctx context.Context) ([]admin.Tenant, error) {
	all := []admin.Tenant{}
	for after := ""; ; {
		var page admin.Tenants
		if err := a.call(ctx, http.MethodGet, "/v1/tenants?"+pageQuery(after), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Tenants...)
		if page.Next <= after {
			return all, nil
		}
		after = page.Next
	}
}

// pageQuery is the query for the page after a name.
func pageQuery(after string) string {
	q := url.Values{"limit": {fmt.Sprint(admin.MaxPage)}}
	if after != "" {
		q.Set("after", after)
	}
	return q.Encode()
}

// tenantShowCommand shows a tenant. Policies name tenants by the number of the
// account, which no S3 request shows.
func tenantShowCommand() *cobra.Command {
	return adminCommand("show NAME", "Show a tenant, with the number of its account in ARNs", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, output string, args []string) error {
			var t admin.Tenant
			if err := a.call(cmd.Context(), http.MethodGet, "/v1/tenants/"+url.PathEscape(args[0]), nil, &t); err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), t)
			}
			return writeTable(cmd.OutOrStdout(), []string{"name", "id", "account", "created", "residency"},
				[][]string{{t.Name, t.ID, t.Account, t.Created.Format(time.RFC3339), t.Residency}})
		})
}

// tenantDeleteCommand deletes a tenant. The server refuses that while the
// tenant owns buckets.
func tenantDeleteCommand() *cobra.Command {
	return adminCommand("delete NAME", "Delete a tenant that owns no bucket, with its users, groups, roles and credentials", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			return a.call(cmd.Context(), http.MethodDelete, "/v1/tenants/"+url.PathEscape(args[0]), nil, nil)
		})
}
