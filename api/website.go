package api

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

// serveWebsite answers a request whose Host is below a website domain. Its
// sender is anonymous, even if the request is signed, and its query has no
// effect. It shows only objects and the pages and redirects of the bucket's
// website configuration.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteEndpoints.html
func (x *exchange) serveWebsite(bucket string) (*Reply, error) {
	s, r := x.server, x.req
	x.html = true
	r.Principal, r.identity = access.Principal{}, &sigv4.Identity{}
	signed, err := sigv4.ReceivedTarget(r.HTTP.RequestURI, r.HTTP.Host)
	if err != nil {
		return nil, err
	}
	_, query, _ := strings.Cut(r.HTTP.RequestURI, "?")
	r.Target = Target{Bucket: bucket, Key: signed.Path[1:], VirtualHost: true, Signed: signed}
	// The same checks as for other targets: a website must not reach keys that
	// S3 requests cannot.
	if err := checkTarget(r.Target); err != nil {
		return nil, err
	}
	if err := checkClimb(r.HTTP.Method, r.Target.Key); err != nil {
		return nil, err
	}
	if r.Op = websiteOperation(r.HTTP.Method); r.Op == nil {
		return nil, s3err.New(s3err.MethodNotAllowed, "").With("Method", r.HTTP.Method)
	}
	if r.Bucket, err = s.engine.Buckets().Get(r.Context(), bucket); err != nil {
		return nil, err
	}
	if r.Op.Preflight {
		return r.Op.Handle(s, r)
	}
	w, ok, err := setting[website](s, r, settingWebsite)
	if err == nil && !ok {
		err = s3err.New(s3err.NoSuchWebsiteConfiguration, "").With("BucketName", bucket)
	}
	if err != nil {
		return nil, err
	}
	if err := x.limitBucket(); err != nil {
		return nil, err
	}
	v := visit{exchange: x, site: w, key: r.Target.Key, query: query}
	return v.answer()
}

// websiteOperation returns the row of the operation that a method means at a
// website; nil when it means none.
func websiteOperation(method string) *Operation {
	name := map[string]string{
		http.MethodGet: "GetObject", http.MethodHead: "HeadObject", http.MethodOptions: "OptionsObject",
	}[method]
	i := slices.IndexFunc(Operations, func(op Operation) bool { return op.Name == name })
	if i < 0 {
		return nil
	}
	return &Operations[i]
}

// visit is one request to a website.
type visit struct {
	*exchange
	site       website
	key, query string // as requested
}

// answer tries redirects without a condition on errors, then the object, then
// redirects for its error, then the error document.
func (v *visit) answer() (*Reply, error) {
	if all := v.site.RedirectAll; all != nil {
		return v.redirect(http.StatusMovedPermanently, all.Protocol, all.Host, v.key), nil
	}
	if reply := v.route(0); reply != nil {
		return reply, nil
	}
	reply, err := v.page()
	if err == nil {
		return reply, nil
	}
	e := s3err.From(err)
	// These errors are answers about the requested object itself, or failures
	// of the gateway. A page of the site must not replace them.
	if e.Code.Status() >= 500 || errors.Is(err, s3err.NotModified) ||
		errors.Is(err, s3err.PreconditionFailed) || errors.Is(err, s3err.InvalidRange) {
		return nil, err
	}
	if reply := v.route(e.Code.Status()); reply != nil {
		return reply, nil
	}
	return v.errorPage(err)
}

// route returns the redirect of the first rule that applies; nil when none
// does.
func (v *visit) route(status int) *Reply {
	if v.site.Routing == nil {
		return nil
	}
	for i := range v.site.Routing.Rules {
		if rule := &v.site.Routing.Rules[i]; rule.meets(v.key, status) {
			return v.redirect(rule.status(), rule.Redirect.Protocol, rule.Redirect.Host, rule.target(v.key))
		}
	}
	return nil
}

