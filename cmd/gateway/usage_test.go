package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// everyCommand calls do with each command that can be typed.
func everyCommand(do func(path []string, cmd *cobra.Command)) {
	var each func(path []string, cmd *cobra.Command)
	each = func(path []string, cmd *cobra.Command) {
		do(path, cmd)
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				each(append(path[:len(path):len(path)], c.Name()), c)
			}
		}
	}
	each(nil, rootCommand())
}

// Every command reports a wrong command line in one line, without the words of
// a library, and does nothing.
func TestWrongUses(t *testing.T) {
	for _, name := range []string{"SANCTUM_ACCESS_KEY", "SANCTUM_SECRET_KEY"} {
		t.Setenv(name, "wrong-uses")
	}
	t.Setenv("SANCTUM_ADMIN_URL", "http://127.0.0.1:1") // a command that acted would find no server
	cases := 0
	wrong := func(args ...string) {
		t.Helper()
		cases++
		var stdout, stderr bytes.Buffer
		status := run(args, &stdout, &stderr)
		text := stderr.String()
		if status != exitUsage || stdout.Len() > 0 || strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "gateway: ") {
			t.Errorf("gateway %q: status %d\n%s%s", args, status, text, stdout.String())
		}
		for _, word := range []string{"strconv", "unknown", "arg(s)", "flag(s)", "invalid argument", "flag needs", "shorthand"} {
			if strings.Contains(text, word) {
				t.Errorf("gateway %q: %s", args, text)
			}
		}
	}
	everyCommand(func(path []string, cmd *cobra.Command) {
		with := func(more ...string) []string { return append(path[:len(path):len(path)], more...) }
		wrong(with("--no-such-flag")...)
		wrong(with("--no-such-flag=x")...)
		wrong(with("-Z")...)
		if cmd.HasSubCommands() {
			wrong(with("no-such-command")...)
			wrong(with("no-such-command", "--help")...)
			if len(path) > 0 && path[0] != "completion" {
				wrong(path...)
			}
			return
		}
		if len(path) == 0 || path[0] == "help" {
			return
		}
		if cmd.Flags().Lookup("output") != nil {
			wrong(with("-o")...)
		}
		_, takes, _ := strings.Cut(cmd.Use, " ")
		if takes != "" && !strings.HasPrefix(takes, "-") && !strings.HasPrefix(takes, "[") {
			wrong(path...)
		}
		if !strings.Contains(takes, "…") && !strings.Contains(takes, "...") {
			wrong(with("a", "b", "c", "d")...)
		}
	})
	for _, line := range []string{
		"help no-such-command", "tenant lst", "limits set tenant t", "limits set tenant t --bytes 1XB", "limits set tenant t --bytes -1",
		"limits set tenant t --requests 1.5", "limits set tenant t --bytes 99999999PB", "limits set nobody n --bytes 1", "limits set user u --requests 1",
		"limits unset tenant t gigabytes", "user create u", "backend drain b", "accesskey revoke wrong-uses",
		"accesskey add t --access-key a --secret-key b --secret-key-file c", "serve --limits-connections many", "fsck --deep=maybe",
		"tenant list -o yaml", "serve --tls-cert",
	} {
		wrong(strings.Fields(line)...)
	}
	t.Logf("%d wrong uses", cases)
}

func TestSuggestions(t *testing.T) {
	for line, want := range map[string]string{
		"tenant lst":                      "did you mean list?",
		"keyrin":                          "did you mean keyring?",
		"limits set tenant t --byte 1":    "did you mean --bytes?",
		"limits set tenant t --reqests 1": "did you mean --requests?",
	} {
		var stdout, stderr bytes.Buffer
		if status := run(strings.Fields(line), &stdout, &stderr); status != exitUsage || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: status %d, %s", line, status, stderr.String())
		}
	}
}

func TestAmounts(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "500": 500, "1kB": 1000, "1KiB": 1024, "5MB": 5e6, "2GiB": 2 << 30, "1TB": 1e12, "1tib": 1 << 40, "8192PB": 8192e15, "7B": 7,
	} {
		var a amount
		if err := a.Set(text); err != nil || int64(a) != want {
			t.Errorf("%s: %d, %v", text, a, err)
		}
	}
	for _, text := range []string{"", "B", "+1", "-1", "1.5GB", "1 GB", "0x10", "1XB", "1GBB", "9223372036854775808", "9300PB", "1e3"} {
		var a amount
		if err := a.Set(text); err == nil {
			t.Errorf("%q is %d", text, a)
		}
	}
}

func TestManualPages(t *testing.T) {
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	if status := run([]string{"man", dir}, &stdout, &stderr); status != 0 {
		t.Fatal(stderr.String())
	}
	everyCommand(func(path []string, _ *cobra.Command) {
		page := strings.Join(append([]string{"gateway"}, path...), "-") + ".1"
		if len(path) > 0 && path[0] == "help" {
			return
		}
		if text, err := os.ReadFile(filepath.Join(dir, page)); err != nil || !bytes.Contains(text, []byte(".SH SYNOPSIS")) {
			t.Errorf("%s: %v", page, err)
		}
	})
}
