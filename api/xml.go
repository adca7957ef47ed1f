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
// embedded structs, and pointers to and slices of those. An int has 32 bits, as the
// Integer of S3's schema. A slice says in a tag `max`
// how many of the element there may be. root is the name of the outermost element;
// namespaces and attributes are ignored.
//
// It is stricter than encoding/xml: an element that is unknown, or repeated
// where v holds one, a DOCTYPE, a processing instruction, text between elements
// and anything after the end are MalformedXML. Nothing that a client asked for
// is dropped in silence. It reads no further than the first thing that is wrong, of
// which one element too many is one, see tooMany. Time grows with len(data) alone,
// memory with what v takes of it.
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

// tooManyError is that of a document with more of an element than there may be.
type tooManyError struct{ element string }

func (e *tooManyError) Error() string { return "too many elements " + e.element }

// tooMany reports whether a document was refused for how many of the element it has.
func tooMany(err error, element string) bool {
	var e *tooManyError
	return errors.As(err, &e) && e.element == element
}

// sound is of an element that cannot do without some of its own: it is asked at the
// element's end, so that a document of nothing but empty ones is not read further.
type sound interface{ sound() bool }

type decoder struct {
	*scanner
	scratch []byte // text of the element that is read
}

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

// field reads the element of a field, whose start tag was read, into v.
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
		return errors.New("an element lacks what it cannot do without")
	}
	return nil
}

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

// more is for how many elements besides the n that were read room is made: some at
// first, then an eighth more than the rest of the document holds if it goes on like
// this: a list that grows again and again costs several times what it holds.
func (d *decoder) more(n, most int) int {
	if n < fewElements {
		return min(max(1, n), most-n)
	}
	return min(n*(len(d.data)-d.at)/d.at*9/8+fewElements, most-n)
}

// fewElements is how many of a list say how long the others will be.
const fewElements = 32

// plan is how the elements of a struct are read.
type plan struct{ fields []planField }

type planField struct {
	name     string
	index    []int // of reflect.Value.FieldByIndex
	max      int   // how many there may be; 0: one, and the field is no slice
	children *plan // nil: text
}

// maxPlanFields is how many elements of different names one may hold.
const maxPlanFields = 64

var plans sync.Map // of reflect.Type: *plan

// planOf is the plan of a type. It panics for one that cannot be read.
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
				panic("decodeXML: " + t.String() + "." + f.Name + " does not say how many there may be")
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

// find is the position of the field for an element, -1 if there is none.
func (p *plan) find(name []byte) int {
	for i := range p.fields {
		if p.fields[i].name == string(name) {
			return i
		}
	}
	return -1
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
