package api

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// decodeXML reads a request's document into v, a pointer to a struct whose
// fields are named by `xml:"Name"` tags: strings, integers, booleans, structs,
// embedded structs, and pointers to and slices of those. root is the name of
// the outermost element; namespaces and attributes are ignored.
//
// It is stricter than encoding/xml: an element that is unknown, or repeated
// where v holds one, a DOCTYPE, a processing instruction, text between elements
// and anything after the end are MalformedXML. Nothing that a client asked for
// is dropped in silence. Time and memory grow with len(data) alone.
func decodeXML(data []byte, root string, v any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return s3err.MissingRequestBody
	}
	d := decoder{xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))}
	if err := d.document(root, reflect.ValueOf(v).Elem()); err != nil {
		return s3err.Wrap(s3err.MalformedXML, err)
	}
	return nil
}

type decoder struct{ *xml.Decoder }

var errUnexpected = errors.New("unexpected markup")

func (d decoder) document(root string, v reflect.Value) error {
	seen := false
	for first := true; ; first = false {
		t, err := d.Token()
		if err == io.EOF && seen {
			return nil
		} else if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if seen || t.Name.Local != root {
				return fmt.Errorf("element %q at the top", t.Name.Local)
			}
			seen = true
			if err := d.children(v); err != nil {
				return err
			}
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return errUnexpected
			}
		case xml.ProcInst:
			if !first || t.Target != "xml" {
				return errUnexpected
			}
		case xml.Comment:
		default:
			return errUnexpected
		}
	}
}

// children reads elements into the fields of the struct v, up to its end tag.
func (d decoder) children(v reflect.Value) error {
	seen := make(map[string]bool, v.NumField())
	for {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.EndElement:
			return nil
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return errUnexpected
			}
		case xml.Comment:
		case xml.StartElement:
			f := fieldNamed(v, t.Name.Local)
			if !f.IsValid() {
				return fmt.Errorf("unknown element %q", t.Name.Local)
			}
			if seen[t.Name.Local] && f.Kind() != reflect.Slice {
				return fmt.Errorf("element %q is repeated", t.Name.Local)
			}
			seen[t.Name.Local] = true
			if err := d.element(f); err != nil {
				return fmt.Errorf("%s: %w", t.Name.Local, err)
			}
		default:
			return errUnexpected
		}
	}
}

func (d decoder) element(f reflect.Value) error {
	switch f.Kind() {
	case reflect.Slice:
		one := reflect.New(f.Type().Elem()).Elem()
		if err := d.element(one); err != nil {
			return err
		}
		f.Set(reflect.Append(f, one))
		return nil
	case reflect.Pointer:
		f.Set(reflect.New(f.Type().Elem()))
		return d.element(f.Elem())
	case reflect.Struct:
		return d.children(f)
	}
	text, err := d.text()
	if err != nil {
		return err
	}
	return setScalar(f, text)
}

// text reads an element that holds nothing but text.
func (d decoder) text() (string, error) {
	var b strings.Builder
	for {
		t, err := d.Token()
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.EndElement:
			return b.String(), nil
		case xml.CharData:
			b.Write(t)
		case xml.Comment:
		default:
			return "", errUnexpected
		}
	}
}

func setScalar(f reflect.Value, text string) error {
	switch f.Kind() {
	case reflect.String:
		f.SetString(text)
	case reflect.Int, reflect.Int64:
		n, ok := strict.Integer(strict.InElement(text))
		if !ok || f.OverflowInt(n) {
			return errors.New("not a number")
		}
		f.SetInt(n)
	case reflect.Bool:
		switch strict.InElement(text) {
		case "true", "TRUE", "True", "1":
			f.SetBool(true)
		case "false", "FALSE", "False", "0":
			f.SetBool(false)
		default:
			return errors.New("not a boolean")
		}
	default:
		panic("decodeXML: no field of kind " + f.Kind().String())
	}
	return nil
}

// fieldNamed finds the field for an element; the zero Value if there is none.
func fieldNamed(v reflect.Value, name string) reflect.Value {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			if in := fieldNamed(v.Field(i), name); in.IsValid() {
				return in
			}
		} else if tag, _ := tagOf(f); tag == name && tag != "" {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

// tagOf is the element name of a field, empty when the field is none.
func tagOf(f reflect.StructField) (name string, omitEmpty bool) {
	name, options, _ := strings.Cut(f.Tag.Get("xml"), ",")
	if f.Name == "XMLName" || name == "-" {
		return "", false
	}
	if strings.Contains(name, ">") || options != "" && options != "omitempty" {
		panic("xml: the tag " + f.Tag.Get("xml") + " is not known here")
	}
	return name, options == "omitempty"
}

const hexDigits = "0123456789ABCDEF"

// appendText writes s as character data. What XML 1.0 cannot carry, such as
// most control characters, is written as a character reference all the same:
// that is what S3 does, and the reason for encoding-type=url.
func appendText(b []byte, s string) []byte { return appendEscaped(b, s, "&quot;") }

// appendEscaped does that with quotation marks written as quote. XML needs them
// escaped in attributes only.
func appendEscaped(b []byte, s, quote string) []byte {
	last := 0
	for i := 0; i < len(s); {
		var esc string
		c, n := rune(s[i]), 1
		switch {
		case c >= utf8.RuneSelf:
			c, n = utf8.DecodeRuneInString(s[i:])
			switch {
			case c == utf8.RuneError && n == 1:
				esc = "\uFFFD"
			case c == 0xFFFE, c == 0xFFFF:
				esc = "&#x" + strings.ToUpper(strconv.FormatInt(int64(c), 16)) + ";"
			}
		case c == '&':
			esc = "&amp;"
		case c == '<':
			esc = "&lt;"
		case c == '>':
			esc = "&gt;"
		case c == '"':
			esc = quote
		case c < 0x10:
			esc = "&#x" + hexDigits[c:c+1] + ";"
		case c < ' ':
			esc = "&#x1" + hexDigits[c-0x10:c-0x10+1] + ";"
		}
		if esc != "" {
			b = append(append(b, s[last:i]...), esc...)
			last = i + n
		}
		i += n
	}
	return append(b, s[last:]...)
}
