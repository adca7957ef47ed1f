package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// keyringCommand holds the commands about the key file.
func keyringCommand() *cobra.Command {
	return group("keyring", "Manage the key file", keyringCreateCommand())
}

// keyringCreateCommand makes a key file before the first start.
func keyringCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create a key file, for gateways that start together",
		Long: `Create a key file with mode 0600 at keyring.path, locked with keyring.passphrase if
one is set. If a file exists there, it is not changed, and the command fails.

A single gateway creates its key file at its first start. Several gateways of one store
need the same file before they start: create it once and give it to each of them.
Keep a copy apart from the storage, because nothing can be opened without it.`,
		Args: cobra.NoArgs,
	}
	addSettingFlags(cmd, forFolder)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(cmd, environment())
		if err != nil {
			return usage(err)
		}
		if err := createKeys(c); err != nil {
			return failed(err)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "created %s: keep a copy of it apart from the storage\n", c.KeyringPath)
		return failed(err)
	}
	return cmd
}
