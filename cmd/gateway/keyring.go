package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// keyringCommand holds the commands about the key file.
func keyringCommand() *cobra.Command {
	return group("keyring", "Manage the key file",
		keyringCreateCommand(), keyringListCommand(), keyringAddCommand(), keyringPrimaryCommand(), keyringRemoveCommand())
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

// keyFileCommand is a command about one key file: that of keyring.path, or one of
// key_providers.
func keyFileCommand(use, short, long string, args cobra.PositionalArgs,
	do func(cmd *cobra.Command, c *configuration, k *KeyProviderSettings, args []string) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: args}
	provider := cmd.Flags().String("provider", "", "key provider whose file is meant; needed if key_providers lists several key files")
	addSettingFlags(cmd, forFolder)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := loadConfig(cmd, environment())
		if err != nil {
			return usage(err)
		}
		k, err := c.keyFile(*provider)
		if err != nil {
			return usage(err)
		}
		return failed(do(cmd, c, k, args))
	}
	return cmd
}

// keyFile finds the key file of a provider, or the only one.
func (c *configuration) keyFile(provider string) (*KeyProviderSettings, error) {
	files := c.keyFiles()
	var names []string
	for _, k := range files {
		if provider != "" && k.Name == provider || provider == "" && len(files) == 1 {
			return k, nil
		}
		names = append(names, k.Name)
	}
	switch {
	case len(c.KeyProviders) == 0:
		return nil, fmt.Errorf("--provider %s: no %s are configured", provider, keyProvidersSection)
	case provider == "":
		return nil, fmt.Errorf("--provider must name one of the key files: %s", strings.Join(names, ", "))
	}
	return nil, fmt.Errorf("--provider %s: no key file has this name; the key files are: %s", provider, strings.Join(names, ", "))
}

// keyringListCommand shows ids only.
func keyringListCommand() *cobra.Command {
	return keyFileCommand("list", "List the keys of the key file, without their secrets",
		"List the ids of the keys in the key file. The primary key wraps new seeds.", cobra.NoArgs,
		func(cmd *cobra.Command, _ *configuration, k *KeyProviderSettings, _ []string) error {
			keys, err := listKeys(k)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, key := range keys {
				primary := ""
				if key.Primary {
					primary = "primary"
				}
				rows = append(rows, []string{key.ID, primary})
			}
			return writeTable(cmd.OutOrStdout(), []string{"key", ""}, rows)
		})
}

// keyringAddCommand does not make the key primary, since other gateways lack it still.
func keyringAddCommand() *cobra.Command {
	return keyFileCommand("add", "Add a new key to the key file",
		`Add a new random key to the key file. The file is replaced as a whole, and running
gateways read it again. The primary key stays.

Give the new file to every gateway of the store, and keep a copy of it apart from the
storage, before "gateway keyring primary" has the new key used.`, cobra.NoArgs,
		func(cmd *cobra.Command, _ *configuration, k *KeyProviderSettings, _ []string) error {
			id, err := addKey(k)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "added %s to %s: give the file to every gateway, and keep a copy of it apart from the storage\n", id, k.Keyring.Path)
			return err
		})
}

func keyringPrimaryCommand() *cobra.Command {
	return keyFileCommand("primary KEY", "Make a key of the key file the one that wraps new seeds",
		`Make a key of the key file the one that wraps new seeds. Every gateway of the store must
have the key in its file by now: one that lacks it cannot open what is wrapped with it.

Seeds that older keys wrapped still need them, until "gateway key rewrap" has ended.`, cobra.ExactArgs(1),
		func(cmd *cobra.Command, _ *configuration, k *KeyProviderSettings, args []string) error {
			if err := setPrimaryKey(k, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s wraps new seeds; run `gateway key rewrap` for those that exist\n", args[0])
			return err
		})
}

// maxNeeds bounds the seeds that an error names one by one.
const maxNeeds = 10

// keyringRemoveCommand looks through the store first.
func keyringRemoveCommand() *cobra.Command {
	return keyFileCommand("remove KEY", "Remove a key from the key file for good, unless something needs it",
		`Remove a key from the key file for good. The command reads the whole store first, and is
refused if a seed needs the key, with the names of the buckets. The primary key is refused.

Copies of the store from before "gateway key rewrap" ended need the key for ever: keep it
with them, or do without them.`, cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *configuration, k *KeyProviderSettings, args []string) error {
			needs, err := neededBy(cmd.Context(), c, k, args[0])
			if err != nil {
				return fmt.Errorf("it is not known what needs the key, so it was not removed: %w", explain(c, err))
			}
			if len(needs) > 0 {
				return fmt.Errorf("key %s was not removed, because it is needed by %s: run `gateway key rewrap` first", args[0], listed(needs))
			}
			if err := removeKey(k, args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "removed %s from %s: copies of the store from before its seeds were rewrapped still need it\n", args[0], k.Keyring.Path)
			return err
		})
}

// listed names the first of many.
func listed(needs []string) string {
	if len(needs) <= maxNeeds {
		return strings.Join(needs, ", ")
	}
	return fmt.Sprintf("%s and %d others", strings.Join(needs[:maxNeeds], ", "), len(needs)-maxNeeds)
}

// neededBy names the seeds that a key of a key file alone opens, as the store has them now.
func neededBy(ctx context.Context, c *configuration, k *KeyProviderSettings, key string) (needs []string, err error) {
	if c.StoreURL == "" {
		if err := requireFolder(c); err != nil {
			return nil, err
		}
	}
	store, err := openStoreReadOnly(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return needsOf(ctx, store, func(wrapped []byte) bool { return k.wrapped(wrapped, key) })
}
