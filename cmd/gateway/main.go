// Command gateway is Sanctum Gateway: it serves S3 over storage that sees only
// sealed bytes under random names, and manages a running server.
//
// This package reads the configuration, opens adapters (in wire.go alone), and
// starts and ends listeners and workers. It holds no S3 and no storage logic.
//
// Exit status: 0 done, 1 it failed while running, 2 usage or configuration;
// fsck and db verify have their own, told by their help.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitFailure = 1
	exitUsage   = 2
)

// failure is an error with the exit status that it leads to. An error without
// one came from cobra and means that the command line was wrong.
type failure struct {
	status int
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// failed marks an error of running; usage marks one of configuration.
func failed(err error) error { return withStatus(exitFailure, err) }
func usage(err error) error  { return withStatus(exitUsage, err) }

func withStatus(status int, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*failure](err); ok {
		return err
	}
	return &failure{status, err}
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns the exit status. Whatever goes
// wrong ends as one line on stderr.
func run(args []string, stdout, stderr io.Writer) int {
	stdout, stderr = shown{stdout}, shown{stderr}
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := unknownCommand(root, args)
	if err == nil {
		err = root.Execute()
	}
	if err == nil {
		return 0
	}
	if msg := oneLine(err); msg != "" {
		within(logFlush, func() { fmt.Fprintln(stderr, "gateway: "+msg) })
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f.status
	}
	return exitUsage
}

// oneLine renders an error without line ends, some libraries' texts having them.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "gateway",
		Short:         "Sanctum Gateway: S3 over storage that sees only sealed bytes",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(
		serveCommand(),
		configCommand(),
		tenantCommand(), userCommand(),
		accessKeyCommand(),
		bucketCommand(),
		limitsCommand(),
		backendCommand(),
		keyringCommand(),
		dbCommand(),
		fsckCommand(),
		findCommand(),
		importCommand(),
		exportCommand(),
		healthCommand(),
		versionCommand(),
		manCommand(),
	)
	root.InitDefaultCompletionCmd()
	root.SetVersionTemplate(thisBuild().text())
	worded(root)
	completing(root)
	return root
}

// group is a noun: a command that only holds others.
func group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage(fmt.Errorf("%s needs one of: %s", cmd.CommandPath(), verbNames(verbs)))
		}}
	cmd.AddCommand(verbs...)
	return cmd
}

func verbNames(verbs []*cobra.Command) string {
	var names []string
	for _, v := range verbs {
		names = append(names, v.Name())
	}
	return strings.Join(names, ", ")
}
