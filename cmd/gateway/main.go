// Command gateway is Sanctum Gateway. It serves S3 over storage that sees only
// sealed bytes under random names, and it manages a running server.
//
// This package reads the configuration, opens adapters (only in wire.go), and
// starts and ends listeners and workers. It contains no logic of S3 or storage.
//
// Exit status: 0 done, 1 it failed while running, 2 usage or configuration.
// fsck and db verify have their own, which their help documents.
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

// failure is an error with its exit status. An error without a status comes
// from cobra and means that the command line is wrong.
type failure struct {
	status int
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// failed marks an error at run time, usage an error of the configuration or
// command line.
func failed(err error) error { return withStatus(exitFailure, err) }
func usage(err error) error  { return withStatus(exitUsage, err) }

// withStatus gives err an exit status, unless it has one already.
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

// run executes a command line and returns the exit status. Each failure ends as
// one line on stderr.
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
		// stderr can be a pipe that nobody reads.
		within(logFlush, func() { fmt.Fprintln(stderr, "gateway: "+msg) })
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f.status
	}
	return exitUsage
}

// oneLine is the text of an error on one line. Errors of some libraries contain
// line ends.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// rootCommand builds all commands anew, so that tests can run several in one
// process.
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
		keyringCommand(), keyCommand(),
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

// group returns a command that only contains others. Used alone, it is an error
// that lists them.
func group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage(fmt.Errorf("%s needs one of: %s", cmd.CommandPath(), verbNames(verbs)))
		}}
	cmd.AddCommand(verbs...)
	return cmd
}

// verbNames lists commands for an error message.
func verbNames(verbs []*cobra.Command) string {
	var names []string
	for _, v := range verbs {
		names = append(names, v.Name())
	}
	return strings.Join(names, ", ")
}
