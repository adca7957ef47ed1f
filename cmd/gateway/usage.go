package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// worded gives root and all its commands the same kind of usage errors: one
// line that tells what is wrong and what to type.
func worded(root *cobra.Command) {
	root.SetFlagErrorFunc(flagError)
	var each func(*cobra.Command)
	each = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			each(c)
		}
		cmd.SuggestionsMinimumDistance = 2
		if check := cmd.Args; check != nil {
			cmd.Args = func(cmd *cobra.Command, args []string) error { return argumentError(cmd, args, check) }
		}
	}
	each(root)
}

// helpOf refers to the help of a command.
func helpOf(cmd *cobra.Command) string { return "see " + cmd.CommandPath() + " --help" }

// argumentError checks arguments and required flags. Its errors name the
// arguments that the command takes.
func argumentError(cmd *cobra.Command, args []string, check cobra.PositionalArgs) error {
	if cmd.HasSubCommands() && len(args) > 0 {
		return noCommand(cmd, args[0])
	}
	if check(cmd, args) != nil {
		_, takes, _ := strings.Cut(cmd.Use, " ")
		switch {
		case takes == "" || strings.HasPrefix(takes, "-"):
			return usage(fmt.Errorf("%s takes no argument, such as %q; %s", cmd.CommandPath(), args[0], helpOf(cmd)))
		case len(args) == 0:
			return usage(fmt.Errorf("%s needs %s; %s", cmd.CommandPath(), takes, helpOf(cmd)))
		}
		return usage(fmt.Errorf("%s takes %s, not %d arguments; %s", cmd.CommandPath(), takes, len(args), helpOf(cmd)))
	}
	return flagsTogether(cmd)
}

// exclusive is the annotation that MarkFlagsMutuallyExclusive adds to the flags
// of a group. Its value is the names of the group, separated by blanks.
const exclusive = "cobra_annotation_mutually_exclusive"

// flagsTogether reports missing flags, and flags that exclude each other.
func flagsTogether(cmd *cobra.Command) error {
	var missing []string
	given := map[string][]string{} // by group
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if len(f.Annotations[cobra.BashCompOneRequiredFlag]) > 0 && !f.Changed {
			missing = append(missing, "--"+f.Name)
		}
		for _, group := range f.Annotations[exclusive] {
			if f.Changed {
				given[group] = append(given[group], "--"+f.Name)
			}
		}
	})
	if len(missing) > 0 {
		return usage(fmt.Errorf("%s needs %s; %s", cmd.CommandPath(), strings.Join(missing, " and "), helpOf(cmd)))
	}
	for _, flags := range given {
		if len(flags) > 1 {
			return usage(fmt.Errorf("%s exclude each other: give one of them", strings.Join(flags, " and ")))
		}
	}
	return nil
}

// noCommand is the error for an unknown subcommand. It suggests similar names.
func noCommand(cmd *cobra.Command, name string) error {
	near := cmd.SuggestionsFor(name)
	if len(near) == 0 {
		return usage(fmt.Errorf("%s has no command %q; %s", cmd.CommandPath(), name, helpOf(cmd)))
	}
	return usage(fmt.Errorf("%s has no command %q; did you mean %s?", cmd.CommandPath(), name, strings.Join(near, " or ")))
}

// unknownCommand finds an unknown command in the cases where cobra would print
// help instead: before --help, and after help.
func unknownCommand(root *cobra.Command, args []string) error {
	if len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd) {
		return nil
	}
	if len(args) > 0 && args[0] == "help" {
		args = args[1:]
	}
	cmd, rest, err := root.Find(args)
	if err != nil || !cmd.HasSubCommands() {
		return nil
	}
	for _, arg := range rest {
		if !strings.HasPrefix(arg, "-") {
			return noCommand(cmd, arg)
		}
	}
	return nil
}

// flagError rewords an error of pflag.
func flagError(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := unknown.GetSpecifiedName()
		if near := flagsNear(cmd, name); len(near) > 0 {
			return usage(fmt.Errorf("%s has no flag %s; did you mean %s?", cmd.CommandPath(), dashed(name), strings.Join(near, " or ")))
		}
		return usage(fmt.Errorf("%s has no flag %s; %s", cmd.CommandPath(), dashed(name), helpOf(cmd)))
	}
	if bare, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return usage(fmt.Errorf("%s needs a value; %s", dashed(bare.GetSpecifiedName()), helpOf(cmd)))
	}
	if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return usage(fmt.Errorf("--%s: %s; %s", wrong.GetFlag().Name, valueText(wrong), helpOf(cmd)))
	}
	return usage(fmt.Errorf("%w; %s", err, helpOf(cmd)))
}

// dashed is a flag as it is typed.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// valueText tells what is wrong with a flag's value. pflag's own text names
// functions of strconv.
func valueText(wrong *pflag.InvalidValueError) string {
	if _, ok := errors.AsType[*strconv.NumError](wrong); !ok {
		return wrong.Unwrap().Error()
	}
	if wrong.GetFlag().Value.Type() == "bool" {
		return fmt.Sprintf("%q is neither true nor false", wrong.GetValue())
	}
	return fmt.Sprintf("%q is no whole number in range", wrong.GetValue())
}

// flagsNear lists flags that may be meant by a mistyped name. More than three
// are no help.
func flagsNear(cmd *cobra.Command, name string) (near []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if len(name) > 1 && !f.Hidden && (strings.Contains(f.Name, name) || edits(f.Name, name) <= 2) {
			near = append(near, "--"+f.Name)
		}
	})
	// A long list does not help.
	if len(near) > 3 {
		return nil
	}
	return near
}

// edits is the number of bytes to change, insert or delete to get from a to b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			differs := 1
			if a[i] == b[j] {
				differs = 0
			}
			before, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, before+differs)
		}
	}
	return row[len(b)]
}
