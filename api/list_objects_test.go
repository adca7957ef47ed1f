package api_test

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// page is an answer to ListObjects of either form.
type page struct {
	Name, Prefix, Delimiter, Marker, NextMarker, StartAfter, EncodingType string
	ContinuationToken, NextContinuationToken                              string
	KeyCount, MaxKeys                                                     int
	IsTruncated                                                           bool
	Contents                                                              []struct {
		Key, LastModified, ETag, ChecksumAlgorithm, ChecksumType, StorageClass string
		Size                                                                   int
		Owner                                                                  *struct{ ID, DisplayName string }
	}
	CommonPrefixes []struct{ Prefix string }
}

func list(t *testing.T, g *gatewaytest.Gateway, query string) (p page) {
	t.Helper()
	res := g.Must(t, 200, "GET", "/bkt?"+query, nil)
	if err := xml.Unmarshal(res.Body, &p); err != nil {
		t.Fatalf("%s: %v in %s", query, err, res.Body)
	}
	return p
}

func (p page) keys() (keys []string) {
	for _, c := range p.Contents {
		keys = append(keys, c.Key)
	}
	return keys
}

func (p page) prefixes() (prefixes []string) {
	for _, c := range p.CommonPrefixes {
		prefixes = append(prefixes, c.Prefix)
	}
	return prefixes
}

// listed starts a gateway whose bucket bkt has the keys.
func listed(t *testing.T, keys ...string) *gatewaytest.Gateway {
	t.Helper()
	g := gatewaytest.Start(t, gatewaytest.Options{})
	g.Must(t, 200, "PUT", "/bkt", nil)
	for _, k := range keys {
		g.Must(t, 200, "PUT", "/bkt/"+url.PathEscape(k), []byte(k))
	}
	return g
}

func TestListObjects(t *testing.T) {
	g := listed(t, "a", "b/1", "b/2", "c//d", "c/e", "d", "é")
	for _, c := range []struct {
		query          string
		keys, prefixes []string
		more           bool
	}{
		{"", []string{"a", "b/1", "b/2", "c//d", "c/e", "d", "é"}, nil, false},
		{"prefix=b/", []string{"b/1", "b/2"}, nil, false},
		{"prefix=none", nil, nil, false},
		{"delimiter=/", []string{"a", "d", "é"}, []string{"b/", "c/"}, false},
		{"delimiter=/&prefix=c/", []string{"c/e"}, []string{"c//"}, false},
		{"delimiter=/&prefix=b", nil, []string{"b/"}, false},
		{"delimiter=none", []string{"a", "b/1", "b/2", "c//d", "c/e", "d", "é"}, nil, false},
		{"max-keys=2", []string{"a", "b/1"}, nil, true},
		{"max-keys=2&delimiter=/", []string{"a"}, []string{"b/"}, true},
		{"max-keys=0", nil, nil, false},
		{"max-keys=7", []string{"a", "b/1", "b/2", "c//d", "c/e", "d", "é"}, nil, false},
		{"max-keys=100000", []string{"a", "b/1", "b/2", "c//d", "c/e", "d", "é"}, nil, false},
	} {
		for _, form := range []string{"", "&list-type=2"} {
			p := list(t, g, c.query+form)
			if !slices.Equal(p.keys(), c.keys) || !slices.Equal(p.prefixes(), c.prefixes) || p.IsTruncated != c.more {
				t.Errorf("%s%s: keys %v, prefixes %v, truncated %v", c.query, form, p.keys(), p.prefixes(), p.IsTruncated)
			}
			if form != "" && p.KeyCount != len(c.keys)+len(c.prefixes) {
				t.Errorf("%s: KeyCount %d", c.query, p.KeyCount)
			}
			if p.MaxKeys > 1000 || p.Name != "bkt" {
				t.Errorf("%s: %+v", c.query, p)
			}
		}
	}
}

func TestListObjectsFields(t *testing.T) {
	g := listed(t)
	g.Must(t, 200, "PUT", "/bkt/k", []byte("hello"), "x-amz-checksum-crc32", sum("CRC32", []byte("hello")))
	owner := g.Engine.Accounts().Root().ID.Canonical()
	for query, shown := range map[string]bool{"": true, "list-type=2": false, "list-type=2&fetch-owner=true": true, "list-type=2&fetch-owner=false": false} {
		c := list(t, g, query).Contents[0]
		if c.Key != "k" || c.Size != 5 || c.ETag != `"5d41402abc4b2a76b9719d911017c592"` || c.StorageClass != "STANDARD" ||
			c.ChecksumAlgorithm != "CRC32" || c.ChecksumType != "FULL_OBJECT" || !strings.HasSuffix(c.LastModified, "Z") {
			t.Errorf("%s: %+v", query, c)
		}
		if (c.Owner != nil) != shown || shown && c.Owner.ID != owner {
			t.Errorf("%s: owner %+v", query, c.Owner)
		}
	}
}

