package api

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// decodeXML reads a request's document into v, a pointer to a struct whose
// fields are named by `xml:"Name"` tags: strings, integers, booleans, structs,
// embedded structs, and pointers to and slices of those. An int has 32 bits, as
// the Integer of S3's schema. A slice's tag `max` bounds the number of its
// elements. root is the name of the outermost element; namespaces and
// attributes are ignored.
//
// It is stricter than encoding/xml, so that nothing in a client's document is
// ignored: an unknown element, a repeated one where v holds one, a DOCTYPE, a
// processing instruction, text between elements and anything after the end are
// MalformedXML. It stops at the first error. One element too many is such an
// error, see tooMany. The time depends on len(data) alone, the memory on the
// size of v.
func decodeXML(data []byte, root string, v any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return s3err.MissingRequestBody
	}
	s, err := newScanner(data)
	if err == nil {
		d := decoder{scanner: s}
		err = d.document(root, reflect.ValueOf(v).Elem())
	}
	if err != nil {
		return s3err.Wrap(s3err.MalformedXML, err)
	}
	return nil
}

// tooManyError: a document has more of an element than allowed.
type tooManyError struct{ element string }

func (e *tooManyError) Error() string { return "too many elements " + e.element }

// tooMany reports whether a document was refused for the number of an element.
func tooMany(err error, element string) bool {
	var e *tooManyError
	return errors.As(err, &e) && e.element == element
}

// sound is implemented by elements with required children. It is called at the
// element's end, so that a document of nothing but empty elements is refused at
// the first.
type sound interface{ sound() bool }

// decoder fills Go values from a scanner's markup.
type decoder struct {
	*scanner
	// Text of the element being read.
	scratch []byte
}

// document reads the root element and demands that nothing follows.
func (d *decoder) document(root string, v reflect.Value) error {
	if err := d.declaration(); err != nil {
		return err
	}
	if err := d.between(); err != nil {
		return err
	}
	tag, local, empty, err := d.open()
	switch {
	case err != nil:
		return err
	case string(local) != root:
		return fmt.Errorf("element %.64q at the top", local)
	case !empty:
		if err := d.children(planOf(v.Type()), v, tag); err != nil {
			return err
		}
	}
	if err := d.between(); err != nil {
		return err
	}
	if !d.ended() {
		return errUnexpected
	}
	return nil
}

// children reads elements into the fields of the struct v, up to its end tag.
func (d *decoder) children(p *plan, v reflect.Value, tag []byte) error {
	var seen uint64
	for {
		if err := d.between(); err != nil {
			return err
		}
		if d.skip("</") {
			return d.close(tag)
		}
		tag, local, empty, err := d.open()
		if err != nil {
			return err
		}
		i := p.find(local)
		if i < 0 {
			return fmt.Errorf("unknown element %.64q", local)
		}
		f := &p.fields[i]
		if seen&(1<<i) != 0 && f.max == 0 {
			return fmt.Errorf("element %q is repeated", f.name)
		}
		seen |= 1 << i
		if err := d.field(f, v.FieldByIndex(f.index), tag, empty); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
}

// field reads the element of a field into v. Its start tag was read.
func (d *decoder) field(f *planField, v reflect.Value, tag []byte, empty bool) error {
	if f.max > 0 {
		n := v.Len()
		if n == f.max {
			return &tooManyError{f.name}
		}
		if n == v.Cap() {
			v.Grow(d.more(n, f.max))
		}
		v.SetLen(n + 1)
		v = v.Index(n)
		v.SetZero()
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if f.children == nil {
		var err error
		d.scratch = d.scratch[:0]
		if !empty {
			if d.scratch, err = d.text(d.scratch, tag); err != nil {
				return err
			}
		}
		return setScalar(v, string(d.scratch))
	}
	if !empty {
		if err := d.children(f.children, v, tag); err != nil {
			return err
		}
	}
	if s, ok := v.Addr().Interface().(sound); ok && !s.sound() {
		return errors.New("a required element is missing")
	}
	return nil
}

// setScalar parses the text of an element without children.
func setScalar(f reflect.Value, text string) error {
	switch f.Kind() {
	case reflect.String:
		f.SetString(text)
	case reflect.Int, reflect.Int64:
		n, ok := strict.Integer(strict.InElement(text))
		if !ok || f.Kind() == reflect.Int && int64(int32(n)) != n {
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

// more returns how many elements to make room for besides the n that were read:
// a few at first, then an eighth more than the rest of the document holds if it
// goes on like this. A list that grows again and again would cost several times
// its size.
func (d *decoder) more(n, most int) int {
	if n < fewElements {
		return min(max(1, n), most-n)
	}
	return min(n*(len(d.data)-d.at)/d.at*9/8+fewElements, most-n)
}

// fewElements is the number of elements from which the length of the others is
// estimated.
const fewElements = 32

// plan tells how to read the elements of a struct. It is made once for each
// type, because reflection is slow.
type plan struct{ fields []planField }

// planField tells how to read one field.
type planField struct {
	name     string
	index    []int // of reflect.Value.FieldByIndex
	max      int   // the allowed number; 0: one, and the field is no slice
	children *plan // nil: text
}

// maxPlanFields bounds the children of different names of one element, which
// decoder.children counts in a uint64.
const maxPlanFields = 64

var plans sync.Map // of reflect.Type: *plan

// planOf returns the plan of a type. It panics for an unsupported type, which
// every test of its operation would show.
func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{}
	p.add(t, nil)
	if len(p.fields) > maxPlanFields {
		panic("decodeXML: too many fields in " + t.String())
	}
	plans.Store(t, p)
	return p
}

// add adds the fields of t, which is at the index at. Fields of embedded
// structs count as the struct's own.
func (p *plan) add(t reflect.Type, at []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(slices.Clone(at), i)
		if f.Anonymous {
			p.add(f.Type, index)
			continue
		}
		name, _ := tagOf(f)
		if name == "" {
			continue
		}
		one := planField{name: name, index: index}
		of := f.Type
		if of.Kind() == reflect.Slice {
			of = of.Elem()
			most, _ := strict.Number(f.Tag.Get("max"), math.MaxInt32)
			if one.max = int(most); most == 0 {
				panic("decodeXML: " + t.String() + "." + f.Name + " has no max tag")
			}
		}
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if of.Kind() == reflect.Struct {
			one.children = planOf(of)
		}
		p.fields = append(p.fields, one)
	}
}

// find returns the index of the field for an element, or -1.
func (p *plan) find(name []byte) int {
	for i := range p.fields {
		if p.fields[i].name == string(name) {
			return i
		}
	}
	return -1
}

// tagOf returns the element name of a field; "" when the field is no element.
func tagOf(f reflect.StructField) (name string, omitEmpty bool) {
	name, options, _ := strings.Cut(f.Tag.Get("xml"), ",")
	if f.Name == "XMLName" || name == "-" {
		return "", false
	}
	if strings.Contains(name, ">") || options != "" && options != "omitempty" {
		panic("xml: the tag " + f.Tag.Get("xml") + " is not supported")
	}
	return name, options == "omitempty"
}

const hexDigits = "0123456789ABCDEF"

// appendText writes s as character data. Characters that XML 1.0 does not
// allow, such as most control characters, become character references
// nevertheless. S3 does the same, which is why encoding-type=url exists.
func appendText(b []byte, s string) []byte { return appendEscaped(b, s, "&quot;") }

// appendEscaped does the same with quotation marks replaced by quote. XML
// requires their escaping in attributes only.
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
