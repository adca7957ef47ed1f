package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/s3err"
)

// corsDocument makes a CORSConfiguration of the contents of its rules.
func corsDocument(rules ...string) string {
	var b strings.Builder
	for _, r := range rules {
		b.WriteString("<CORSRule>" + r + "</CORSRule>")
	}
	return "<CORSConfiguration>" + b.String() + "</CORSConfiguration>"
}

// badCORS are documents that S3 refuses, with its code.
var badCORS = map[string]struct {
	document string
	code     s3err.Code
}{
	"no rules":              {corsDocument(), s3err.MalformedXML},
	"no origin":             {corsDocument("<AllowedMethod>GET</AllowedMethod>"), s3err.MalformedXML},
	"no method":             {corsDocument("<AllowedOrigin>*</AllowedOrigin>"), s3err.MalformedXML},
	"method in lower case":  {corsDocument(corsBase("*", "get")), s3err.InvalidRequest},
	"unsupported method":    {corsDocument(corsBase("*", "PATCH")), s3err.InvalidRequest},
	"preflight as a method": {corsDocument(corsBase("*", "OPTIONS")), s3err.InvalidRequest},
	"two stars":             {corsDocument(corsBase("https://*.example.*", "GET")), s3err.InvalidRequest},
	"line end in an origin": {corsDocument(corsBase("https://a&#13;&#10;x: y", "GET")), s3err.InvalidRequest},
	"two stars, header":     {corsDocument(corsBase("*", "GET") + "<AllowedHeader>x-*-*</AllowedHeader>"), s3err.InvalidRequest},
	"bad header":            {corsDocument(corsBase("*", "GET") + "<AllowedHeader>a b</AllowedHeader>"), s3err.InvalidRequest},
	"star exposed":          {corsDocument(corsBase("*", "GET") + "<ExposeHeader>x-*</ExposeHeader>"), s3err.InvalidRequest},
	"bad exposed":           {corsDocument(corsBase("*", "GET") + "<ExposeHeader>a&#10;b</ExposeHeader>"), s3err.InvalidRequest},
	"long id":               {corsDocument(corsBase("*", "GET") + "<ID>" + strings.Repeat("i", 256) + "</ID>"), s3err.InvalidArgument},
	"no number":             {corsDocument(corsBase("*", "GET") + "<MaxAgeSeconds>1h</MaxAgeSeconds>"), s3err.MalformedXML},
	"101 rules":             {corsDocument(strings.Split(strings.Repeat(corsBase("*", "GET")+"|", 101), "|")[:101]...), s3err.InvalidRequest},
	"other element":         {corsDocument(corsBase("*", "GET") + "<Allow>x</Allow>"), s3err.MalformedXML},
	"other root":            {"<Cors/>", s3err.MalformedXML},
	"no XML":                {"{}", s3err.MalformedXML},
	"nothing":               {"", s3err.MissingRequestBody},
}

func corsBase(origin, method string) string {
	return "<AllowedOrigin>" + origin + "</AllowedOrigin><AllowedMethod>" + method + "</AllowedMethod>"
}

func TestParseCORSRefuses(t *testing.T) {
	for name, test := range badCORS {
		if _, err := parseCORS([]byte(test.document)); codeOf(err) != test.code {
			t.Errorf("%s: %v, want %s", name, err, test.code)
		}
	}
	full := corsDocument(strings.Split(strings.Repeat(corsBase("*", "GET")+"|", 100), "|")[:100]...)
	if _, err := parseCORS([]byte(full)); err != nil {
		t.Errorf("100 rules: %v", err)
	}
}

func TestStarMatch(t *testing.T) {
	for pattern, cases := range map[string]map[string]bool{
		"*":             {"": true, "null": true, "https://a": true},
		"https://a":     {"https://a": true, "https://A": false, "https://a.b": false},
		"https://*.a.b": {"https://x.a.b": true, "https://.a.b": true, "https://a.b": false, "https://x.a.b.c": false, "http://x.a.b": false},
		"ab*ba":         {"abba": true, "aba": false, "abxba": true},
		"http://x*":     {"http://x": true, "http://xy": true, "http://y": false},
	} {
		for s, want := range cases {
			if got := starMatch(pattern, s); got != want {
				t.Errorf("%q, %q: %v", pattern, s, got)
			}
		}
	}
}

// An accepted configuration is accepted again in the form in which it is shown,
// and no rule can end a header early.
func FuzzParseCORS(f *testing.F) {
	f.Add([]byte(corsDocument(corsBase("https://*.example", "GET") + "<ID>a</ID><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>5</MaxAgeSeconds>")))
	for _, test := range badCORS {
		if len(test.document) < 1000 {
			f.Add([]byte(test.document))
		}
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		c, err := parseCORS(document)
		if err != nil {
			return
		}
		again, err := parseCORS(appendDocument(nil, c))
		if err != nil || fmt.Sprint(again.show()) != fmt.Sprint(c.show()) {
			t.Errorf("%+v became %+v: %v", c, again, err)
		}
		for _, rule := range c.Rules {
			for _, sent := range append(rule.Expose, rule.Origins...) {
				if strings.ContainsAny(sent, "\r\n\x00") {
					t.Errorf("%q would be sent in a header", sent)
				}
			}
		}
	})
}

// show prints the configuration with pointers followed.
func (c *corsRules) show() (lines []string) {
	for _, r := range c.Rules {
		age := "none"
		if r.MaxAge != nil {
			age = fmt.Sprint(*r.MaxAge)
		}
		lines = append(lines, fmt.Sprintf("%q %q %q %q %q %s", r.ID, r.Headers, r.Methods, r.Origins, r.Expose, age))
	}
	return lines
}