// redirect leads to a key. An empty host or protocol is the request's.
func (v *visit) redirect(status int, protocol, host, key string) *Reply {
	u := url.URL{Scheme: protocol, Host: host, Path: "/" + key, RawQuery: v.query}
	if u.Host == "" {
		u.Host = v.req.HTTP.Host
	}
	if u.Scheme == "" {
		u.Scheme = v.req.scheme()
	}
	return &Reply{Status: status, Header: http.Header{"Location": {u.String()}}}
}

// page returns the object of the key, or the index document of a folder.
func (v *visit) page() (*Reply, error) {
	suffix := v.site.Index.Suffix
	if v.key == "" || strings.HasSuffix(v.key, "/") {
		return v.object(v.key + suffix)
	}
	reply, err := v.object(v.key)
	// AccessDenied stands for an absent key as well, because an anonymous
	// sender may not list.
	if !errors.Is(err, s3err.NoSuchKey) && !errors.Is(err, s3err.AccessDenied) {
		return reply, err
	}
	index, indexErr := v.object(v.key + "/" + suffix)
	if indexErr != nil {
		return nil, err
	}
	// Only its existence matters: browsers must be at the folder's URL, or
	// relative links on the page would be wrong.
	index.close()
	// A path of the same host: "//host" would lead to another.
	u := url.URL{Path: "/" + strings.TrimLeft(v.key, "/") + "/", RawQuery: v.query}
	return &Reply{Status: http.StatusFound, Header: http.Header{"Location": {u.String()}}}, nil
}

// object answers as an anonymous GetObject of the key.
func (v *visit) object(key string) (*Reply, error) {
	s, r := v.server, v.req
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	var err error
	r.Target.Key = key
	r.readAsked()
	if err = v.resolveBucket(); err != nil {
		return nil, err
	}
	if err := v.authorize(); err != nil {
		return nil, err
	}
	reply, err := r.Op.Handle(s, r)
	if err != nil {
		return nil, r.hide(err)
	}
	if to := reply.Header.Get("X-Amz-Website-Redirect-Location"); to != "" {
		reply.close()
		return &Reply{Status: http.StatusMovedPermanently, Header: http.Header{"Location": {to}}}, nil
	}
	return reply, nil
}

// errorPage returns the bucket's error document with the status of the error,
// or the error itself.
func (v *visit) errorPage(cause error) (*Reply, error) {
	if v.site.Error == nil {
		return nil, cause
	}
	r := v.req
	plain := *r.HTTP
	plain.Header = r.HTTP.Header.Clone()
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"} {
		plain.Header.Del(name) // they were about the requested page
	}
	r.HTTP = &plain
	reply, err := v.object(v.site.Error.Key)
	if err != nil {
		return nil, cause
	}
	if reply.Status != http.StatusMovedPermanently {
		e := s3err.From(cause)
		reply.Status = e.Code.Status()
		showError(reply.Header, e)
	}
	return reply, nil
}

// showError names an error in the header, as websites do for programs.
func showError(h http.Header, e *s3err.Error) {
	h.Set("X-Amz-Error-Code", string(e.Code))
	h.Set("X-Amz-Error-Message", e.Code.Message())
}

// appendHTML writes an error as websites show it.
func (x *exchange) appendHTML(b []byte, e *s3err.Error) []byte {
	message := e.Message
	if message == "" {
		message = e.Code.Message()
	}
	status := e.Code.Status()
	title := decimal(status) + " " + http.StatusText(status)
	b = append(b, "<html>\n<head><title>"...)
	b = append(appendText(b, title), "</title></head>\n<body>\n<h1>"...)
	b = append(appendText(b, title), "</h1>\n<ul>\n"...)
	line := func(name, value string) {
		b = append(appendText(append(b, "<li>"...), name+": "+value), "</li>\n"...)
	}
	line("Code", string(e.Code))
	line("Message", message)
	for _, f := range e.Fields {
		line(f.Name, f.Value)
	}
	line("RequestId", x.req.ID)
	line("HostId", instance)
	return append(b, "</ul>\n<hr/>\n</body>\n</html>\n"...)
}
