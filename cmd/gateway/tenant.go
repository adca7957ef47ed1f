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

// adminCommand makes a command that talks to a running server.
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

func (f *credentialFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.accessKey, "access-key", "", "access key; generated when absent")
	cmd.Flags().StringVar(&f.secretKey, "secret-key", "", "secret key; generated when absent; other users of this machine can see it while the command runs")
	cmd.Flags().StringVar(&f.secretKeyFile, "secret-key-file", "", "file that holds the secret key")
	cmd.MarkFlagsMutuallyExclusive("secret-key", "secret-key-file")
}

// secret is the secret key to set, empty to have one generated.
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

func tenantCommand() *cobra.Command {
	return group("tenant", "Manage the tenants of a running server", tenantCreateCommand(), tenantListCommand(), tenantShowCommand(), tenantResidencyCommand(), tenantDeleteCommand())
}

func tenantCreateCommand() *cobra.Command {
	var flags credentialFlags
	var residency string
	cmd := adminCommand("create NAME", "Create a tenant with a credential of its root, which is shown this once", cobra.ExactArgs(1),
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
	cmd.Flags().StringVar(&residency, "residency", "", "name, region or jurisdiction of a backend that all buckets of the tenant must be on")
	return cmd
}

func tenantResidencyCommand() *cobra.Command {
	return adminCommand("residency NAME PLACE", `Say which backends the buckets that a tenant makes from now on must be on; PLACE is a name, region or jurisdiction, or ""`, cobra.ExactArgs(2),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			return a.call(cmd.Context(), http.MethodPut, "/v1/tenants/"+url.PathEscape(args[0])+"/residency", admin.SetResidency{Residency: args[1]}, nil)
		})
}

func printNewTenant(cmd *cobra.Command, output string, u admin.NewTenant) error {
	if output == "json" {
		return writeJSON(cmd.OutOrStdout(), u)
	}
	return writeTable(cmd.OutOrStdout(), []string{"name", "id", "access key", "secret key"},
		[][]string{{u.Name, u.ID, u.AccessKey, u.SecretKey}})
}

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

// tenants reads all pages.
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

func pageQuery(after string) string {
	q := url.Values{"limit": {fmt.Sprint(admin.MaxPage)}}
	if after != "" {
		q.Set("after", after)
	}
	return q.Encode()
}

func tenantShowCommand() *cobra.Command {
	return adminCommand("show NAME", "Show a tenant with the number of its account, which ARNs have", cobra.ExactArgs(1),
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

func tenantDeleteCommand() *cobra.Command {
	return adminCommand("delete NAME", "Delete a tenant that owns no bucket, with its users, groups, roles and credentials", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			return a.call(cmd.Context(), http.MethodDelete, "/v1/tenants/"+url.PathEscape(args[0]), nil, nil)
		})
}
