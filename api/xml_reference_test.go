package api

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/s3err"
)

// standardReader parses a document with the standard library. It must accept
// whatever decodeXML accepts, with the same result.
type standardReader struct{ *xml.Decoder }

func decodeByReference(data []byte, root string, v any) error {
	d := standardReader{xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))}
	for seen := false; ; {
		t, err := d.Token()
		if err == io.EOF && seen {
			return nil
		} else if err != nil {
			return err
		}
		if start, ok := t.(xml.StartElement); ok {
			if seen || start.Name.Local != root {
				return fmt.Errorf("element %q at the top", start.Name.Local)
			}
			seen = true
			if err := d.children(reflect.ValueOf(v).Elem()); err != nil {
				return err
			}
		}
	}
}

func (d standardReader) children(v reflect.Value) error {
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
		case xml.StartElement:
			i := planOf(v.Type()).find([]byte(t.Name.Local))
			if i < 0 {
				return fmt.Errorf("unknown element %q", t.Name.Local)
			}
			if err := d.element(v.FieldByIndex(planOf(v.Type()).fields[i].index)); err != nil {
				return err
			}
		}
	}
}

func (d standardReader) element(f reflect.Value) error {
	switch f.Kind() {
	case reflect.Slice:
		one := reflect.New(f.Type().Elem()).Elem()
		err := d.element(one)
		f.Set(reflect.Append(f, one))
		return err
	case reflect.Pointer:
		f.Set(reflect.New(f.Type().Elem()))
		return d.element(f.Elem())
	case reflect.Struct:
		return d.children(f)
	}
	var b strings.Builder
	for {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.EndElement:
			return setScalar(f, b.String())
		case xml.CharData:
			b.Write(t)
		}
	}
}

// FuzzDecodeXML checks that decodeXML accepts nothing that encoding/xml refuses
// or reads differently, that accepted documents survive being written, and that
// every refusal has a code.
func FuzzDecodeXML(f *testing.F) {
	for _, s := range []string{
		`<Doc><Name>a</Name></Doc>`, `<!DOCTYPE a><Doc/>`, `<Doc><Item><Key>a</Key></Item><Count>1</Count></Doc>`, `<Doc/>x`,
		"<?xml version='1.0' encoding=\"utf-8\"?><a:Doc xmlns:a='b&lt;' ><a:Name>\r\n]] &#xD;\r<![CDATA[]]]]>&#x41;<!-- --></a:Name ></a:Doc>\n",
		`<Doc><Name>&#0;</Name></Doc>`, `<Doc><Name>]]></Name></Doc>`, `<Doc a="1" a="2"/>`, `<Doc a=1/>`, `<Doc><!-- -- --></Doc>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v, other, again testDocument
		if err := decodeXML(data, "Doc", &v); err != nil {
			if c := s3err.From(err).Code; c != s3err.MalformedXML && c != s3err.MissingRequestBody {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		if err := decodeByReference(data, "Doc", &other); err != nil || !reflect.DeepEqual(v, other) {
			t.Fatalf("%q: %+v, by encoding/xml %+v (%v)", data, v, other, err)
		}
		if err := decodeXML(appendDocument(nil, v), "Doc", &again); err != nil && len(data) < maxText/8 {
			t.Fatalf("%q was written as something unreadable: %v", data, err)
		} else if err == nil && (v.Name != again.Name || v.Count != again.Count || len(v.Items) != len(again.Items)) {
			t.Fatalf("%q: %+v came back as %+v", data, v, again)
		}
	})
}
