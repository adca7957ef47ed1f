package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/s3err"
)

// tagged makes a Tagging document of alternating keys and values.
func tagged(pairs ...string) string {
	var b strings.Builder
	b.WriteString("<Tagging><TagSet>")
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "<Tag><Key>%s</Key><Value>%s</Value></Tag>", pairs[i], pairs[i+1])
	}
	return b.String() + "</TagSet></Tagging>"
}

func manyTags(n int) string {
	var pairs []string
	for i := range n {
		pairs = append(pairs, fmt.Sprint("k", i), "v")
	}
	return tagged(pairs...)
}

func TestParseTagging(t *testing.T) {
	for name, test := range map[string]struct {
		document string
		code     s3err.Code // empty: accepted
	}{
		"none":              {tagged(), ""},
		"two":               {tagged("a", "1", "b", ""), ""},
		"same value":        {tagged("a", "1", "b", "1"), ""},
		"case matters":      {tagged("a", "1", "A", "1"), ""},
		"ten":               {manyTags(10), ""},
		"all characters":    {tagged("aé字 9+-=._:/@", "+-=._:/@ ü"), ""},
		"longest":           {tagged(strings.Repeat("k", 128), strings.Repeat("v", 256)), ""},
		"eleven":            {manyTags(11), s3err.BadRequest},
		"duplicate":         {tagged("a", "1", "a", "2"), s3err.InvalidTag},
		"no key":            {tagged("", "1"), s3err.InvalidTag},
		"long key":          {tagged(strings.Repeat("k", 129), "v"), s3err.InvalidTag},
		"long value":        {tagged("k", strings.Repeat("v", 257)), s3err.InvalidTag},
		"long in UTF-16":    {tagged(strings.Repeat("𐐀", 65), "v"), s3err.InvalidTag},
		"bad character":     {tagged("a;b", "1"), s3err.InvalidTag},
		"bad in the value":  {tagged("a", "1\t"), s3err.InvalidTag},
		"system":            {tagged("aws:x", "1"), s3err.InvalidTag},
		"system, uppercase": {tagged("AWS:x", "1"), s3err.InvalidTag},
		"no value":          {"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", s3err.MalformedXML},
		"no set":            {"<Tagging></Tagging>", s3err.MalformedXML},
		"other root":        {"<TagSet></TagSet>", s3err.MalformedXML},
		"unknown element":   {"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value><Note>c</Note></Tag></TagSet></Tagging>", s3err.MalformedXML},
		"two sets":          {"<Tagging><TagSet></TagSet><TagSet></TagSet></Tagging>", s3err.MalformedXML},
		"empty":             {"", s3err.MissingRequestBody},
	} {
		_, err := parseTagging([]byte(test.document), maxObjectTags)
		if code := codeOf(err); code != test.code {
			t.Errorf("%s: %v, want %q", name, err, test.code)
		}
	}
	if _, err := parseTagging([]byte(manyTags(50)), maxBucketTags); err != nil {
		t.Errorf("50 tags of a bucket: %v", err)
	}
	if _, err := parseTagging([]byte(manyTags(51)), maxBucketTags); codeOf(err) != s3err.BadRequest {
		t.Errorf("51 tags of a bucket: %v", err)
	}
}

func TestParseTagHeader(t *testing.T) {
	for header, want := range map[string]string{
		"":                   "[]",
		"a=b":                "[{a b}]",
		"a=1&b=2":            "[{a 1} {b 2}]",
		"b=2&a=1":            "[{b 2} {a 1}]",
		"a":                  "[{a }]",
		"a+b=c%20d":          "[{a b c d}]",
		"a=b=c":              "[{a b=c}]",
		"%C3%A9=%E5%AD%97":   "[{é 字}]",
		"a=1&a=2":            "InvalidArgument",
		"=1":                 "InvalidArgument",
		"=":                  "InvalidArgument",
		"a=1&":               "[{a 1}]",
		"&&":                 "[]",
		"a=%zz":              "InvalidArgument",
		"aws:a=1":            "InvalidTag",
		"a=%00":              "InvalidTag",
		"a=%FF":              "InvalidTag",
		"a=x;y":              "InvalidTag",
		manyHeaderTags(11):   "BadRequest",
		"k=" + longText(257): "InvalidTag",
	} {
		tags, err := parseTagHeader(header)
		got := fmt.Sprint(tags)
		if err != nil {
			got = string(codeOf(err))
		}
		if got != want {
			t.Errorf("%q: %s (%v), want %s", header, got, err, want)
		}
	}
}

func manyHeaderTags(n int) string {
	var tags []string
	for i := range n {
		tags = append(tags, fmt.Sprintf("k%d=v", i))
	}
	return strings.Join(tags, "&")
}

func longText(n int) string { return strings.Repeat("x", n) }

// codeOf returns the code that a client is shown; empty for no error.
func codeOf(err error) s3err.Code {
	if err == nil {
		return ""
	}
	return s3err.From(err).Code
}

// Accepted tags are shown as they were given, and are accepted again.
func FuzzParseTagging(f *testing.F) {
	f.Add([]byte(tagged("a", "b", "c", "")))
	f.Add([]byte(tagged("a", "b", "a", "c")))
	f.Add([]byte("<Tagging><TagSet/></Tagging>"))
	f.Fuzz(func(t *testing.T, document []byte) {
		tags, err := parseTagging(document, maxBucketTags)
		if err != nil {
			return
		}
		again, err := parseTagging(appendDocument(nil, tagging(tags)), maxBucketTags)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(tags) {
			t.Errorf("%q became %q: %v", tags, again, err)
		}
	})
}
