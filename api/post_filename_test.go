package api_test

import (
	"strings"
	"testing"
)

// ${filename} becomes the file's name in every field of a form before the field
// is used, by the form's policy as well.
func TestFilenameInEveryField(t *testing.T) {
	g := start(t)
	const name = "cat 1.png"
	for field, header := range map[string]string{
		"x-amz-meta-name": "X-Amz-Meta-Name", "Cache-Control": "Cache-Control", "Content-Type": "Content-Type", "Content-Disposition": "Content-Disposition",
		"Content-Encoding": "Content-Encoding", "Content-Language": "Content-Language", "Expires": "Expires", "x-amz-website-redirect-location": "X-Amz-Website-Redirect-Location",
	} {
		u := good(g, []byte("x"), "key", "k", field, "/${filename}/${filename}")
		u.filename = name
		if res := u.post(t, g, "/bkt"); res.Status != 204 {
			t.Errorf("%s: %d %s", field, res.Status, res.Body)
			continue
		}
		expectHeaders(t, field, g.Must(t, 200, "HEAD", "/bkt/k", nil), header, "/"+name+"/"+name)
	}
	for _, c := range []struct{ field, value, filename, want string }{
		{"acl", "${filename}", "private", ""},
		{"acl", "${filename}", "nobody", "InvalidArgument"},
		{"x-amz-storage-class", "${filename}", "STANDARD_IA", ""},
		{"x-amz-storage-class", "${filename}", "PAPER", "InvalidStorageClass"},
		{"tagging", "<Tagging><TagSet><Tag><Key>file</Key><Value>${filename}</Value></Tag></TagSet></Tagging>", name, ""},
		{"x-amz-server-side-encryption", "${filename}", "AES256", ""},
		{"x-amz-checksum-crc32", "${filename}", "jNxfVg==", "BadDigest"}, // the checksum of another file
	} {
		u := good(g, []byte("x"), "key", "k", c.field, c.value)
		u.filename = c.filename
		if res := u.post(t, g, "/bkt"); res.Code() != c.want || c.want == "" && res.Status != 204 {
			t.Errorf("%s %s: %d %s, want %q", c.field, c.filename, res.Status, res.Body, c.want)
		}
	}
	tagged := good(g, []byte("x"), "key", "k", "tagging", "<Tagging><TagSet><Tag><Key>file</Key><Value>${filename}</Value></Tag></TagSet></Tagging>")
	tagged.filename = name
	tagged.post(t, g, "/bkt")
	if got := g.Must(t, 200, "GET", "/bkt/k?tagging", nil).Element("Value"); got != name {
		t.Errorf("tagged with %q", got)
	}
	for field, value := range map[string]string{"success_action_redirect": "http://ex.test/${filename}", "redirect": "http://ex.test/x?f=${filename}"} {
		u := good(g, []byte("x"), "key", "k", field, value)
		u.filename = "cat.png"
		want := strings.ReplaceAll(value, "${filename}", "cat.png")
		if res := u.post(t, g, "/bkt"); res.Status != 303 || !strings.HasPrefix(res.Header.Get("Location"), want) {
			t.Errorf("%s: %d %s", field, res.Status, res.Header.Get("Location"))
		}
	}
	status := good(g, []byte("x"), "key", "k", "success_action_status", "${filename}")
	status.filename = "201"
	if res := status.post(t, g, "/bkt"); res.Status != 201 {
		t.Errorf("status: %d", res.Status)
	}
}

// A policy is about the fields as they are used.
func TestFilenameBeforeConditions(t *testing.T) {
	g := start(t)
	for _, c := range []struct {
		condition []any
		code      string
	}{
		{[]any{"eq", "$key", "up/cat.png"}, ""},
		{[]any{"starts-with", "$key", "up/cat"}, ""},
		{[]any{"eq", "$x-amz-meta-name", "cat.png"}, ""},
		{[]any{"eq", "$key", "up/${filename}"}, "AccessDenied"},
		{[]any{"starts-with", "$x-amz-meta-name", "${"}, "AccessDenied"},
		{[]any{"starts-with", "$key", "up/dog"}, "AccessDenied"},
	} {
		u := good(g, []byte("x"), "key", "up/${filename}", "x-amz-meta-name", "${filename}")
		u.filename, u.conditions = "cat.png", []any{c.condition}
		if res := u.post(t, g, "/bkt"); res.Code() != c.code {
			t.Errorf("%v: %d %s", c.condition, res.Status, res.Body)
		}
	}
}

// A file name that is repeated many times is bounded like any form.
func TestFilenameIsBounded(t *testing.T) {
	g := start(t)
	for _, field := range []string{"key", "x-amz-meta-name", "note"} {
		fields := []string{field, strings.Repeat("${filename}", 1500)}
		if field != "key" {
			fields = append(fields, "key", "k")
		}
		u := good(g, []byte("x"), fields...)
		u.filename = strings.Repeat("n", 1000)
		expect(t, field, u.post(t, g, "/bkt"), 400, "MaxPostPreDataLengthExceededError")
	}
}