// TestListObjectsInPages lists a bucket with every page size and in each form.
// It must see every entry once and in order.
func TestListObjectsInPages(t *testing.T) {
	var keys []string
	for _, dir := range []string{"", "x/", "x/y/", "z/"} {
		for i := range 4 {
			keys = append(keys, fmt.Sprintf("%sk%d", dir, i))
		}
	}
	g := listed(t, keys...)
	slices.Sort(keys)
	rolled := []string{"k0", "k1", "k2", "k3", "x/", "z/"}
	for _, delimiter := range []string{"", "/"} {
		want := keys
		if delimiter != "" {
			want = rolled
		}
		for size := 1; size <= 7; size++ {
			base := fmt.Sprintf("delimiter=%s&max-keys=%d", delimiter, size)
			for form, next := range map[string]func(page) string{
				"": func(p page) string {
					marker := p.NextMarker
					if (marker == "") != !p.IsTruncated {
						t.Errorf("%s: NextMarker %q", base, marker)
					}
					if all := append(p.keys(), p.prefixes()...); marker == "" && len(all) > 0 {
						marker = slices.Max(all)
					}
					return "&marker=" + url.QueryEscape(marker)
				},
				"&list-type=2": func(p page) string {
					return "&continuation-token=" + url.QueryEscape(p.NextContinuationToken)
				},
				"&list-type=2&start-after=a": func(p page) string { // the token wins
					return "&continuation-token=" + url.QueryEscape(p.NextContinuationToken)
				},
			} {
				first := form
				if strings.Contains(form, "start-after") {
					first = "&list-type=2"
				}
				var got []string
				p := list(t, g, base+first)
				for {
					got = append(got, append(p.keys(), p.prefixes()...)...)
					if !p.IsTruncated {
						break
					}
					p = list(t, g, base+form+next(p))
				}
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("%s%s: %v", base, form, got)
				}
			}
		}
	}
	if p := list(t, g, "list-type=2&start-after=x/k3&max-keys=1"); !slices.Equal(p.keys(), []string{"x/y/k0"}) || p.StartAfter != "x/k3" {
		t.Errorf("start-after: %+v", p)
	}
}

func TestListObjectsNames(t *testing.T) {
	strange := []string{"a b+c%", "<&>\"'", "new\nline", "\x01control", "ü/€", "a*b~c"}
	g := listed(t, strange...)
	slices.Sort(strange)
	p := list(t, g, "encoding-type=url")
	var got []string
	for _, k := range p.keys() {
		plain, err := url.QueryUnescape(k)
		if err != nil {
			t.Errorf("%q: %v", k, err)
		}
		got = append(got, plain)
	}
	if !slices.Equal(got, strange) || p.EncodingType != "url" {
		t.Errorf("url: %q (%s)", got, p.EncodingType)
	}
	res := g.Must(t, 200, "GET", "/bkt", nil)
	for _, want := range []string{"<Key>&#x1;control</Key>", "<Key>new&#xA;line</Key>", "<Key>&lt;&amp;&gt;&quot;'</Key>", "<Key>ü/€</Key>"} {
		if !strings.Contains(string(res.Body), want) {
			t.Errorf("no %s in %s", want, res.Body)
		}
	}
	p = list(t, g, "encoding-type=url&delimiter=%E2%82%AC&prefix=%C3%BC")
	if p.Delimiter != "%E2%82%AC" || p.Prefix != "%C3%BC" || !slices.Equal(p.prefixes(), []string{"%C3%BC/%E2%82%AC"}) {
		t.Errorf("encoded: %+v", p)
	}
}

func TestListObjectsRefuses(t *testing.T) {
	g := listed(t, "k")
	for _, query := range []string{
		"max-keys=-1", "max-keys=x", "max-keys=1.5", "max-keys=99999999999999999999", "encoding-type=base64",
		"prefix=%FF", "delimiter=%FF", "marker=%FF", "prefix=a&prefix=b",
		"list-type=2&continuation-token=", "list-type=2&continuation-token=~x", "list-type=2&continuation-token=Mms=", // "2k": another version
		"list-type=2&continuation-token=" + strings.Repeat("MWFh", 2000),
	} {
		expect(t, query, g.Do(t, g.Root, "GET", "/bkt?"+query, nil), 400, "InvalidArgument")
	}
}
