package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// errJSON is why a document is refused.
var errJSON = errors.New("not one JSON value of the form that is taken")

// JSON refuses a document that is not one JSON value in UTF-8 with nothing behind it, that
// is nested deeper than depth or has more than values values, or that has two members in
// one object whose names differ in case at most: of those, readers take different ones.
func JSON(document []byte, depth, values int) error {
	if !utf8.Valid(document) {
		return errJSON
	}
	d := json.NewDecoder(bytes.NewReader(document))
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

var errTrailing = errors.New("something follows the document")

// Decode reads one JSON value. A name that this release does not know is an error: a
// document that is half understood must not be acted upon.
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

// jsonReader reads values, of which it takes so many more.
type jsonReader struct {
	*json.Decoder
	left int
}

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
