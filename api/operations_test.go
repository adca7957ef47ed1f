package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

// example makes a request that means the row and has no other parameters.
func (op *Operation) example() (target string, h http.Header) {
	target = map[Scope]string{Service: "/", BucketScope: "/bucket", ObjectScope: "/bucket/key", ControlScope: op.controlPath()}[op.Scope]
	h = http.Header{}
	if op.Scope == ControlScope {
		h.Set(accountHeader, "123456789012")
	}
	if len(op.Query) > 0 {
		target += "?" + strings.Join(op.Query, "&")
	}
	if op.Header != "" {
		h.Set(op.Header, "bucket/source")
	}
	return target, h
}

// controlPath returns the path for a row of S3 Control, about a bucket if the
// row is.
func (op *Operation) controlPath() string {
	return controlPath + strings.Replace(op.Path, "*", "bucket", 1)
}

func resolve(t *testing.T, method, target string, h http.Header) (*Operation, error) {
	t.Helper()
	parsed, err := ParseTarget(target, "host", nil)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.ofControl(h).resolve(method, h)
}

func TestEachRowResolvesToItself(t *testing.T) {
	for i := range Operations {
		op := &Operations[i]
		target, h := op.example()
		joint := "?"
		if strings.Contains(target, "?") {
			joint = "&"
		}
		targets := []string{target, target + joint + "unknown=1&id2"}
		if !strings.Contains(target, ignoredQuery+"=") {
			targets = append(targets, target+joint+"x-id="+op.Name, target+joint+"x-id=DeleteObject")
		}
		for _, name := range op.Accept {
			targets = append(targets, target+joint+name+"=1")
		}
		for _, target := range targets {
			got, err := resolve(t, op.Method, target, h)
			if err != nil || got != op {
				t.Errorf("%s %s: %v (%v), want %s", op.Method, target, got, err, op.Name)
			}
		}
	}
}

func TestRowsAreWellFormed(t *testing.T) {
	names := make(map[string]bool)
	for i := range Operations {
		op := &Operations[i]
		if names[op.Name] {
			t.Errorf("%s: two rows", op.Name)
		}
		names[op.Name] = true
		if op.Needs == nil {
			t.Errorf("%s: states no need", op.Name)
		}
		if (op.Body != NoBody) != (op.MaxBody > 0) {
			t.Errorf("%s: body kind %d with limit %d", op.Name, op.Body, op.MaxBody)
		}
		if op.Header != "" && op.Header != http.CanonicalHeaderKey(op.Header) {
			t.Errorf("%s: header %q is not canonical", op.Name, op.Header)
		}
	}
}

// Nobody can be allowed an action that package access does not know, so each
// row needs actions that it knows, with a version and without.
func TestActionsOfRowsExist(t *testing.T) {
	known := make(map[string]bool)
	for _, a := range access.Actions {
		known[a.Name] = true
	}
	for i := range Operations {
		op := &Operations[i]
		target, h := op.example()
		parsed, err := ParseTarget(target, "host", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, version := range []said[meta.VersionRef]{{}, saying(parseVersion("null"))} {
			r := &Request{Op: op, Target: parsed, server: &Server{}, HTTP: &http.Request{Method: op.Method, Header: h}}
			r.asked.version, r.object.version = version, version
			needs, err := op.Needs(r)
			if err != nil {
				continue // copies and renames refuse strangers before they need anything
			}
			for _, n := range needs {
				if strings.HasPrefix(n.Action, "s3:") && !known[n.Action] {
					t.Errorf("%s needs %s, which access/actions.go does not list", op.Name, n.Action)
				}
			}
		}
	}
}

// objectRows are the operations of a bare object path.
var objectRows = []string{"GetObject", "HeadObject", "PutObject", "CopyObject", "DeleteObject"}

// TestSubresourcesNeverReachPlainObjects checks that a sub-resource, with any
// method and on any path, never means the object, bucket or service itself.
func TestSubresourcesNeverReachPlainObjects(t *testing.T) {
	copying := http.Header{"X-Amz-Copy-Source": {"b/k"}}
	for name := range selecting {
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"} {
			for _, path := range []string{"/", "/b", "/b/k"} {
				for _, h := range []http.Header{{}, copying} {
					for _, query := range []string{name, name + "=", name + "=x", "x-id=PutObject&" + name} {
						op, err := resolve(t, method, path+"?"+query, h)
						if err != nil {
							c := s3err.From(err).Code
							told := c == s3err.InvalidRequest && (name == "versions" || name == "uploads")
							if c != s3err.MethodNotAllowed && c != s3err.InvalidArgument && !told {
								t.Errorf("%s %s?%s: %v", method, path, query, err)
							}
							continue
						}
						if op.Preflight {
							continue // asks about the described request, whatever it is
						}
						if !slices.Contains(op.Query, name) && !slices.Contains(op.Accept, name) {
							t.Errorf("%s %s?%s means %s", method, path, query, op.Name)
						}
						if len(op.Query) == 0 && name != "versionId" && name != "partNumber" {
							t.Errorf("%s %s?%s means the bare %s", method, path, query, op.Name)
						}
					}
				}
			}
		}
	}
}

