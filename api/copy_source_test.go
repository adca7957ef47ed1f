package api

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

func TestParseCopySource(t *testing.T) {
	for value, want := range map[string][2]string{
		"bucket/key":                            {"bucket", "key"},
		"/bucket/key":                           {"bucket", "key"},
		"bucket/a/b//c/":                        {"bucket", "a/b//c/"},
		"bucket//key":                           {"bucket", "/key"},
		"bucket/../x":                           {"bucket", "../x"},
		"bucket%2Fa%2Fb":                        {"bucket", "a/b"},
		"bucket/a%252Fb":                        {"bucket", "a%2Fb"},
		"bucket/a+b%2Bc%20d":                    {"bucket", "a b+c d"},
		"bucket/what%3FversionId%3Dnull":        {"bucket", "what?versionId=null"},
		"bucket/key?versionId=null":             {"bucket", "key"},
		"bucket/key?other":                      {"bucket", "key?other"},
		"bucket/%E2%82%AC":                      {"bucket", "€"},
		"bucket/" + strings.Repeat("%61", 1024): {"bucket", strings.Repeat("a", 1024)},
	} {
		n, err := parseCopySource(value)
		if err != nil || n.bucket != want[0] || n.key != want[1] {
			t.Errorf("parseCopySource(%q) = %q, %v; want %q", value, n, err, want)
		}
	}
	for value, want := range map[string]s3err.Code{
		"":                         s3err.InvalidArgument,
		"/":                        s3err.InvalidArgument,
		"bucket":                   s3err.InvalidArgument,
		"bucket/":                  s3err.InvalidArgument,
		"//bucket/key":             s3err.InvalidArgument,
		"192.168.1.1/key":          s3err.InvalidArgument,
		"Bucket/key":               s3err.InvalidArgument,
		"b%FFcket/key":             s3err.InvalidArgument,
		"bucket/100%":              s3err.InvalidArgument,
		"bucket/%zz":               s3err.InvalidArgument,
		"bucket/key?versionId=":    s3err.InvalidArgument,
		"bucket/key?versionId=abc": s3err.InvalidArgument,
		"bucket/%FF":               s3err.InvalidURI,
		"arn:aws:s3:us-east-1:1:accesspoint/a/object/k": s3err.NotImplemented,
		"bucket/" + strings.Repeat("a", 1025):           s3err.KeyTooLong,
	} {
		if n, err := parseCopySource(value); !errors.Is(err, want) {
			t.Errorf("parseCopySource(%q) = %q, %v; want %v", value, n, err, want)
		}
	}
}

func TestParseCopySourceVersion(t *testing.T) {
	id := meta.NewID()
	for value, want := range map[string]meta.VersionRef{
		"bucket/key":                            {},
		"bucket/what%3FversionId%3Dnull":        {},
		"bucket/key?versionId=null":             {Null: true},
		"bucket/key?versionId=" + id.String():   {ID: id},
		"bucket/a%3Fb?versionId=" + id.String(): {ID: id},
	} {
		if n, err := parseCopySource(value); err != nil || n.version.value != want || n.version.given == want.IsZero() {
			t.Errorf("parseCopySource(%q) names version %v, error %v; want %v", value, n.version, err, want)
		}
	}
}

// FuzzParseCopySource checks that an accepted source could also be named by a
// request line, and that a key survives being encoded.
func FuzzParseCopySource(f *testing.F) {
	for _, seed := range []string{"bucket/key", "/b/k?versionId=null", "b%2Fk", "b/%3F", "arn:x/y", "b/a+b", "b/%00", "//"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		n, err := parseCopySource(value)
		if err == nil {
			if n.bucket == "" || n.key == "" || strings.Contains(n.bucket, "/") || len(n.key) > meta.MaxKeyBytes {
				t.Fatalf("%q names bucket %q, key %q", value, n.bucket, n.key)
			}
			again, err := parseCopySource("/" + url.QueryEscape(n.bucket) + "/" + url.QueryEscape(n.key))
			if err != nil || again.bucket != n.bucket || again.key != n.key {
				t.Fatalf("%q: encoded again, %q became %q, %v", value, n, again, err)
			}
		}
		if CheckKey(value) == nil && value != "" {
			if n, err := parseCopySource("bucket/" + url.QueryEscape(value)); err != nil || n.key != value {
				t.Fatalf("the key %q came back as %q, %v", value, n.key, err)
			}
		}
	})
}
