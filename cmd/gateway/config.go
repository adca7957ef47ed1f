package main

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Names that are no settings themselves but control where settings come from.
const (
	envPrefix    = "SANCTUM_"
	envConfig    = "SANCTUM_CONFIG"
	configFlag   = "config"
	fileSuffix   = "_file"
	redactedText = "(set)"
	storeURLKey  = "store.url"
)

// configuration is the settings of this process together with the source of
// each. The rows hold pointers into Settings, so a configuration must not be
// copied.
type configuration struct {
	Settings
	rows    []setting
	origins map[string]string // by key; "default" for settings that no source gives
}

// assignment is a value that a source gives to a key.
type assignment struct {
	text     string
	fromFile bool   // text is the path of a file with the value
	origin   string // shown to people: flag --data, environment SANCTUM_DATA, a file with a line
}

// layer is everything that one source gives. Sources are read from the lowest
// rank to the highest.
type layer map[string]assignment

// add adds a value. It refuses a key that the same source gives twice, since
// neither of the two takes precedence.
func (l layer) add(key string, a assignment) error {
	if old, ok := l[key]; ok {
		return fmt.Errorf("%s: %s is already given by %s; give it once", a.origin, key, old.origin)
	}
	l[key] = a
	return nil
}

// env is the name of the setting's environment variable.
func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(s.key))
}

// discloses reports whether the value must be kept from other users of the
// machine. An access key is a name, and a URL without a password is an address:
// both may be seen.
func (s setting) discloses(value string) bool {
	switch {
	case !s.secret || value == "" || strings.HasSuffix(s.key, "access_key"):
		return false
	case s.key != storeURLKey:
		return true
	}
	u, err := url.Parse(value)
	if err != nil {
		return true
	}
	_, password := u.User.Password()
	return password || u.Query().Has("password") || u.Query().Has("sslpassword")
}

// rawFlag holds the text of a flag. It is parsed later, together with the
// values of the other sources.
type rawFlag struct {
	text string
	row  setting
}

func (r *rawFlag) Set(s string) error { r.text = s; return nil }
func (r *rawFlag) String() string     { return r.text }
func (r *rawFlag) Type() string       { return r.row.value.kind() }

// addSettingFlags gives cmd the flags of every setting in one of the scopes,
// and --config.
func addSettingFlags(cmd *cobra.Command, scopes scope) {
	cmd.Flags().String(configFlag, "", "configuration file in YAML (environment "+envConfig+")")
	// It serves only to list the rows: loadConfig parses the values.
	var s Settings
	for _, row := range s.table() {
		if row.flag == "" || row.scope&scopes == 0 {
			continue
		}
		f := cmd.Flags().VarPF(&rawFlag{row.def, row}, row.flag, "", row.doc)
		f.NoOptDefVal = row.bare
		if _, ok := row.value.(*flag); ok {
			f.NoOptDefVal = "true"
		}
	}
}

// loadConfig reads the settings of a command from its flags, the environment,
// the configuration file and the defaults, in this order of precedence.
// Errors name the key and the place.
func loadConfig(cmd *cobra.Command, environ []string) (*configuration, error) {
	c := &configuration{origins: map[string]string{}}
	c.rows = c.table()
	flags, err := c.flagLayer(cmd.Flags())
	if err != nil {
		return nil, err
	}
	// The environment comes before the file, because it can name the file.
	env, path, err := c.envLayer(environ)
	if err != nil {
		return nil, err
	}
	if f := cmd.Flags().Lookup(configFlag); f != nil && f.Changed {
		path = f.Value.String()
	}
	file := layer{}
	if path != "" {
		if file, err = c.fileLayer(path); err != nil {
			return nil, err
		}
	}
	// After all layers, because each of them may have added rows of named things.
	for _, row := range c.rows {
		if err := c.settle(row, flags, env, file); err != nil {
			return nil, err
		}
	}
	// Before settleKeyProviders, which gives this path to one of them.
	if c.KeyringPath == "" {
		c.KeyringPath = keyringIn(c.Data)
	}
	if err := c.settleBackends(); err != nil {
		return nil, err
	}
	if err := c.settleKeyProviders(); err != nil {
		return nil, err
	}
	return c, c.checkPairs()
}

