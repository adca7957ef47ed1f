package s3

import (
	"os"
	"strings"
	"testing"
)

func TestDialectAt(t *testing.T) {
	for host, want := range map[string]string{
		"s3.amazonaws.com":                       "aws",
		"s3.dualstack.eu-west-1.amazonaws.com":   "aws",
		"s3.cn-north-1.amazonaws.com.cn":         "aws",
		"abc.r2.cloudflarestorage.com":           "r2",
		"s3.us-west-004.backblazeb2.com":         "b2",
		"s3.eu-central-1.wasabisys.com":          "wasabi",
		"storage.googleapis.com":                 "gcs",
		"fra1.digitaloceanspaces.com":            "digitalocean",
		"fsn1.your-objectstorage.com":            "hetzner",
		"s3.fr-par.scw.cloud":                    "scaleway",
		"s3.gra.io.cloud.ovh.net":                "ovh",
		"gateway.storjshare.io":                  "storj",
		"127.0.0.1":                              "generic",
		"amazonaws.com.example.org":              "generic",
		"evilamazonaws.com":                      "generic",
		"s3.internal.example.org":                "generic",
		"storage.googleapis.com.evil.example.or": "generic",
	} {
		if got := dialectAt(host).Name; got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}

// The claims of a row must hang together.
func TestDialectTable(t *testing.T) {
	for _, name := range Dialects() {
		d := dialectNamed(name)
		if d.Name != name || (d.Echo && !d.CRC32C) || (d.Trailers && !d.CRC32C) || (d.ConditionalComplete && !d.Conditional) {
			t.Errorf("%s contradicts itself: %+v", name, d)
		}
		if d.SingleLimit < smallBody || d.MinPart <= 0 || d.MaxPart < d.MinPart || d.MaxParts < 1000 {
			t.Errorf("%s has impossible limits: %+v", name, d)
		}
		if len(d.Hosts) == 0 && !d.Probe {
			t.Errorf("%s is never found by auto", name)
		}
	}
}

// docs/backends.md has a row for each dialect.
func TestDialectsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/backends.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Dialects() {
		if !strings.Contains(string(doc), "\n| `"+name+"` |") {
			t.Errorf("docs/backends.md has no row for the dialect %s", name)
		}
	}
}

func TestPartSize(t *testing.T) {
	b := &Backend{dialect: dialectNamed("aws"), opts: Options{PartSize: DefaultPartSize}}
	for _, c := range []struct{ size, setting, want int64 }{
		{6 * gib, DefaultPartSize, DefaultPartSize},
		{6 * gib, 1, awsMinPart},
		{6 * gib, 10 * gib, awsMaxPart},
		{10_000 * DefaultPartSize, DefaultPartSize, DefaultPartSize},
		{10_000*DefaultPartSize + 1, DefaultPartSize, DefaultPartSize + 1},
		{10_000 * 5 * gib, DefaultPartSize, 5 * gib},
		{10_000*5*gib + 1, DefaultPartSize, 0},
	} {
		b.opts.PartSize = c.setting
		if got, err := b.partSize(c.size); got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%d bytes, setting %d: %d, %v; want %d", c.size, c.setting, got, err, c.want)
		}
	}
}
