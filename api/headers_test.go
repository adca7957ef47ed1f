package api

import (
	"errors"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/s3err"
)

func TestHeaderRules(t *testing.T) {
	for _, c := range []struct {
		name, value string
		err         error
	}{
		{"x-amz-server-side-encryption", "AES256", nil},
		{"x-amz-server-side-encryption", "aws:kms", nil},
		{"x-amz-server-side-encryption", "aws:kms:dsse", s3err.NotImplemented},
		{"x-amz-server-side-encryption", "ROT13", s3err.InvalidArgument},
		{"x-amz-write-offset-bytes", "5", s3err.NotImplemented},
		{"x-amz-checksum-crc32", "x", nil},
		{"x-amz-meta-acl", "public-read", nil},
		{"x-amz-storage-class", "STANDARD", nil},
		{"x-amz-user-agent", "aws-sdk-js", nil},
		{"x-amz-request-payer", "requester", nil},
	} {
		h := http.Header{}
		h.Set(c.name, c.value)
		if err := checkHeaderRules(&Operation{Name: "PutObject"}, h); !errors.Is(err, c.err) {
			t.Errorf("%s: %s: %v, want %v", c.name, c.value, err, c.err)
		}
	}
	source := http.Header{renameSourceHeader: {"b/k"}}
	for i := range Operations {
		op := &Operations[i]
		if err := checkHeaderRules(op, source); (err == nil) != (op.Name == "RenameObject") {
			t.Errorf("%s with the source of a rename: %v", op.Name, err)
		}
	}
}

func TestCheckRepeated(t *testing.T) {
	for _, c := range []struct {
		header, query string
		err           error
	}{
		{header: "X-Amz-Meta-A"},
		{header: "X-Amz-Object-Attributes"},
		{header: "Accept"},
		{header: "X-Amz-Copy-Source", err: s3err.InvalidArgument},
		{header: "X-Amz-Expected-Bucket-Owner", err: s3err.InvalidArgument},
		{header: "X-Amz-Something-New", err: s3err.InvalidArgument},
		{header: "Content-Md5", err: s3err.InvalidArgument},
		{header: "Range", err: s3err.InvalidArgument},
		{header: "If-None-Match", err: s3err.InvalidArgument},
		{query: "unknown=1&unknown=2"},
		{query: "prefix=1&prefix=2", err: s3err.InvalidArgument},
		{query: "uploadId=1&partNumber=1&uploadId=2", err: s3err.InvalidArgument},
		{query: "versionId=1&version%49d=2", err: s3err.InvalidArgument},
	} {
		target, err := ParseTarget("/b/k?"+c.query, "host", nil)
		if err != nil {
			t.Fatal(err)
		}
		r := &Request{HTTP: &http.Request{Header: http.Header{}}, Target: target}
		if c.header != "" {
			r.HTTP.Header[c.header] = []string{"1", "2"}
		}
		if err := r.checkRepeated(); !errors.Is(err, c.err) {
			t.Errorf("%s?%s: %v, want %v", c.header, c.query, err, c.err)
		}
	}
}

func TestCheckHeaderSize(t *testing.T) {
	many := http.Header{}
	for i := range MaxHeaderFields + 1 {
		many.Add("X", decimal(i))
	}
	for name, c := range map[string]struct {
		h   http.Header
		err error
	}{
		"usual":     {http.Header{"A": {"b"}}, nil},
		"many":      {many, s3err.RequestHeaderSectionTooLarge},
		"long":      {http.Header{"A": {strings.Repeat("a", MaxHeaderBytes)}}, s3err.RequestHeaderSectionTooLarge},
		"line end":  {http.Header{"A": {"b\nc"}}, s3err.InvalidArgument},
		"carriage":  {http.Header{"A": {"b\rc"}}, s3err.InvalidArgument},
		"zero byte": {http.Header{"A": {"b\x00c"}}, s3err.InvalidArgument},
	} {
		if err := checkHeaderSize(c.h); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
	}
}

// TestHeaderNames: a capitalized name that Request.Header is asked for must be in
// canonical form, since a header under any other spelling would be overlooked.
func TestHeaderNames(t *testing.T) {
	// Content-MD5 stands in an error; the others are no headers.
	others := []string{"Content-MD5", "REST-HEADER", "REST-QUERY-STRING", "UTF-8", "SSE-C", "SSE-KMS", "SSE-S3", "UNSIGNED-PAYLOAD", "STREAMING-", "AWS4-HMAC-SHA256"}
	shape := regexp.MustCompile(`^[A-Z][A-Za-z0-9]*(-[A-Za-z0-9]*)+$`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != gotoken.STRING {
				return true
			}
			name, err := strconv.Unquote(lit.Value)
			if err != nil || !shape.MatchString(name) || slices.Contains(others, name) {
				return true
			}
			if found++; name != http.CanonicalHeaderKey(name) {
				t.Errorf("%s: %q; Request.Header finds %q only", file, name, http.CanonicalHeaderKey(name))
			}
			return true
		})
	}
	if found < 50 {
		t.Errorf("%d names were found", found)
	}
}