func TestResolve(t *testing.T) {
	copying := http.Header{"X-Amz-Copy-Source": {"b/k"}}
	for _, c := range []struct {
		request string
		h       http.Header
		name    string
		err     error
	}{
		{request: "PUT /b/k", name: "PutObject"},
		{request: "PUT /b/k", h: copying, name: "CopyObject"},
		{request: "PUT /b/k?uploadId=u&partNumber=1", name: "UploadPart"},
		{request: "PUT /b/k?partNumber=1&uploadId=u", h: copying, name: "UploadPartCopy"},
		{request: "PUT /b/k?acl", name: "PutObjectAcl"},
		{request: "PUT /b/k?acl", h: copying, name: "PutObjectAcl"},
		{request: "PUT /b/k?%61cl=", name: "PutObjectAcl"},
		{request: "PUT /b/k?tagging", name: "PutObjectTagging"},
		{request: "PUT /b/k?retention", name: "PutObjectRetention"},
		{request: "PUT /b/k?legal-hold", name: "PutObjectLegalHold"},
		{request: "PUT /b/k?acl&versionId=null", name: "PutObjectAcl"},
		{request: "GET /b?list-type=2", name: "ListObjectsV2"},
		{request: "GET /b?list-type=1", name: "ListObjects"},
		{request: "GET /b?prefix=uploads", name: "ListObjects"},
		{request: "GET /b?analytics&id=1", name: "GetBucketAnalyticsConfiguration"},
		{request: "GET /b?analytics", name: "ListBucketAnalyticsConfigurations"},
		{request: "GET /b/k?annotation&annotationName=n", name: "GetObjectAnnotation"},
		{request: "POST /b?delete", name: "DeleteObjects"},
		{request: "POST /b", name: "PostObject"},
		{request: "OPTIONS /b?uploads", name: "OptionsBucket"},
		{request: "OPTIONS /b/k?partNumber=1&uploadId=u", name: "OptionsObject"},
		{request: "POST /b/k?select&select-type=2", name: "SelectObjectContent"},
		{request: "GET /?x-id=ListDirectoryBuckets", name: "ListDirectoryBuckets"},
		{request: "GET /b/k?id=5&list-type=2", name: "GetObject"},

		{request: "PUT /b/k?uploadId=u", err: s3err.MethodNotAllowed},
		{request: "PUT /b/k?partNumber=1", err: s3err.InvalidArgument},
		{request: "GET /b/k?uploads", err: s3err.InvalidRequest},
		{request: "PUT /b/k?partNumber=1", err: s3err.InvalidArgument},
		{request: "PUT /b/k?versionId=v", err: s3err.InvalidArgument},
		{request: "PUT /b/k?uploads", err: s3err.MethodNotAllowed},
		{request: "PUT /b/k?acl&tagging", err: s3err.InvalidArgument},
		{request: "PUT /b/k?acl&uploadId=u&partNumber=1", err: s3err.InvalidArgument},
		{request: "PUT /b/k?cors", err: s3err.MethodNotAllowed},
		{request: "DELETE /b/k?acl", err: s3err.MethodNotAllowed},
		{request: "DELETE /b?location", err: s3err.MethodNotAllowed},
		{request: "DELETE /b?versioning", err: s3err.MethodNotAllowed},
		{request: "POST /b/k", err: s3err.MethodNotAllowed},
		{request: "PUT /", err: s3err.MethodNotAllowed},
		{request: "DELETE /", err: s3err.MethodNotAllowed},
		{request: "PATCH /b/k", err: s3err.MethodNotAllowed},
		{request: "TRACE /b/k", err: s3err.MethodNotAllowed},
		{request: "get /b/k", err: s3err.MethodNotAllowed},
		{request: "GET /?acl", err: s3err.MethodNotAllowed},
	} {
		method, target, _ := strings.Cut(c.request, " ")
		op, err := resolve(t, method, target, c.h)
		switch {
		case !errors.Is(err, c.err):
			t.Errorf("%s: error %v, want %v", c.request, err, c.err)
		case err == nil && op.Name != c.name:
			t.Errorf("%s: %s, want %s", c.request, op.Name, c.name)
		}
	}
}

// FuzzResolve checks that no query reaches a row of another method or scope,
// and that no selecting parameter is overlooked.
func FuzzResolve(f *testing.F) {
	for _, q := range []string{"", "acl", "uploadId=x&partNumber=1", "%61cl", "acl;tagging", "&&acl", "Acl", "list-type=2&acl"} {
		f.Add("PUT", 2, q, false)
	}
	f.Fuzz(func(t *testing.T, method string, scope int, raw string, copying bool) {
		q, err := sigv4.ParseQuery(raw)
		if err != nil {
			return
		}
		h := http.Header{}
		if copying {
			h.Set("X-Amz-Copy-Source", "b/k")
		}
		op, err := Resolve(method, Scope(scope), q, h)
		if err != nil {
			if s3err.From(err).Code == s3err.InternalError {
				t.Fatal(err)
			}
			return
		}
		if op.Method != method || op.Scope != Scope(scope) || copying && op.Name == "PutObject" {
			t.Fatalf("%s in scope %d means %s", method, scope, op.Name)
		}
		for _, p := range q {
			if selecting[p.Name] && slices.Contains(objectRows, op.Name) && p.Name != "versionId" && p.Name != "partNumber" {
				t.Fatalf("%s ?%s means %s", method, raw, op.Name)
			}
		}
	})
}
