package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// errJSON is the error of every refused document.
var errJSON = errors.New("not a single JSON value of the allowed form")

// JSON refuses a document that is not one JSON value in UTF-8, or has data
// after it. It refuses nesting deeper than depth, more than values values, and
// two members of one object whose names differ at most in case: readers
// disagree about which of them counts.
func JSON(document []byte, depth, values int) error {
	if !utf8.Valid(document) {
		return errJSON
	}
	d := json.NewDecoder(bytes.NewReader(document))
	// Numbers are counted and never converted, so that none is too large.
	d.UseNumber()
	r := jsonReader{d, values}
	if err := r.value(depth); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errJSON
	}
	return nil
}

// errTrailing: a second value could be read by another reader.
var errTrailing = errors.New("there is data after the document")

// Decode decodes one JSON value. An unknown field is an error: a document that
// is understood in part must not be acted upon.
func Decode[T any](document []byte) (v T, err error) {
	d := json.NewDecoder(bytes.NewReader(document))
	d.DisallowUnknownFields()
	if err = d.Decode(&v); err == nil {
		if _, err = d.Token(); err == io.EOF {
			return v, nil
		} else if err == nil {
			err = errTrailing
		}
	}
	return v, err
}

// jsonReader reads values and counts them down.
type jsonReader struct {
	*json.Decoder
	left int
}

// value reads one value, with everything in it.
func (r *jsonReader) value(depth int) error {
	token, err := r.Token()
	if r.left--; err != nil || r.left < 0 {
		return errJSON
	}
	opens, is := token.(json.Delim)
	if !is {
		return nil
	}
	if depth == 0 {
		return errJSON
	}
	seen := make(map[string]bool)
	for r.More() {
		if opens == '{' {
			name, err := r.Token()
			if err != nil {
				return errJSON
			}
			folded := strings.ToLower(name.(string))
			if seen[folded] {
				return errJSON
			}
			seen[folded] = true
		}
		if err := r.value(depth - 1); err != nil {
			return err
		}
	}
	if _, err := r.Token(); err != nil {
		return errJSON
	}
	return nil
}
