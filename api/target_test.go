package api

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

var testDomains = []string{"s3.example.com", "example.com", "localhost"}

func TestParseTarget(t *testing.T) {
	for _, c := range []struct {
		uri, host   string
		bucket, key string
		virtual     bool
		err         error
	}{
		{uri: "/", host: "s3.example.com"},
		{uri: "/?x=1", host: "s3.example.com"},
		{uri: "/b", host: "h", bucket: "b"},
		{uri: "/b/", host: "h", bucket: "b"},
		{uri: "/b/k", host: "h", bucket: "b", key: "k"},
		{uri: "/b//k", host: "h", bucket: "b", key: "/k"},
		{uri: "/b/a//b/", host: "h", bucket: "b", key: "a//b/"},
		{uri: "/b/../c/k", host: "h", bucket: "b", key: "../c/k"},
		{uri: "/b/./k", host: "h", bucket: "b", key: "./k"},
		{uri: "/b/a%2Fb", host: "h", bucket: "b", key: "a/b"},
		{uri: "/b/a%252Fb", host: "h", bucket: "b", key: "a%2Fb"},
		{uri: "/b/a+b%20c", host: "h", bucket: "b", key: "a+b c"},
		{uri: "/b/%00", host: "h", bucket: "b", key: "\x00"},
		{uri: "/b/%2e%2e", host: "h", bucket: "b", key: ".."},
		{uri: "/b/k?acl", host: "h", bucket: "b", key: "k"},
		{uri: "/b/k%3Facl", host: "h", bucket: "b", key: "k?acl"},
		{uri: "/b/%E2%82%AC", host: "h", bucket: "b", key: "€"},
		{uri: "/b%2Fk", host: "h", bucket: "b", key: "k"},
		{uri: "/k", host: "b.s3.example.com", bucket: "b", key: "k", virtual: true},
		{uri: "/k", host: "b.s3.example.com:9000", bucket: "b", key: "k", virtual: true},
		{uri: "/", host: "B.S3.Example.COM.", bucket: "b", virtual: true},
		{uri: "//k", host: "b.s3.example.com", bucket: "b", key: "/k", virtual: true},
		{uri: "/c/k", host: "my.dotted.s3.example.com", bucket: "my.dotted", key: "c/k", virtual: true},
		{uri: "/b/k", host: "localhost:9000", bucket: "b", key: "k"},
		{uri: "/b/k", host: "notexample.com", bucket: "b", key: "k"},
		{uri: "/b/k", host: "[::1]:9000", bucket: "b", key: "k"},
		{uri: "/b/k", host: "127.0.0.1:9000", bucket: "b", key: "k"},

		{uri: "//k", host: "h", err: s3err.InvalidBucketName},
		{uri: "/%FF/k", host: "h", err: s3err.InvalidBucketName},
		{uri: "/b/%FF", host: "h", err: s3err.InvalidURI},
		{uri: "/b/%ED%A0%80", host: "h", err: s3err.InvalidURI}, // a surrogate
		{uri: "/b/%4", host: "h", err: s3err.InvalidURI},
		{uri: "/b/%zz", host: "h", err: s3err.InvalidURI},
		{uri: "/b/k?%zz", host: "h", err: s3err.InvalidURI},
		{uri: "http://evil/b/k", host: "h", err: s3err.InvalidURI},
		{uri: "http://h/b/k", host: "h", bucket: "b", key: "k"},
		{uri: "HTTPS://h:9/b/k?acl", host: "h:9", bucket: "b", key: "k"},
		{uri: "http://h", host: "h"},
		{uri: "http://h?acl", host: "h"},
		{uri: "http://b.example.com/k", host: "b.example.com", bucket: "b", key: "k", virtual: true},
		{uri: "http://h//k", host: "h", err: s3err.InvalidBucketName},
		{uri: "http://h:1/b/k", host: "h", err: s3err.InvalidURI},
		{uri: "http:///b/k", host: "", err: s3err.InvalidURI},
		{uri: "http://u@h/b/k", host: "h", err: s3err.InvalidURI},
		{uri: "http://u@h/b/k", host: "u@h", err: s3err.BadRequest},
		{uri: "ftp://h/b/k", host: "h", err: s3err.InvalidURI},
		{uri: "h:443", host: "h:443", err: s3err.InvalidURI},
		{uri: "/http://h/b", host: "h", bucket: "http:", key: "/h/b"},
		{uri: "*", host: "h", err: s3err.InvalidURI},
		{uri: "", host: "h", err: s3err.InvalidURI},
		{uri: "/b/" + strings.Repeat("k", meta.MaxKeyBytes), host: "h", bucket: "b", key: strings.Repeat("k", meta.MaxKeyBytes)},
		{uri: "/b/" + strings.Repeat("%41", meta.MaxKeyBytes), host: "h", bucket: "b", key: strings.Repeat("A", meta.MaxKeyBytes)},
		{uri: "/b/" + strings.Repeat("k", meta.MaxKeyBytes+1), host: "h", err: s3err.KeyTooLong},
		{uri: "/b/" + strings.Repeat("k", 9<<10), host: "h", err: s3err.URITooLong},
	} {
		got, err := ParseTarget(c.uri, c.host, testDomains)
		if !errors.Is(err, c.err) {
			t.Errorf("%.60s on %s: error %v, want %v", c.uri, c.host, err, c.err)
			continue
		}
		if err == nil && (got.Bucket != c.bucket || got.Key != c.key || got.VirtualHost != c.virtual) {
			t.Errorf("%.60s on %s: %q %q %v", c.uri, c.host, got.Bucket, got.Key, got.VirtualHost)
		}
	}
}

