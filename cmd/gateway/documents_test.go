package main

import (
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sanctum-storage/gateway/backends/guard"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/documents"
)

// eachDocumentCode calls f with every code span and line of code of the
// documents, apart from the history of releases.
func eachDocumentCode(t *testing.T, f func(place string, c documents.Code)) {
	t.Helper()
	all, err := documents.All("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		for _, c := range d.Code {
			if d.Name != "CHANGELOG.md" {
				f(d.At(c.Line), c)
			}
		}
	}
}

// commandLine finds a command of the gateway in a line of shell, up to a
// comment, a pipe or the next command.
var commandLine = regexp.MustCompile(`(?:^|[\s$(])(?:\S*/)?gateway +([a-z][^|;&#<>()]*)`)

// The commands in documents exist, and have the flags that are used there.
func TestDocumentedCommands(t *testing.T) {
	checked, flags := 0, 0
	eachDocumentCode(t, func(place string, c documents.Code) {
		if c.Fenced && c.Fence != "" && c.Fence != "sh" {
			return
		}
		for _, m := range commandLine.FindAllStringSubmatch(c.Text, -1) {
			words := strings.Fields(m[1])
			cmd, rest := documentedCommand(words)
			if cmd == nil {
				if strings.HasPrefix(c.Text, strings.TrimSpace(m[0])) {
					t.Errorf("%s: there is no command gateway %s", place, words[0])
				}
				continue // a word of prose, or of another program
			}
			checked++
			if cmd.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
				t.Errorf("%s: gateway %s: %q has no command %s", place, m[1], cmd.CommandPath(), rest[0])
			}
			for _, word := range rest {
				name, ok := strings.CutPrefix(word, "--")
				if !ok {
					continue
				}
				flags++
				name, _, _ = strings.Cut(strings.TrimRight(name, `'"`), "=") // of a quoted line
				if cmd.Flags().Lookup(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
					t.Errorf("%s: %q has no flag --%s", place, cmd.CommandPath(), name)
				}
			}
		}
	})
	if checked < 50 || flags < 30 {
		t.Errorf("only %d commands and %d flags were found", checked, flags)
	}
}

// documentedCommand is the command at the beginning of words, and the words
// after its name; nil if the first word is no command.
func documentedCommand(words []string) (*cobra.Command, []string) {
	cmd := rootCommand()
	for i, word := range words {
		next := slices.IndexFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == word })
		if next < 0 {
			if i == 0 {
				return nil, nil
			}
			return cmd, words[i:]
		}
		cmd = cmd.Commands()[next]
	}
	return cmd, nil
}

// foreignFlags are flags of other programs that appear alone in a document.
var foreignFlags = []string{"aws-sigv4", "bypass-governance-retention", "customer-key-file", "endpoint-url", "profile"}

var loneFlag = regexp.MustCompile(`^--([a-z0-9][a-z0-9-]*)`)

// A flag that appears alone in a document is one of some command.
func TestDocumentedFlags(t *testing.T) {
	have := map[string]bool{}
	everyCommand(func(_ []string, cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { have[f.Name] = true })
	})
	checked := 0
	eachDocumentCode(t, func(place string, c documents.Code) {
		m := loneFlag.FindStringSubmatch(c.Text)
		if m == nil || c.Fenced || slices.Contains(foreignFlags, m[1]) {
			return
		}
		if checked++; !have[m[1]] {
			t.Errorf("%s: no command has --%s", place, m[1])
		}
	})
	if checked < 10 {
		t.Errorf("only %d flags were found", checked)
	}
}

// documentedRows are all settings, with those of a backend and of a key provider
// for each of the names.
func documentedRows(names ...string) []setting {
	var s Settings
	rows := s.table()
	for _, name := range names {
		rows = append(rows, (&BackendSettings{Name: name}).rows()...)
		rows = append(rows, (&KeyProviderSettings{Name: name}).rows()...)
	}
	return rows
}

var (
	settingName  = regexp.MustCompile(`^([a-z][a-z0-9_]*)\.([a-z0-9_]+|NAME\.[a-z_]+)(?:=.*|: .*)?$`)
	variableName = regexp.MustCompile(`\bSANCTUM_[A-Z0-9_]+`)
)

