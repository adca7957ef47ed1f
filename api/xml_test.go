package api

import (
	"encoding/xml"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/s3err"
)

type embedded struct {
	Sum string `xml:"Sum,omitempty"`
}

type testDocument struct {
	XMLName xml.Name `xml:"Doc"`
	Name    string   `xml:"Name,omitempty"`
	Count   int      `xml:"Count"`
	Quiet   bool     `xml:"Quiet,omitempty"`
	Size    *int64   `xml:"Size"`
	embedded
	Items []struct {
		Key string `xml:"Key"`
	} `xml:"Item" max:"20"`
}

func TestDecodeXML(t *testing.T) {
	for _, c := range []struct {
		name, doc string
		err       error
	}{
		{"plain", `<Doc><Name>a</Name><Item><Key>x</Key></Item><Item><Key>y</Key></Item></Doc>`, nil},
		{"namespace", `<Doc xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>a</Name></Doc>`, nil},
		{"another namespace, prefix and attributes", `<s:Doc xmlns:s="urn:x" a="1"><s:Name b="2">a</s:Name></s:Doc>`, nil},
		{"declaration, byte order mark, comments",
			"\xef\xbb\xbf" + `<?xml version="1.0" encoding="UTF-8"?> <!-- c --><Doc> <!-- d --> <Name>a<!-- e -->b</Name></Doc><!-- f --> ` + "\n", nil},
		{"empty element", `<Doc/>`, nil},
		{"numbers with blanks", `<Doc><Count> 5 </Count><Quiet> true </Quiet><Size>9</Size></Doc>`, nil},
		{"single quotes, references in attributes", `<Doc a='"&lt;&#65;' b = "'"><Name>a</Name></Doc >`, nil},
		{"sixteen attributes", `<Doc` + attributes(maxAttributes) + `/>`, nil},
		{"as many items as may be", `<Doc>` + strings.Repeat("<Item/>", 20) + `</Doc>`, nil},
		{"as long a text as may be", `<Doc><Name>` + strings.Repeat("é", maxText/2) + `</Name></Doc>`, nil},
		{"character data section", `<Doc><Name><![CDATA[<a>&]]></Name></Doc>`, nil},

		{"seventeen attributes", `<Doc` + attributes(maxAttributes+1) + `/>`, s3err.MalformedXML},
		{"repeated attribute", `<Doc a="1" a="1"/>`, s3err.MalformedXML},
		{"attributes without a blank between", `<Doc a="1"b="2"/>`, s3err.MalformedXML},
		{"attribute without quotes", `<Doc a=1/>`, s3err.MalformedXML},
		{"attribute without a value", `<Doc a/>`, s3err.MalformedXML},
		{"markup in an attribute", `<Doc a="<"/>`, s3err.MalformedXML},
		{"unknown entity in an attribute", `<Doc a="&b;"/>`, s3err.MalformedXML},
		{"attribute of an end tag", `<Doc></Doc a="1">`, s3err.MalformedXML},
		{"one item too many", `<Doc>` + strings.Repeat("<Item/>", 21) + `</Doc>`, s3err.MalformedXML},
		{"text too long", `<Doc><Name>` + strings.Repeat("a", maxText+1) + `</Name></Doc>`, s3err.MalformedXML},
		{"text too long, in parts", `<Doc><Name>` + strings.Repeat("a<!-- -->", maxText+1) + `</Name></Doc>`, s3err.MalformedXML},
		{"end of a section in text", `<Doc><Name>]]></Name></Doc>`, s3err.MalformedXML},
		{"section between elements", `<Doc><![CDATA[ ]]></Doc>`, s3err.MalformedXML},
		{"two dashes in a comment", `<Doc><!-- a--b --></Doc>`, s3err.MalformedXML},
		{"open comment", `<Doc/><!-- a`, s3err.MalformedXML},
		{"reference to nothing", `<Doc><Name>&#0;</Name></Doc>`, s3err.MalformedXML},
		{"reference to half a character", `<Doc><Name>&#xD800;</Name></Doc>`, s3err.MalformedXML},
		{"reference beyond the last character", `<Doc><Name>&#x110000;</Name></Doc>`, s3err.MalformedXML},
		{"reference without an end", `<Doc><Name>&lt</Name></Doc>`, s3err.MalformedXML},
		{"control character", "<Doc><Name>\x01</Name></Doc>", s3err.MalformedXML},
		{"noncharacter", "<Doc><Name>\uFFFE</Name></Doc>", s3err.MalformedXML},
		{"UTF-16", "\xff\xfe<\x00D\x00o\x00c\x00/\x00>\x00", s3err.MalformedXML},
		{"name of three parts", `<a:b:Doc/>`, s3err.MalformedXML},
		{"blank before a name", `< Doc/>`, s3err.MalformedXML},
		{"another version", `<?xml version="1.1"?><Doc/>`, s3err.MalformedXML},

		{"nothing", ``, s3err.MissingRequestBody},
		{"blanks", " \n", s3err.MissingRequestBody},
		{"another root", `<Dog></Dog>`, s3err.MalformedXML},
		{"doctype", `<!DOCTYPE Doc [<!ENTITY a "b">]><Doc><Name>&a;</Name></Doc>`, s3err.MalformedXML},
		{"unknown entity", `<Doc><Name>&a;</Name></Doc>`, s3err.MalformedXML},
		{"processing instruction", `<?php x?><Doc/>`, s3err.MalformedXML},
		{"late declaration", `<Doc/><?xml version="1.0"?>`, s3err.MalformedXML},
		{"inner processing instruction", `<Doc><?x y?></Doc>`, s3err.MalformedXML},
		{"another encoding", `<?xml version="1.0" encoding="UTF-16"?><Doc/>`, s3err.MalformedXML},
		{"trailing element", `<Doc/><Doc/>`, s3err.MalformedXML},
		{"trailing text", `<Doc/>x`, s3err.MalformedXML},
		{"leading text", `x<Doc/>`, s3err.MalformedXML},
		{"text between elements", `<Doc>x<Name>a</Name></Doc>`, s3err.MalformedXML},
		{"repeated", `<Doc><Name>a</Name><Name>b</Name></Doc>`, s3err.MalformedXML},
		{"repeated within an item", `<Doc><Item><Key>a</Key><Key>b</Key></Item></Doc>`, s3err.MalformedXML},
		{"repeated pointer", `<Doc><Size>1</Size><Size>1</Size></Doc>`, s3err.MalformedXML},
		{"repeated embedded", `<Doc><Sum>1</Sum><Sum>1</Sum></Doc>`, s3err.MalformedXML},
		{"unknown element", `<Doc><Nome>a</Nome></Doc>`, s3err.MalformedXML},
		{"the name of the field for bookkeeping", `<Doc><XMLName>a</XMLName></Doc>`, s3err.MalformedXML},
		{"element within text", `<Doc><Name>a<b/></Name></Doc>`, s3err.MalformedXML},
		{"unclosed", `<Doc><Name>a</Name>`, s3err.MalformedXML},
		{"crossed", `<Doc><Item><Key></Item></Key></Doc>`, s3err.MalformedXML},
		{"no number", `<Doc><Count>x</Count></Doc>`, s3err.MalformedXML},
		{"too large a number", `<Doc><Count>99999999999999999999</Count></Doc>`, s3err.MalformedXML},
		{"no boolean", `<Doc><Quiet>yes</Quiet></Doc>`, s3err.MalformedXML},
		{"not UTF-8", "<Doc><Name>\xff</Name></Doc>", s3err.MalformedXML},
		{"deep", strings.Repeat("<Doc>", 10000), s3err.MalformedXML},
	} {
		var v testDocument
		if err := decodeXML([]byte(c.doc), "Doc", &v); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
	var v testDocument
	if err := decodeXML([]byte(`<Doc><Name> a&lt;b </Name><Count>7</Count><Quiet>true</Quiet><Size>8</Size><Sum>s</Sum><Item><Key>x</Key></Item><Item><Key>y</Key></Item></Doc>`), "Doc", &v); err != nil {
		t.Fatal(err)
	}
	if v.Name != " a<b " || v.Count != 7 || !v.Quiet || *v.Size != 8 || v.Sum != "s" || len(v.Items) != 2 || v.Items[1].Key != "y" {
		t.Errorf("decoded %+v", v)
	}
}

// attributes returns n attributes of a tag.
func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strconv.Itoa(i) + `="1"`)
	}
	return b.String()
}

