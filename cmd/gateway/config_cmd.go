package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
)

// configCommand holds the commands about the configuration.
func configCommand() *cobra.Command {
	return group("config", "Check or show the configuration without starting anything",
		configCheckCommand(), configShowCommand())
}

// configCheckCommand checks the configuration in the way of serve, certificates
// included, so that a mistake is found before a restart.
func configCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read the configuration as serve would and report the first error",
		Args:  cobra.NoArgs,
	}
	connect := cmd.Flags().Bool("connect", false, "ask each key provider, too, whether it wraps and unwraps")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(cmd, environment())
		if err == nil {
			err = c.checkListeners()
		}
		if err != nil {
			return usage(err)
		}
		_, err = newCertificates(c)
		if err != nil {
			return usage(err)
		}
		if *connect {
			if err := checkKeyProviders(cmd.Context(), c, cmd.OutOrStdout()); err != nil {
				return failed(err)
			}
		}
		fmt.Fprintln(cmd.OutOrStdout(), "the configuration is valid")
		return nil
	}
	addSettingFlags(cmd, forServe|forFolder|forClient|forHealth)
	return cmd
}

// checkKeyProviders writes a line for each key provider that works. Its error is about all
// others. It creates no key file.
func checkKeyProviders(ctx context.Context, c *configuration, w io.Writer) error {
	keys, err := openKeys(ctx, c, false, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer keys.Close()
	if len(c.KeyProviders) == 0 {
		if err := keys.Check(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintln(w, "keyring.path works")
		return err
	}
	found := keys.checks(ctx)
	var errs []error
	for _, p := range c.KeyProviders {
		if err := found[p.Name]; err != nil {
			errs = append(errs, &keyProviderError{p.Name, err})
			continue
		}
		fmt.Fprintf(w, "%s.%s works\n", keyProvidersSection, p.Name)
	}
	return errors.Join(errs...)
}

// shownSetting is one line of config show.
type shownSetting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// configShowCommand prints the settings that apply, with their sources.
func configShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print every setting, where its value came from, and no secret",
		Args:  cobra.NoArgs,
	}
	output := addOutputFlag(cmd)
	addSettingFlags(cmd, forServe|forFolder|forClient|forHealth)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		c, err := loadConfig(cmd, environment())
		if err != nil {
			return usage(err)
		}
		if *output == "json" {
			return failed(writeJSON(cmd.OutOrStdout(), c.shown()))
		}
		var rows [][]string
		for _, s := range c.shown() {
			rows = append(rows, []string{s.Key, s.Value, s.Source})
		}
		return failed(writeTable(cmd.OutOrStdout(), []string{"key", "value", "source"}, rows))
	}
	return cmd
}

// shown is the output of config show. Of a secret it tells only that it is set.
func (c *configuration) shown() []shownSetting {
	var all []shownSetting
	for _, row := range c.rows {
		v := row.value.String()
		if row.secret && v != "" {
			v = redactedText
		}
		all = append(all, shownSetting{row.key, v, c.origins[row.key]})
	}
	return all
}