// The settings in documents exist, in the form of the file and of the
// environment.
func TestDocumentedSettings(t *testing.T) {
	keys, sections, variables := map[string]bool{}, map[string]bool{}, map[string]bool{
		envConfig: true, envCopyTo: true, providerPrefix + "ACCESS_KEY": true, providerPrefix + "SECRET_KEY": true, providerPrefix + "SECRET_KEY_FILE": true,
	}
	for _, row := range documentedRows("NAME") {
		keys[row.key], variables[row.env()] = true, true
		if row.secret {
			keys[row.key+fileSuffix], variables[row.env()+"_FILE"] = true, true
		}
		section, _, _ := strings.Cut(row.key, ".")
		sections[section] = true
	}
	named := regexp.MustCompile(`^SANCTUM_(BACKENDS|KEY_PROVIDERS)_[A-Z0-9]+_`)
	files := []string{"go", "md", "db", "json", "csv", "txt"}
	settings, used := 0, 0
	eachDocumentCode(t, func(place string, c documents.Code) {
		for _, name := range variableName.FindAllString(c.Text, -1) {
			used++
			if !variables[name] && !variables[named.ReplaceAllString(name, "SANCTUM_${1}_NAME_")] {
				t.Errorf("%s: no setting has the variable %s", place, name)
			}
		}
		m := settingName.FindStringSubmatch(c.Text)
		if m == nil || c.Fenced || !sections[m[1]] || slices.Contains(files, m[2]) {
			return
		}
		settings++
		if key := m[1] + "." + m[2]; !keys[key] && !slices.Contains(chartValues, key) {
			t.Errorf("%s: there is no setting %s", place, key)
		}
	})
	if settings < 20 || used < 10 {
		t.Errorf("only %d settings and %d variables were found", settings, used)
	}
}

// chartValues look like settings but are values of the Helm chart.
var chartValues = []string{"store.existingSecret", "keyring.existingSecret"}

var yamlKey = regexp.MustCompile(`^( *)([a-z][a-z0-9_-]*):`)

// The configuration files in documents have keys that exist.
func TestDocumentedConfiguration(t *testing.T) {
	keys := map[string]bool{}
	for _, row := range documentedRows("NAME") {
		keys[row.key] = true
		if row.secret {
			keys[row.key+fileSuffix] = true
		}
	}
	var path [3]string
	checked := 0
	eachDocumentCode(t, func(place string, c documents.Code) {
		m := yamlKey.FindStringSubmatch(c.Text)
		if m == nil || c.Fence != "yaml" {
			return
		}
		depth := min(len(m[1])/2, 2)
		path[depth] = m[2]
		if strings.TrimSpace(strings.TrimPrefix(c.Text, m[0])) == "" {
			return // a section
		}
		key := strings.Join(path[:depth+1], ".")
		if namedSections[path[0]].noun != "" && depth == 2 {
			key = path[0] + ".NAME." + path[2]
		}
		if checked++; !keys[key] {
			t.Errorf("%s: there is no setting %s", place, key)
		}
	})
	if checked < 10 {
		t.Errorf("only %d keys were found", checked)
	}
}

var metricInText = regexp.MustCompile(`^(sanctum)?_[a-z_]+(?:\{|$)`)

// The metrics in documents exist. A name that begins with _ is the end of a
// metric's name, after another one with the same beginning.
func TestDocumentedMetrics(t *testing.T) {
	m := newMetrics()
	m.watchLog(func() uint64 { return 0 })
	m.watchBackends(map[string]*guard.Guard{})
	m.watchHealth(func() []blobs.Health { return nil })
	m.watchKeys(newKeyLogins(slog.New(slog.DiscardHandler)), newKeyCalls())
	m.watchRevocations(func() ([]engine.Revocation, error) { return nil, nil })
	described := make(chan *prometheus.Desc)
	go func() { defer close(described); m.registry.Describe(described) }()
	quoted := regexp.MustCompile(`fqName: "([^"]+)"`)
	var have []string
	for d := range described {
		have = append(have, quoted.FindStringSubmatch(d.String())[1])
	}
	checked := 0
	eachDocumentCode(t, func(place string, c documents.Code) {
		if c.Fenced || !metricInText.MatchString(c.Text) || !strings.HasSuffix(c.Text, "_total") && !strings.HasPrefix(c.Text, "sanctum_") {
			return
		}
		checked++
		name, _, _ := strings.Cut(c.Text, "{")
		if !slices.ContainsFunc(have, func(metric string) bool {
			return metric == name || name[0] == '_' && strings.HasSuffix(metric, name)
		}) {
			t.Errorf("%s: no gateway has the metric %s", place, name)
		}
	})
	if checked < 15 {
		t.Errorf("only %d metrics were found", checked)
	}
}