// A document's largest numbers of elements are the limits that handlers and
// messages name.
func TestDocumentLimits(t *testing.T) {
	for _, c := range []struct {
		document any
		path     string
		max      int
	}{
		{completeDocument{}, "Part", maxPartNumber},
		{deleteDocument{}, "Object", maxDeletes},
		{corsRules{}, "CORSRule", maxCORSRules},
		{website{}, "RoutingRules/RoutingRule", maxRoutingRules},
		{taggingDocument{}, "TagSet/Tag", maxBucketTags},
		{bucketConfiguration{}, "Tags/Tag", maxBucketTags},
		{lifecycleDocument{}, "Rule/Filter/And/Tag", maxBucketTags},
		{aclDocument{}, "AccessControlList/Grant", access.MaxGrants},
		{inventoryDocument{}, "OptionalFields/Field", len(inventoryFields)},
	} {
		p, most := planOf(reflect.TypeOf(c.document)), 0
		for name := range strings.SplitSeq(c.path, "/") {
			f := p.fields[p.find([]byte(name))]
			p, most = f.children, f.max
		}
		if most != c.max {
			t.Errorf("%T holds up to %d of %s, want %d", c.document, most, c.path, c.max)
		}
	}
}

func TestAppendDocument(t *testing.T) {
	size := int64(3)
	type result struct {
		XMLName xml.Name  `xml:"Result"`
		When    time.Time `xml:"When"`
		None    *int64    `xml:"None"`
		Size    *int64    `xml:"Size"`
		Empty   string    `xml:"Empty,omitempty"`
		Text    string    `xml:"Text"`
		embedded
		List []string `xml:"Entry"`
	}
	got := string(appendDocument(nil, &result{
		When: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.FixedZone("", 3600)), Size: &size, Text: "a<\x01\"", embedded: embedded{"s"}, List: []string{"1", "2"},
	}))
	const want = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<Result xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><When>2026-01-02T02:04:05.000Z</When><Size>3</Size>` +
		`<Text>a&lt;&#x1;&quot;</Text><Sum>s</Sum><Entry>1</Entry><Entry>2</Entry></Result>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAppendText(t *testing.T) {
	for in, want := range map[string]string{
		"":                  "",
		"plain/ü€😀":         "plain/ü€😀",
		`<&>"'`:             `&lt;&amp;&gt;&quot;'`,
		"\x00\x01\t\n\r":    "&#x0;&#x1;&#x9;&#xA;&#xD;",
		"\x10\x1f\x7f":      "&#x10;&#x1F;\x7f",
		"a\uFFFEb\uFFFFc":   "a&#xFFFE;b&#xFFFF;c",
		"bad\xffutf8\uFFFD": "bad\uFFFDutf8\uFFFD",
	} {
		if got := string(appendText(nil, in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// FuzzAppendText checks that text which XML can represent comes back unchanged,
// and that nothing escapes from its element.
func FuzzAppendText(f *testing.F) {
	for _, s := range []string{"a", "<b>", "&#x1;", "\x01", "]]>", "\xff", "\r\n", "\uFFFE"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := appendText(nil, s)
		if strings.ContainsAny(string(out), "<>\"\r\n") {
			t.Fatalf("%q became %q", s, out)
		}
		carried := utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool {
			return c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0xFFFE || c == 0xFFFF
		})
		if !carried {
			return
		}
		var v testDocument
		if err := decodeXML([]byte("<Doc><Name>"+string(out)+"</Name></Doc>"), "Doc", &v); err != nil || v.Name != s {
			t.Fatalf("%q came back as %q (%v)", s, v.Name, err)
		}
	})
}

func TestEncodeKey(t *testing.T) {
	for in, want := range map[string]string{
		"":            "",
		"a/b-c_d.e*f": "a/b-c_d.e*f",
		"p a n":       "p+a+n",
		"a+b%c&d":     "a%2Bb%25c%26d",
		"\x00\n€~":    "%00%0A%E2%82%AC%7E",
		"!'()":        "%21%27%28%29",
	} {
		if got := encodeKey(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
