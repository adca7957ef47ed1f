package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// maxDepth bounds the nesting of this package's documents. A policy's
// conditions are the deepest, six levels down.
const maxDepth = 10

// fewMembers is the number of keys up to which duplicates are found by looking
// at each.
const fewMembers = 16

// errJSON is the cause of every refused document.
var errJSON = errors.New("not strict JSON")

// value is a JSON value. Objects keep the order of their keys, which have no
// duplicates.
type value struct {
	kind    byte // 's' string, 'n' number, 'b' boolean, 'z' null, 'l' list, 'o' object
	text    string
	items   []value  // of a list, or an object's values
	members []string // an object's keys
}

// parseJSON parses one value and refuses data after it. It is stricter than
// encoding/json: duplicate keys and bytes that are not UTF-8 are errors,
// because two readers could understand them differently.
func parseJSON(doc []byte) (value, error) {
	// A decoder of tokens alone would accept data after the value.
	if !utf8.Valid(doc) || !json.Valid(doc) {
		return value{}, fmt.Errorf("%w: not JSON in UTF-8", errJSON)
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	return parseValue(d, 0)
}

// parseValue reads one value at a depth.
func parseValue(d *json.Decoder, depth int) (value, error) {
	if depth > maxDepth {
		return value{}, fmt.Errorf("%w: nested too deep", errJSON)
	}
	token, err := d.Token()
	if err != nil {
		return value{}, fmt.Errorf("%w: %w", errJSON, err)
	}
	switch t := token.(type) {
	case string:
		return value{kind: 's', text: t}, nil
	case json.Number:
		return value{kind: 'n', text: t.String()}, nil
	case bool:
		return value{kind: 'b', text: fmt.Sprint(t)}, nil
	case nil:
		return value{kind: 'z'}, nil
	case json.Delim:
		if t == '[' {
			return parseList(d, depth)
		}
		return parseObject(d, depth)
	}
	return value{}, errJSON
}

// parseList reads the rest of a list.
func parseList(d *json.Decoder, depth int) (value, error) {
	v := value{kind: 'l'}
	for d.More() {
		item, err := parseValue(d, depth+1)
		if err != nil {
			return value{}, err
		}
		v.items = append(v.items, item)
	}
	return v, closeValue(d)
}

// parseObject reads the rest of an object and refuses keys that occur twice.
func parseObject(d *json.Decoder, depth int) (value, error) {
	v := value{kind: 'o'}
	var seen map[string]bool // for objects with many members
	for d.More() {
		key, err := parseValue(d, depth+1)
		if err != nil {
			return value{}, err
		}
		if len(v.members) == fewMembers {
			seen = make(map[string]bool)
			for _, name := range v.members {
				seen[name] = true
			}
		}
		if key.kind != 's' || seen[key.text] || seen == nil && slices.Contains(v.members, key.text) {
			return value{}, fmt.Errorf("%w: a key occurs twice", errJSON)
		}
		if seen != nil {
			seen[key.text] = true
		}
		item, err := parseValue(d, depth+1)
		if err != nil {
			return value{}, err
		}
		v.members = append(v.members, key.text)
		v.items = append(v.items, item)
	}
	return v, closeValue(d)
}

// closeValue reads the end of a list or object.
func closeValue(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("%w: %w", errJSON, err)
	}
	return nil
}

// texts returns a string, or the strings of a list. It reports false for
// anything else, and for an empty list.
func (v value) texts() ([]string, bool) {
	if v.kind == 's' {
		return []string{v.text}, true
	}
	if v.kind != 'l' || len(v.items) == 0 {
		return nil, false
	}
	var all []string
	for _, item := range v.items {
		if item.kind != 's' {
			return nil, false
		}
		all = append(all, item.text)
	}
	return all, true
}

// scalars is texts that also takes numbers and booleans.
func (v value) scalars() ([]string, bool) {
	switch v.kind {
	case 's', 'n', 'b':
		return []string{v.text}, true
	case 'l':
		var all []string
		for _, item := range v.items {
			if item.kind != 's' && item.kind != 'n' && item.kind != 'b' {
				return nil, false
			}
			all = append(all, item.text)
		}
		return all, len(all) > 0
	}
	return nil, false
}