// settle gives a setting the value of the highest source that has one. layers
// go from the highest rank to the lowest.
func (c *configuration) settle(row setting, layers ...layer) error {
	a := assignment{text: row.def, origin: "default"}
	for _, l := range layers {
		if given, ok := l[row.key]; ok {
			a = given
			break
		}
	}
	c.origins[row.key] = a.origin
	// Only the file of the value that applies is read.
	if a.fromFile {
		secret, err := readSecretFile(a.text)
		if err != nil {
			return fmt.Errorf("%s: %s%s: %w", a.origin, row.key, fileSuffix, err)
		}
		a.text = secret
	}
	// An empty value leaves a setting unset, even if its type has no empty
	// text.
	if err := row.value.set(a.text); err != nil && a.text != "" {
		return fmt.Errorf("%s: %s: %w", a.origin, row.key, err)
	}
	return nil
}

// flagLayer reads the flags that were given. A flag must not give an empty
// value to a setting with a default.
func (c *configuration) flagLayer(flags *pflag.FlagSet) (layer, error) {
	l := layer{}
	var err error
	flags.Visit(func(f *pflag.Flag) {
		raw, ok := f.Value.(*rawFlag)
		if !ok || err != nil {
			return
		}
		if raw.text == "" && raw.row.def != "" {
			err = fmt.Errorf("flag --%s: %s must not be empty", f.Name, raw.row.key)
			return
		}
		err = l.add(raw.row.key, assignment{text: raw.text, origin: "flag --" + f.Name})
	})
	return l, err
}

// kubernetesService matches the variables that Kubernetes sets in every
// container for a service whose name begins with sanctum. They are no settings.
var kubernetesService = regexp.MustCompile(`^SANCTUM_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)$`)

// envLayer reads the environment, and returns the path of the configuration
// file if a variable names one. An empty variable counts as absent, because
// container tools pass on variables that nobody has set.
func (c *configuration) envLayer(environ []string) (l layer, config string, err error) {
	l = layer{}
	known := map[string]setting{}
	know := func(rows []setting) {
		for _, row := range rows {
			known[row.env()] = row
			if row.secret {
				known[row.env()+strings.ToUpper(fileSuffix)] = row
			}
		}
	}
	know(c.rows)
	// The order is fixed, so that the same error is reported each time.
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(entry, "=")
		if section, thing, ok := namedInEnv(name); ok {
			if text == "" {
				continue
			}
			rows, err := c.namedRows(section, thing)
			if err != nil {
				return nil, "", fmt.Errorf("environment %s: %w", name, err)
			}
			know(rows)
		}
		row, ok := known[name]
		switch {
		case !strings.HasPrefix(name, envPrefix) || kubernetesService.MatchString(name) || ofCommand(name):
			continue
		case name == envConfig:
			config = text
			continue
		case !ok:
			return nil, "", fmt.Errorf("environment %s: no setting has this name; `gateway config show` lists all", name)
		case text == "":
			continue
		}
		a := assignment{text: text, fromFile: name != row.env(), origin: "environment " + name}
		if err := l.add(row.key, a); err != nil {
			return nil, "", err
		}
	}
	return l, config, nil
}

// ofCommand reports whether a variable is read by one command and is no
// setting: the credentials of import and export, and the target of db copy.
func ofCommand(name string) bool {
	return strings.HasPrefix(name, providerPrefix) || name == envCopyTo || name == envCopyTo+strings.ToUpper(fileSuffix)
}

// environment is the environment of this process.
func environment() []string { return os.Environ() }
