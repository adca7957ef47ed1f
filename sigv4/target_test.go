package sigv4

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/s3err"
)

func TestParseTarget(t *testing.T) {
	for raw, want := range map[string]string{
		"/":                   "/",
		"/b/a%2Fb":            "/b/a/b",
		"/b/a%252Fb":          "/b/a%2Fb",
		"/b//a/../%2e%2e/./c": "/b//a/../.././c",
		"/b/%00%ff+":          "/b/\x00\xff+",
		"/b/ä#%23":            "/b/ä##",
		"//host/path":         "//host/path",
	} {
		got, err := ParseTarget(raw)
		if err != nil || got.Path != want || got.RawPath != raw {
			t.Errorf("ParseTarget(%q) = %+v, %v", raw, got, err)
		}
	}
	for raw, code := range map[string]s3err.Code{
		"": s3err.InvalidURI, "*": s3err.InvalidURI, "http://h/b/k": s3err.InvalidURI, "b/k": s3err.InvalidURI,
		"/b/%": s3err.InvalidURI, "/b/%4": s3err.InvalidURI, "/b/%zz": s3err.InvalidURI, "/b/\n": s3err.InvalidURI, "/b/\x7f": s3err.InvalidURI,
		"/b?%": s3err.InvalidURI, "/" + strings.Repeat("a", MaxPathBytes): s3err.URITooLong,
	} {
		if _, err := ParseTarget(raw); !errors.Is(err, code) {
			t.Errorf("ParseTarget(%.40q): %v, want %s", raw, err, string(code))
		}
	}
}

func TestParseQuery(t *testing.T) {
	for raw, want := range map[string]Query{
		"":                   nil,
		"acl":                {{"acl", ""}},
		"a=b;c=d&&e=f=g&":    {{"a", "b;c=d"}, {"e", "f=g"}},
		"p=a+b%2B%20&p=c&=v": {{"p", "a b+ "}, {"p", "c"}, {"", "v"}},
		"%61%3D=%26":         {{"a=", "&"}},
	} {
		got, err := ParseQuery(raw)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseQuery(%q) = %q, %v", raw, got, err)
		}
	}
	for raw, code := range map[string]s3err.Code{
		"a=%":                          s3err.InvalidURI,
		"%g0=a":                        s3err.InvalidURI,
		"a=\x01":                       s3err.InvalidURI,
		strings.Repeat("a&", 129):      s3err.InvalidArgument,
		strings.Repeat("a", 16<<10+1):  s3err.URITooLong,
		strings.Repeat("a=1&", 10_001): s3err.URITooLong,
	} {
		if _, err := ParseQuery(raw); !errors.Is(err, code) {
			t.Errorf("ParseQuery(%.40q): %v, want %s", raw, err, string(code))
		}
	}
	q, _ := ParseQuery("a=1&b&a=2")
	if v, ok := q.Get("a"); v != "1" || !ok || q.Count("a") != 2 || !q.Has("b") || q.Has("A") || q.Count("c") != 0 {
		t.Errorf("accessors of %q", q)
	}
}

func TestCanonicalQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"b=2&a=1&a=0&B=3": "B=3&a=0&a=1&b=2",
		"acl":             "acl=",
		"a=+/%7e;&a%2F=":  "a=%20%2F~%3B&a%2F=",
		"X-Amz-Signature=s&k=v&X-Amz-Signature=t": "k=v",
	} {
		q, err := ParseQuery(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(q.appendCanonical(nil, "X-Amz-Signature")); got != want {
			t.Errorf("%q canonicalises to %q, want %q", raw, got, want)
		}
	}
}
