package api_test

import (
	"net/url"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// sampleRequest is a request that succeeds as it is.
type sampleRequest struct {
	operation    string
	method, path string
	query        [][2]string
	header       [][2]string
	body         string
	form         bool // send header and body as a form
	anonymous    bool
}

func (r *sampleRequest) setHeader(name, value string) {
	r.remove(name)
	r.addHeader(name, value)
}

func (r *sampleRequest) addHeader(name, value string) {
	r.header = append(r.header, [2]string{name, value})
}

func (r *sampleRequest) setQuery(name, value string) {
	r.remove(name)
	r.addQuery(name, value)
}

func (r *sampleRequest) addQuery(name, value string) {
	r.query = append(r.query, [2]string{name, value})
}

func (r *sampleRequest) remove(name string) {
	is := func(p [2]string) bool { return strings.EqualFold(p[0], name) }
	r.header, r.query = slices.DeleteFunc(r.header, is), slices.DeleteFunc(r.query, is)
}

// set is setQuery for a name that begins with a question mark, else setHeader.
func (r *sampleRequest) set(name, value string) {
	switch q, ok := strings.CutPrefix(name, "?"); {
	case name == "anonymous":
		r.anonymous = true
	case name == "path":
		r.path = value
	case name == "body":
		r.body = value
	case ok:
		r.setQuery(q, value)
	case name[0] == '-':
		r.remove(name[1:])
	default:
		r.setHeader(name, value)
	}
}

// target is the request target.
func (r *sampleRequest) target() string {
	target, joint := r.path, "?"
	for _, p := range r.query {
		target += joint + url.QueryEscape(p[0])
		if p[1] != "" {
			target += "=" + url.QueryEscape(p[1])
		}
		joint = "&"
	}
	return target
}

func (w *parameterWorld) send(r *sampleRequest) gatewaytest.Response {
	w.t.Helper()
	var flat []string
	for _, h := range r.header {
		value := strings.ReplaceAll(h[1], "{bodymd5}", contentDigest(r.body))
		flat = append(flat, h[0], strings.ReplaceAll(value, "{bodycrc32}", sum("CRC32", []byte(r.body))))
	}
	switch {
	case r.form:
		form := good(w.g, []byte(r.body), flat...)
		form.bucket = r.path[1:]
		return form.post(w.t, w.g, r.path)
	case r.anonymous:
		req := w.g.Request(w.t, r.method, r.target(), []byte(r.body))
		for _, h := range r.header {
			req.Header.Add(h[0], h[1])
		}
		return w.g.Send(w.t, req)
	}
	return w.g.Do(w.t, w.g.Root, r.method, r.target(), []byte(r.body), flat...)
}

// parameterRoad is a way to send a parameter.
type parameterRoad struct {
	name       string
	put, again func(r *sampleRequest, name, value string)
}

var (
	inHeader = parameterRoad{"header", (*sampleRequest).setHeader, (*sampleRequest).addHeader}
	inQuery  = parameterRoad{"query", (*sampleRequest).setQuery, (*sampleRequest).addQuery}
	// Presigned URLs may carry headers.
	hoisted = parameterRoad{"query of a header", func(r *sampleRequest, name, value string) {
		r.remove(name)
		r.addQuery(name, value)
	}, nil}
)

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}

// roads returns the ways to send a value of the row.
func (row *parameterRow) roads(operation, value string) []parameterRoad {
	if row.Query != "" {
		return []parameterRoad{inQuery}
	}
	var roads []parameterRoad
	if operation == "PostObject" || !hasControl(value) && strings.TrimSpace(value) == value {
		roads = append(roads, inHeader)
	}
	if operation != "PostObject" && strings.HasPrefix(row.Header, "x-amz-") &&
		!strings.HasPrefix(row.Header, "x-amz-checksum-") && row.Header != "x-amz-sdk-checksum-algorithm" &&
		!strings.HasPrefix(row.Header, "x-amz-copy-source") && !strings.HasSuffix(row.Header, "-customer-key") {
		roads = append(roads, hoisted)
	}
	return roads
}
