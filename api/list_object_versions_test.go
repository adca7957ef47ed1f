package api_test

import (
	"encoding/xml"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// versionPage is a ListVersionsResult with its versions and markers in order.
type versionPage struct {
	Lines []struct {
		XMLName           xml.Name
		Key, VersionId    string
		IsLatest          bool
		ETag              string
		ChecksumAlgorithm string
		Size              int
		StorageClass      string
		Owner             struct{ ID string }
		Prefix            string
		Value             string `xml:",chardata"`
	} `xml:",any"`
}

// listVersions returns the lines of a page, each as "key version" with remarks,
// and the elements with a single value.
func listVersions(t *testing.T, g *gatewaytest.Gateway, query string) (lines []string, values map[string]string) {
	t.Helper()
	res := g.Must(t, 200, "GET", "/bkt?versions&"+query, nil)
	var page versionPage
	if err := xml.Unmarshal(res.Body, &page); err != nil {
		t.Fatal(err)
	}
	values = make(map[string]string)
	for _, l := range page.Lines {
		switch l.XMLName.Local {
		case "Version", "DeleteMarker":
			line := l.Key + " " + l.VersionId
			if l.IsLatest {
				line += " latest"
			}
			marker := l.XMLName.Local == "DeleteMarker"
			if marker {
				line += " marker"
			}
			if l.Owner.ID == "" || marker != (l.ETag == "") || marker != (l.StorageClass == "") || marker != (l.ChecksumAlgorithm == "") {
				t.Errorf("%s: %s: %+v", query, l.XMLName.Local, l)
			}
			lines = append(lines, line)
		case "CommonPrefixes":
			lines = append(lines, "prefix "+l.Prefix)
		default:
			values[l.XMLName.Local] = l.Value
		}
	}
	return lines, values
}

func TestListObjectVersions(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/a", []byte("old"))
	if lines, _ := listVersions(t, g, ""); !slices.Equal(lines, []string{"a null latest"}) {
		t.Errorf("without versioning: %q", lines)
	}
	g.Must(t, 200, "PUT", "/bkt?versioning", []byte(versioningOn))
	a := putVersion(t, g, "/bkt/a", "new")
	b := putVersion(t, g, "/bkt/b", "b")
	mark := g.Must(t, 204, "DELETE", "/bkt/b", nil).Header.Get("X-Amz-Version-Id")
	d1, d2 := putVersion(t, g, "/bkt/d/1", "1"), putVersion(t, g, "/bkt/d/2", "2")
	all := []string{"a " + a + " latest", "a null", "b " + mark + " latest marker", "b " + b, "d/1 " + d1 + " latest", "d/2 " + d2 + " latest"}
	for query, want := range map[string][]string{
		"":                                       all,
		"prefix=b":                               all[2:4],
		"delimiter=%2F":                          append(slices.Clone(all[:4]), "prefix d/"),
		"key-marker=a":                           all[2:],
		"key-marker=b&version-id-marker=" + mark: all[3:],
		"key-marker=a&version-id-marker=null":    all[2:],
		"key-marker=a&version-id-marker=":        all[2:],
		"max-keys=0":                             nil,
	} {
		if lines, values := listVersions(t, g, query); !slices.Equal(lines, want) || values["IsTruncated"] != "false" {
			t.Errorf("%q: %q, truncated %s; want %q", query, lines, values["IsTruncated"], want)
		}
	}
	// Pages of any size, put together, are the whole listing.
	for _, size := range []string{"1", "2", "3", "5"} {
		for _, more := range []string{"", "&delimiter=%2F"} {
			want, _ := listVersions(t, g, more)
			var got []string
			after := ""
			for range 10 {
				lines, values := listVersions(t, g, "max-keys="+size+more+after)
				got = append(got, lines...)
				if values["IsTruncated"] != "true" {
					break
				}
				after = "&key-marker=" + url.QueryEscape(values["NextKeyMarker"])
				if v := values["NextVersionIdMarker"]; v != "" {
					after += "&version-id-marker=" + v
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("pages of %s%s: %q, want %q", size, more, got, want)
			}
		}
	}
	for query, want := range map[string]string{
		"version-id-marker=" + a: "InvalidArgument", "version-id-marker=": "InvalidArgument",
		"key-marker=a&version-id-marker=x": "InvalidArgument", "encoding-type=x": "InvalidArgument", "max-keys=-1": "InvalidArgument",
	} {
		expect(t, query, g.Do(t, g.Root, "GET", "/bkt?versions&"+query, nil), 400, want)
	}
	putVersion(t, g, "/bkt/x%20y", "x")
	if res := g.Must(t, 200, "GET", "/bkt?versions&encoding-type=url&prefix=x+", nil); !strings.Contains(string(res.Body), "<Key>x+y</Key>") {
		t.Errorf("encoded: %s", res.Body)
	}
}

// Listings show an object's storage class.
func TestListedStorageClass(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/ia", nil, "X-Amz-Storage-Class", "STANDARD_IA")
	g.Must(t, 200, "PUT", "/bkt/standard", nil)
	for _, target := range []string{"/bkt", "/bkt?list-type=2", "/bkt?versions"} {
		body := string(g.Must(t, 200, "GET", target, nil).Body)
		if strings.Count(body, "<StorageClass>STANDARD_IA</StorageClass>") != 1 || strings.Count(body, "<StorageClass>STANDARD</StorageClass>") != 1 {
			t.Errorf("%s: %s", target, body)
		}
	}
}
