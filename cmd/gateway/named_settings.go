package main

import (
	"fmt"
	"regexp"
	"strings"
)

// Backends and key providers are configured by name: in the file as
// backends.NAME.type and so on, in the environment as SANCTUM_BACKENDS_NAME_TYPE,
// with _ for each - of the name. They have no flags, because their number is open.

// namedSection is a section whose keys are names of things with settings of their own.
type namedSection struct {
	noun string                                                 // one of the things
	add  func(c *configuration, name string) ([]setting, error) // adds a thing and returns its rows
	rows func() []setting                                       // the rows of a thing named x
}

// namedSections are all sections of this kind, by their keys.
var namedSections = map[string]namedSection{
	backendsSection: {"backend", (*configuration).addBackend, func() []setting { return (&BackendSettings{Name: "x"}).rows() }},
	keyProvidersSection: {"key provider", (*configuration).addKeyProvider, func() []setting {
		return (&KeyProviderSettings{Name: "x"}).rows()
	}},
}

// namePattern matches names that can be part of file names, metric labels and
// environment variables. Those of key providers are part of the sealed format too: see
// encrypt.IsProviderName.
var namePattern = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$`)

// ofNamed completes the keys of a named thing's rows, and gives them their scope.
func ofNamed(section, name string, rows []setting) []setting {
	for i := range rows {
		rows[i].key = section + "." + name + "." + rows[i].key
		rows[i].scope = forServe | forFolder
	}
	return rows
}

// namedRows returns the rows of a named thing's settings. The first mention of a name, in
// any source, adds the thing.
func (c *configuration) namedRows(section, name string) ([]setting, error) {
	kind := namedSections[section]
	if !namePattern.MatchString(name) {
		return nil, fmt.Errorf("%s name %q: want lower-case letters, digits and -, at most 32, beginning with a letter", kind.noun, name)
	}
	prefix := section + "." + name + "."
	var have []setting
	for _, row := range c.rows {
		if strings.HasPrefix(row.key, prefix) {
			have = append(have, row)
		}
	}
	if have != nil {
		return have, nil
	}
	rows, err := kind.add(c, name)
	c.rows = append(c.rows, rows...)
	return rows, err
}

// namedInEnv finds the thing that an environment variable configures: for a backend
// SANCTUM_BACKENDS_, the name, and one of the settings. The longest setting wins, so
// SANCTUM_BACKENDS_A_STALL_TIMEOUT is stall_timeout of a, and not timeout of a-stall.
func namedInEnv(variable string) (section, name string, ok bool) {
	for section, kind := range namedSections {
		prefix := envPrefix + strings.ToUpper(section) + "_"
		rest, ok := strings.CutPrefix(variable, prefix)
		if !ok {
			continue
		}
		longest := 0
		for _, row := range kind.rows() {
			suffix := strings.TrimPrefix(row.env(), prefix+"X")
			for _, s := range []string{suffix, suffix + strings.ToUpper(fileSuffix)} {
				if before, found := strings.CutSuffix(rest, s); found && before != "" && len(s) > longest && (row.secret || s == suffix) {
					longest = len(s)
					name = strings.ReplaceAll(strings.ToLower(before), "_", "-")
				}
			}
		}
		return section, name, longest > 0
	}
	return "", "", false
}
