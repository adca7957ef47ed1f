package api

import (
	"reflect"
	"strconv"
	"strings"
	"time"
)

const (
	xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	// xmlNamespace is the namespace of every S3 document except errors.
	xmlNamespace = "http://s3.amazonaws.com/doc/2006-03-01/"
	// timeForm is the format of times in documents, in UTC. Times of events
	// have whole seconds, see appendTime.
	timeForm = "2006-01-02T15:04:05.000Z"
)

// document is a reply that writes itself. Large documents do, because
// reflection is slow.
type document interface {
	// AppendXML appends the root element with its namespace, without the header.
	AppendXML(b []byte) []byte
}

// appendDocument writes the XML header and v: a document, or a struct (or a
// pointer to one) with an XMLName field, in the form that decodeXML reads.
func appendDocument(b []byte, v any) []byte {
	b = append(b, xmlHeader...)
	if d, ok := v.(document); ok {
		return d.AppendXML(b)
	}
	rv := reflect.Indirect(reflect.ValueOf(v))
	name, ok := rv.Type().FieldByName("XMLName")
	if !ok {
		panic("xml: a document without XMLName: " + rv.Type().String())
	}
	root, _, _ := strings.Cut(name.Tag.Get("xml"), ",")
	if i := strings.LastIndexByte(root, ' '); i >= 0 {
		root = root[i+1:]
	}
	b = openRoot(b, root)
	b = appendFields(b, rv)
	return closeTag(b, root)
}

// openRoot writes the start tag of a document's root.
func openRoot(b []byte, name string) []byte {
	return append(append(append(b, '<'), name...), ` xmlns="`+xmlNamespace+`">`...)
}

// openTag writes a start tag. Names are constants and are not escaped.
func openTag(b []byte, name string) []byte {
	return append(append(append(b, '<'), name...), '>')
}

func closeTag(b []byte, name string) []byte {
	return append(append(append(b, "</"...), name...), '>')
}

// appendElement writes an element with text.
func appendElement(b []byte, name, text string) []byte {
	return closeTag(appendText(openTag(b, name), text), name)
}

// appendTime writes an element with the time of an event in whole seconds, as
// S3 does and as headers have it. Clients that compare a listing's time with
// that of a HEAD would otherwise take the object for another.
func appendTime(b []byte, name string, t time.Time) []byte {
	return closeTag(t.UTC().Truncate(time.Second).AppendFormat(openTag(b, name), timeForm), name)
}

// appendInt writes an element with a number.
func appendInt(b []byte, name string, n int64) []byte {
	return closeTag(strconv.AppendInt(openTag(b, name), n, 10), name)
}

// appendBool writes an element with a truth value.
func appendBool(b []byte, name string, v bool) []byte {
	return closeTag(strconv.AppendBool(openTag(b, name), v), name)
}

// appendFields writes the fields of a struct in their order.
func appendFields(b []byte, v reflect.Value) []byte {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			b = appendFields(b, v.Field(i))
			continue
		}
		if name, omit := tagOf(f); name != "" && !(omit && v.Field(i).IsZero()) {
			b = appendValue(b, name, v.Field(i))
		}
	}
	return b
}

// appendValue writes one element; a slice is an element for each of its values.
func appendValue(b []byte, name string, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			b = appendValue(b, name, v.Index(i))
		}
		return b
	case reflect.Pointer:
		if v.IsNil() {
			return b
		}
		return appendValue(b, name, v.Elem())
	case reflect.String:
		return appendElement(b, name, v.String())
	case reflect.Int, reflect.Int64:
		return appendInt(b, name, v.Int())
	case reflect.Bool:
		return appendBool(b, name, v.Bool())
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return appendTime(b, name, t)
		}
		return closeTag(appendFields(openTag(b, name), v), name)
	}
	panic("xml: no element of kind " + v.Kind().String())
}

// decimal is n as text, for fields of errors.
func decimal[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }

// encodeKey encodes a key or prefix for encoding-type=url: like a form, but
// with slashes and asterisks kept.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
func encodeKey(s string) string {
	b := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			c == '-', c == '.', c == '_', c == '*', c == '/':
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}
