package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sanctum-storage/gateway/plainfile"
)

// Bounds of the files that are read at the start.
const (
	maxConfigBytes = 1 << 20
	maxSecretBytes = 16 << 10
)

// fileLayer reads the YAML file. It walks the document instead of decoding it
// into a struct. So every error has a line, a repeated key is an error, and
// values are parsed like those of flags and the environment.
func (c *configuration) fileLayer(path string) (layer, error) {
	data, exposed, err := readConfig(path)
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return layer{}, nil // nothing but comments
	} else if err != nil {
		return nil, fmt.Errorf("configuration file %s: %w", path, err)
	}
	// A second document would be ignored silently.
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("configuration file %s: holds more than one document", path)
	}
	f := fileReader{
		path: path, exposed: exposed, rows: map[string]setting{}, sections: map[string]bool{}, into: layer{},
		namedRows: c.namedRows,
	}
	f.know(c.rows)
	for _, row := range c.rows {
		if section, _, ok := strings.Cut(row.key, "."); ok {
			f.sections[section] = true
		}
	}
	return f.into, f.mapping("", doc.Content[0])
}

// readConfig reads the file. exposed tells why the file must not contain
// secrets; nil: it may.
func readConfig(path string) (data []byte, exposed, err error) {
	f, err := plainfile.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	data, err = plainfile.Rest(f, maxConfigBytes)
	return data, plainfile.Private(f), err
}

// fileReader turns a YAML document into assignments.
type fileReader struct {
	path     string
	exposed  error              // why the file must not contain secrets; nil: it may
	rows     map[string]setting // by key, and by key_file if a file can hold the value
	sections map[string]bool
	into     layer

	namedRows func(section, name string) ([]setting, error)
}

// origin is the place of a node, for errors and config show.
func (f *fileReader) origin(n *yaml.Node) string { return fmt.Sprintf("%s:%d", f.path, n.Line) }

// mapping reads the keys of the document (section empty) or of one section.
func (f *fileReader) mapping(section string, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("%s: want keys with values", f.origin(n))
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, v := n.Content[i], n.Content[i+1]
		key := name.Value
		if section != "" {
			key = section + "." + key
		}
		if seen[key] {
			return fmt.Errorf("%s: key %s is given twice", f.origin(name), key)
		}
		seen[key] = true
		if err := f.entry(section, key, name, v); err != nil {
			return err
		}
	}
	return nil
}

// entry reads one key with its value: a section, one of named things, or a setting.
func (f *fileReader) entry(section, key string, name, v *yaml.Node) error {
	row, ok := f.rows[key]
	switch {
	case namedSections[key].noun != "":
		return f.named(key, v)
	case section == "" && f.sections[key] && v.Kind == yaml.ScalarNode && v.Tag == "!!null":
		return nil // a section with everything commented out
	case section == "" && f.sections[key]:
		return f.mapping(key, v)
	// A key with a dot would be a second way to write a section's key.
	case !ok || strings.Contains(name.Value, "."):
		return fmt.Errorf("%s: unknown key %s; `gateway config show` lists all", f.origin(name), key)
	}
	text, err := f.scalar(row, key, v)
	if err != nil {
		return err
	}
	// Only the value itself is a secret, not the path of a file with it.
	if f.exposed != nil && key == row.key && row.discloses(text) {
		return fmt.Errorf("%s: %s is a secret, and %w, or put the secret into a file of its own and name that with %s%s",
			f.origin(name), key, f.exposed, key, fileSuffix)
	}
	return f.into.add(row.key, assignment{text: text, fromFile: key != row.key, origin: f.origin(name)})
}

// named reads the settings of each named thing of a section.
func (f *fileReader) named(section string, n *yaml.Node) error {
	noun := namedSections[section].noun
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("%s: want names of %ss, each with its settings", f.origin(n), noun)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, v := n.Content[i], n.Content[i+1]
		if seen[name.Value] {
			return fmt.Errorf("%s: %s %s is given twice", f.origin(name), noun, name.Value)
		}
		seen[name.Value] = true
		rows, err := f.namedRows(section, name.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", f.origin(name), err)
		}
		f.know(rows)
		if err := f.mapping(section+"."+name.Value, v); err != nil {
			return err
		}
	}
	return nil
}

// know adds rows that the document may set.
func (f *fileReader) know(rows []setting) {
	for _, row := range rows {
		f.rows[row.key] = row
		if row.secret {
			f.rows[row.key+fileSuffix] = row
		}
	}
}

// scalar is the text of a value. A sequence becomes a list with commas.
func (f *fileReader) scalar(row setting, key string, v *yaml.Node) (string, error) {
	switch {
	case v.Kind == yaml.ScalarNode && v.Tag != "!!null":
		return v.Value, nil
	case v.Kind == yaml.SequenceNode && row.value.kind() == "list":
		var items []string
		for _, item := range v.Content {
			// A comma would make two items of one.
			if item.Kind != yaml.ScalarNode || item.Tag == "!!null" || strings.Contains(item.Value, ",") {
				return "", fmt.Errorf("%s: %s: want a list of words", f.origin(item), key)
			}
			items = append(items, item.Value)
		}
		return strings.Join(items, ","), nil
	}
	return "", fmt.Errorf("%s: %s has no plain value; remove the key or give it one", f.origin(v), key)
}

// readSecretFile reads a secret and removes one line end. It refuses files that
// others than their owner can read or change (see plainfile.Private).
func readSecretFile(path string) (string, error) {
	data, err := plainfile.ReadSecret(path, maxSecretBytes)
	if err != nil {
		return "", err
	}
	// Editors end a file with a line end. Any other white space belongs to the
	// secret.
	secret := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}