func TestHosts(t *testing.T) {
	for _, good := range []string{"", "h", "h.", "H:9000", "h:", "my_service:80", "a-b.c", "127.0.0.1", "127.0.0.1:1", "[::1]",
		"[::1]:65535", "xn--bcher-kva.example", "bücher.example"} {
		if !isHost(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{":80", ".", ".h", "a..b", "..", "h:x", "h:-1", "h:+80", "h:65536", "h:1:2", "::1", "[::1",
		"[::1]x", "[h]", "[127.0.0.1]", "a@b", "a/b", `a\b`, "a?b", "a#b", "a b", "a<b", "h:80:"} {
		if _, err := ParseTarget("/b/k", bad, testDomains); !errors.Is(err, s3err.BadRequest) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzParseTarget checks that an accepted target has one bucket and one key
// that together are the path as it was signed.
func FuzzParseTarget(f *testing.F) {
	for _, uri := range []string{"/", "/b/k", "/b/a%2Fb?acl", "//", "/b/%00?x=%", "http://h/b", "/b/%FF", "/b/k?a;b&c=d"} {
		f.Add(uri, "h:1")
		f.Add(uri, "b.example.com")
	}
	f.Fuzz(func(t *testing.T, uri, host string) {
		got, err := ParseTarget(uri, host, testDomains)
		if err != nil {
			if s3err.From(err).Code == s3err.InternalError {
				t.Fatalf("%q: %v has no code", uri, err)
			}
			return
		}
		if !utf8.ValidString(got.Bucket) || !utf8.ValidString(got.Key) || len(got.Key) > meta.MaxKeyBytes {
			t.Fatalf("%q: accepted bucket %q key %q", uri, got.Bucket, got.Key)
		}
		want := "/" + got.Bucket
		if got.VirtualHost {
			want = ""
		}
		if got.Key != "" || got.VirtualHost {
			want += "/" + got.Key
		}
		if got.Signed.Path != want && got.Signed.Path != want+"/" {
			t.Fatalf("%q: path %q became %q", uri, got.Signed.Path, want)
		}
	})
}
