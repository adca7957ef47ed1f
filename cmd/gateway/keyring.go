package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func keyringCommand() *cobra.Command {
	return group("keyring", "Manage the key file", keyringCreateCommand())
}

func keyringCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a new key file, for gateways that start together",
		Long: `Make a new key file with mode 0600 at keyring.path, locked with
keyring.passphrase if one is set. An existing file is left alone, and is an error.

A single gateway makes its key file at its first start. Several gateways over one
store need the same file before they start: make it once and give it to each.
Keep a copy apart from the storage: without it nothing can be opened.`,
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
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "made %s: keep a copy of it apart from the storage\n", c.KeyringPath)
		return failed(err)
	}
	return cmd
}
