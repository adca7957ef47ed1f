package api

import (
	"errors"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

func TestObjectAttributes(t *testing.T) {
	got, err := requestWith(
		"Content-Type", "text/plain", "Content-Encoding", "aws-chunked,gzip", "Content-Language", "de",
		"Content-Disposition", "inline", "Cache-Control", "no-store", "Expires", "whenever",
		"x-amz-website-redirect-location", "/else", "x-amz-storage-class", "STANDARD_IA",
		"X-Amz-Meta-B", "2", "x-amz-meta-a", "1", "x-amz-meta-a", "3", "x-amz-metadata-directive", "COPY",
	).objectAttributes()
	want := engine.Attributes{
		ContentType: "text/plain", ContentEncoding: "gzip", ContentLanguage: "de",
		ContentDisposition: "inline", CacheControl: "no-store", Expires: "whenever",
		WebsiteRedirect: "/else", StorageClass: "STANDARD_IA",
		Metadata: []engine.Pair{{Name: "a", Value: "1,3"}, {Name: "b", Value: "2"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	for _, c := range []struct {
		name, value string
		want        error
	}{
		{"x-amz-storage-class", "STANDARD", nil},
		{"x-amz-storage-class", "", s3err.InvalidStorageClass},
		{"x-amz-website-redirect-location", "https://example.com/", nil},
		{"x-amz-website-redirect-location", "example.com", s3err.InvalidRedirectLocation},
		{"x-amz-website-redirect-location", "/" + strings.Repeat("a", maxRedirect), s3err.InvalidArgument},
		{"x-amz-meta-" + strings.Repeat("n", 48), strings.Repeat("v", maxMetadata-48), nil},
		{"x-amz-meta-" + strings.Repeat("n", 49), strings.Repeat("v", maxMetadata-48), s3err.MetadataTooLarge},
	} {
		if _, err := requestWith(c.name, c.value).objectAttributes(); !errors.Is(err, c.want) {
			t.Errorf("%.60s: %.60q: %v, want %v", c.name, c.value, err, c.want)
		}
	}
}

func TestEncodeMetadata(t *testing.T) {
	for value, want := range map[string]string{
		"":           "",
		"plain ~!":   "plain ~!",
		"a\tb":       "a\tb",
		"ÄMÄZÕÑ S3":  "=?UTF-8?B?w4RNw4Raw5XDkSBTMw==?=",
		"caf\xe9":    "=?UTF-8?B?Y2Fmw6k=?=", // ISO 8859-1
		"=?UTF-8?B?": "=?UTF-8?B?",
	} {
		if got := encodeMetadata(value); got != want {
			t.Errorf("encodeMetadata(%q) = %q, want %q", value, got, want)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add("a", "b", "c")
	f.Add("A", "ä", "\xff")
	f.Add("", "", strings.Repeat("x", 3000))
	f.Fuzz(func(t *testing.T, name, one, two string) {
		h := http.Header{metadataPrefix + name: {one}, http.CanonicalHeaderKey(metadataPrefix + "other"): {two}, "Content-Type": {one}}
		pairs, err := userMetadata(h)
		if err != nil {
			if !errors.Is(err, s3err.MetadataTooLarge) && name != "" {
				t.Fatal(err)
			}
			return
		}
		size := 0
		for i, p := range pairs {
			size += len(p.Name) + len(p.Value)
			if p.Name != strings.ToLower(p.Name) || i > 0 && pairs[i-1].Name >= p.Name {
				t.Errorf("names in %q are not lowercase, sorted and distinct", pairs)
			}
			shown := encodeMetadata(p.Value)
			for _, c := range []byte(shown) {
				if (c < ' ' && c != '\t') || c >= 0x7f {
					t.Fatalf("%q is shown with byte %#x", p.Value, c)
				}
			}
			if shown == p.Value || !utf8.ValidString(p.Value) {
				continue
			}
			if back, err := new(mime.WordDecoder).Decode(shown); err != nil || back != p.Value {
				t.Errorf("%q is shown as %q, which decodes to %q, %v", p.Value, shown, back, err)
			}
		}
		if size > maxMetadata {
			t.Errorf("%d bytes of metadata were accepted", size)
		}
	})
}

func TestSetOverrides(t *testing.T) {
	request := func(query string) *Request {
		t.Helper()
		target, err := sigv4.ParseTarget("/b/k?" + query)
		if err != nil {
			t.Fatal(err)
		}
		return &Request{
			HTTP: &http.Request{Header: http.Header{}}, Target: Target{Query: target.Query},
			Principal: access.Principal{Kind: access.Root},
		}
	}
	h := http.Header{"Content-Type": {"text/plain"}, "Expires": {"now"}}
	if err := request("response-content-type=a%2Fb&response-content-disposition=attachment%3B%20filename%3D%22x%22&response-expires=").setOverrides(h); err != nil {
		t.Fatal(err)
	}
	want := http.Header{"Content-Type": {"a/b"}, "Expires": {"now"}, "Content-Disposition": {`attachment; filename="x"`}}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got %v, want %v", h, want)
	}
	for _, value := range []string{"a%0D%0ASet-Cookie:x", "a%0A", "a%00", "%7F"} {
		h := http.Header{}
		if err := request("response-cache-control=" + value).setOverrides(h); !errors.Is(err, s3err.InvalidArgument) || len(h) > 0 {
			t.Errorf("%s: %v, header %v", value, err, h)
		}
	}
	anonymous := request("response-content-type=text%2Fhtml")
	anonymous.Principal.Kind = access.Nobody
	if err := anonymous.setOverrides(http.Header{}); !errors.Is(err, s3err.InvalidRequest) {
		t.Errorf("an unsigned request chooses the content type: %v", err)
	}
}

// Clients use metadata names as they are spelled in the header.
func TestSetObjectSpelling(t *testing.T) {
	h := http.Header{}
	setObject(h, engine.Object{ETag: "x", Attributes: engine.Attributes{Metadata: []engine.Pair{{Name: "some-name", Value: "v"}}}})
	//lint:ignore SA1008 the spelling is what is tested
	if len(h["x-amz-meta-some-name"]) != 1 || len(h["ETag"]) != 1 {
		t.Errorf("got %v", h)
	}
}
