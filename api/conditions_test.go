package api

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// requestWith makes a request with nothing but headers: name, value, ...
func requestWith(pairs ...string) *Request {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	r := &Request{HTTP: &http.Request{Header: h}, Op: &Operation{Name: "PutObject", Method: "PUT"}}
	r.readAsked()
	return r
}

const someDate = "Wed, 21 Oct 2015 07:28:00 GMT"

var someTime = time.Date(2015, 10, 21, 7, 28, 0, 0, time.UTC)

func TestReadConditions(t *testing.T) {
	got := requestWith("If-Match", `"a"`, "If-None-Match", "*", "If-Modified-Since", someDate, "If-Unmodified-Since", "yesterday").readConditions()
	want := engine.Conditions{IfMatch: `"a"`, IfNoneMatch: "*", IfModifiedSince: someTime}
	if got != want {
		t.Errorf("got %+v, want %+v: an invalid date is ignored", got, want)
	}
}

func TestSourceConditions(t *testing.T) {
	got, err := requestWith("x-amz-copy-source-if-match", "a", "x-amz-copy-source-if-none-match", "b",
		"x-amz-copy-source-if-modified-since", someDate, "x-amz-copy-source-if-unmodified-since", "2015-10-21T07:28:00Z",
		"If-Match", "unrelated").sourceConditions()
	want := engine.Conditions{IfMatch: "a", IfNoneMatch: "b", IfModifiedSince: someTime, IfUnmodifiedSince: someTime}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, name := range []string{"x-amz-copy-source-if-modified-since", "x-amz-copy-source-if-unmodified-since"} {
		if _, err := requestWith(name, "yesterday").sourceConditions(); !errors.Is(err, s3err.InvalidArgument) {
			t.Errorf("%s: yesterday: %v, want InvalidArgument", name, err)
		}
	}
}

func TestWriteConditions(t *testing.T) {
	for _, c := range []struct {
		headers []string
		want    engine.Conditions
		err     error
	}{
		{nil, engine.Conditions{}, nil},
		{[]string{"If-None-Match", "*"}, engine.Conditions{IfNoneMatch: "*"}, nil},
		{[]string{"If-None-Match", `"*"`}, engine.Conditions{IfNoneMatch: "*"}, nil},
		{[]string{"If-Match", `"abc"`}, engine.Conditions{IfMatch: `"abc"`}, nil},
		{[]string{"If-Match", "*"}, engine.Conditions{IfMatch: "*"}, nil},
		{[]string{"If-None-Match", `"abc"`}, engine.Conditions{}, s3err.NotImplemented},
		{[]string{"If-None-Match", ""}, engine.Conditions{}, s3err.NotImplemented},
		{[]string{"If-Match", ""}, engine.Conditions{}, s3err.NotImplemented},
		{[]string{"If-Match", "abc", "If-None-Match", "*"}, engine.Conditions{}, s3err.NotImplemented},
		{[]string{"If-Unmodified-Since", someDate}, engine.Conditions{}, s3err.NotImplemented},
		{[]string{"If-Modified-Since", someDate}, engine.Conditions{}, s3err.NotImplemented},
	} {
		got, err := requestWith(c.headers...).writeConditions()
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q: %+v, %v; want %+v, %v", c.headers, got, err, c.want, c.err)
		}
	}
}

func TestDeleteConditions(t *testing.T) {
	d, err := requestWith("If-Match", "*", "x-amz-if-match-size", "0", "x-amz-if-match-last-modified-time", someDate).deleteConditions()
	if err != nil || d.IfMatch != "*" || d.IfSize == nil || *d.IfSize != 0 || !d.IfModified.Equal(someTime) {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := requestWith().deleteConditions(); err != nil || d != (engine.DeleteObject{}) {
		t.Errorf("no conditions: %+v, %v", d, err)
	}
	for _, pair := range [][2]string{
		{"x-amz-if-match-size", "-1"}, {"x-amz-if-match-size", ""}, {"x-amz-if-match-size", "1e3"},
		{"x-amz-if-match-last-modified-time", ""}, {"x-amz-if-match-last-modified-time", "now"},
		{"If-Match", ""}, {"If-None-Match", "*"}, {"If-Unmodified-Since", someDate},
	} {
		if d, err := requestWith(pair[0], pair[1]).deleteConditions(); err == nil {
			t.Errorf("%s: %q became %+v: it must not delete unconditionally", pair[0], pair[1], d)
		}
	}
}

// FuzzWriteConditions checks that every condition is applied or refused, never
// ignored.
func FuzzWriteConditions(f *testing.F) {
	for _, name := range []string{"If-Match", "If-None-Match", "If-Unmodified-Since", "X-Amz-If-Match-Size"} {
		f.Add(name, "*")
		f.Add(name, "")
		f.Add(name, " , ")
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		name = http.CanonicalHeaderKey(name)
		r := requestWith(name, value)
		switch name {
		case "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since":
			if c, err := r.writeConditions(); err == nil && c == (engine.Conditions{}) {
				t.Errorf("a write ignores %s: %q", name, value)
			}
			fallthrough
		case "X-Amz-If-Match-Size", "X-Amz-If-Match-Last-Modified-Time":
			if d, err := r.deleteConditions(); err == nil && d == (engine.DeleteObject{}) {
				t.Errorf("a deletion ignores %s: %q", name, value)
			}
		}
	})
}
