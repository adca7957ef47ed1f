package gcs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/internal/servers"
)

func TestOptionsAreChecked(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.json")
	if err := os.WriteFile(empty, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		field  string
		change func(*Options)
	}{
		{"Endpoint", func(o *Options) { o.Endpoint = "http://storage.example.com" }},
		{"Endpoint", func(o *Options) { o.Endpoint = "ftp://127.0.0.1" }},
		{"Endpoint", func(o *Options) { o.Endpoint = "storage.example.com" }},
		{"Endpoint", func(o *Options) { o.Endpoint += "/storage/v1" }},
		{"Endpoint", func(o *Options) { o.Endpoint = "http://user:pass@127.0.0.1" }},
		{"Endpoint", func(o *Options) { o.Endpoint = "http://user:pass@127.0.0.1:x" }},
		{"Bucket", func(o *Options) { o.Bucket = "" }},
		{"Bucket", func(o *Options) { o.Bucket = "a/b" }},
		{"Bucket", func(o *Options) { o.Bucket = "a..b" }},
		{"Bucket", func(o *Options) { o.Bucket = "Capital" }},
		{"Bucket", func(o *Options) { o.Bucket = "not-there" }},
		{"Prefix", func(o *Options) { o.Prefix = strings.Repeat("p", MaxPrefix+1) }},
		{"Prefix", func(o *Options) { o.Prefix = "a\nb" }},
		{"Prefix", func(o *Options) { o.Prefix = "\xff" }},
		{"StorageClass", func(o *Options) { o.StorageClass = "cold line" }},
		{"Anonymous", func(o *Options) { o.CredentialsFile = empty }},
		{"CredentialsFile", func(o *Options) { o.Anonymous, o.CredentialsFile = false, empty }},
		{"CredentialsFile", func(o *Options) { o.Anonymous, o.CredentialsFile = false, empty+"-not-there" }},
		{"CAFile", func(o *Options) { o.CAFile = empty }},
		{"CAFile", func(o *Options) { o.CAFile = empty + "-not-there" }},
		{"ConnectTimeout", func(o *Options) { o.ConnectTimeout = -time.Second }},
	} {
		o := local(t)
		c.change(&o)
		b, err := Open(t.Context(), o)
		if err == nil {
			b.Close()
			t.Errorf("accepted: %+v", o)
			continue
		}
		if !strings.Contains(err.Error(), c.field) || strings.Contains(err.Error(), "pass@") {
			t.Errorf("%v: want the field %s and no password", err, c.field)
		}
		if o.Bucket == "not-there" && !errors.Is(err, ErrNoBucket) {
			t.Errorf("no bucket: %v", err)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	free, err := servers.FreeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	o := local(t)
	o.Endpoint = "http://" + free[0]
	if _, err := Open(t.Context(), o); !errors.Is(err, backends.ErrUnavailable) || !strings.Contains(err.Error(), "Endpoint") {
		t.Errorf("Open: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("shutting down")
	cancel(why)
	if _, err := Open(ctx, o); !errors.Is(err, why) {
		t.Errorf("Open under an ended context: %v", err)
	}
}

func TestStorageClass(t *testing.T) {
	p := newBetween(t)
	o := local(t)
	o.Endpoint, o.StorageClass = p.URL, "NEARLINE"
	b := mustOpen(t, o)
	head, _, _ := b.frame("n", "")
	if !strings.Contains(string(head), `"storageClass":"NEARLINE"`) || !strings.Contains(string(head), `no-transform`) {
		t.Errorf("the upload begins %q", head)
	}
	mustPut(t, b, "stored")
}
