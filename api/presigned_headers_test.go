package api

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/sanctum-storage/gateway/s3err"
)

func TestQueryHeaders(t *testing.T) {
	given := http.Header{"X-Amz-Acl": {"private"}, "Range": {"bytes=0-1"}}
	for _, c := range []struct {
		name, value string
		header      string // the header that it becomes
		err         error
	}{
		{"X-Amz-Meta-A", "v", "X-Amz-Meta-A", nil},
		{"x-amz-storage-class", "GLACIER_IR", "X-Amz-Storage-Class", nil},
		{"x-amz-server-side-encryption-customer-key", "k", "", s3err.InvalidArgument}, // and then refused
		{"X-Amz-Acl", "private", "X-Amz-Acl", nil},
		{"X-Amz-Acl", "public-read", "", s3err.InvalidArgument},
		{"x-amz-copy-source", "b/k", "", s3err.InvalidArgument},
		{"X-AMZ-COPY-SOURCE-RANGE", "bytes=0-1", "", s3err.InvalidArgument},
		{"x-amz-meta-a b", "v", "", s3err.InvalidArgument},
		{"x-amz-meta-a:b", "v", "", s3err.InvalidArgument},
		{"x-amz-meta-a", "v\r\nSet-Cookie: c", "", s3err.InvalidArgument},
		{"x-amz-checksum-crc32", "AAAAAA==", "", nil},
		{"x-amz-sdk-checksum-algorithm", "CRC32", "", nil},
		{"X-Amz-Signature", "s", "", nil},
		{"X-Amz-Date", "d", "", nil},
		{"x-amz-decoded-content-length", "5", "", nil},
		{"range", "bytes=2-3", "", nil},
		{"x-id", "PutObject", "", nil},
	} {
		target, err := ParseTarget("/b/k?"+url.QueryEscape(c.name)+"="+url.QueryEscape(c.value), "h", nil)
		if err != nil {
			t.Fatal(err)
		}
		h, err := withQueryHeaders(given, target)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if err != nil {
			continue
		}
		if c.header != "" && h.Get(c.header) != c.value {
			t.Errorf("%s: header %v", c.name, h)
		}
		if c.header == "" && len(h) != len(given) {
			t.Errorf("%s: became a header: %v", c.name, h)
		}
	}
	if len(given) != 2 {
		t.Errorf("the request's own header was changed: %v", given)
	}
}
