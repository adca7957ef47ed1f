package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// corsVary lists the request headers that an answer depends on in a bucket with
// CORS rules.
const corsVary = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

// preflight answers the question that a browser asks before it sends a page's
// request to another origin. It is never signed, depends on the bucket's CORS
// rules alone, and allows nothing by itself.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTOPTIONSobject.html
func preflight(s *Server, r *Request) (*Reply, error) {
	origin, method := r.Header("Origin"), r.Header("Access-Control-Request-Method")
	if origin == "" {
		return nil, s3err.New(s3err.BadRequest, "Insufficient information. Origin request header needed.")
	}
	if !slices.Contains(corsMethods, method) {
		if !r.HasHeader("Access-Control-Request-Method") {
			method = "null"
		}
		return nil, s3err.New(s3err.BadRequest, "Invalid Access-Control-Request-Method: %s", method)
	}
	headers, err := requestedHeaders(r.Header("Access-Control-Request-Headers"))
	if err != nil {
		return nil, err
	}
	rules, ok, err := setting[corsRules](s, r, settingCORS)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, r.corsForbidden(method, "CORSResponse: CORS is not enabled for this bucket.")
	}
	rule, matched := rules.find(origin, method, headers)
	if rule == nil {
		// The spelling is S3's.
		return nil, r.corsForbidden(method, "CORSResponse: This CORS request is not allowed. "+
			"This is usually because the evalution of Origin, request method / Access-Control-Request-Method "+
			"or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.")
	}
	h := http.Header{}
	rule.set(h, origin, matched, headers)
	return &Reply{Header: h}, nil
}

// requestedHeaders parses Access-Control-Request-Headers.
func requestedHeaders(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		trimmed := strings.TrimSpace(name)
		if trimmed == "" || !isToken(strings.ToLower(trimmed)) {
			return nil, s3err.New(s3err.BadRequest, `Access-Control-Request-Headers "%s" contains invalid character.`, name)
		}
		names = append(names, trimmed)
	}
	return names, nil
}

// corsForbidden refuses a preflight in S3's words.
func (r *Request) corsForbidden(method, message string) error {
	return s3err.New(s3err.AccessForbidden, "%s", message).With("Method", method).
		With("ResourceType", strings.ToUpper(r.Target.Scope().String()))
}

// set writes what a rule allows: the origin, of which matched is the rule's
// pattern, and the headers. As on S3, credentials are allowed to every origin
// that the rule names by more than a bare *. That is safe because the gateway
// authorizes nothing by cookies, the only credentials that a browser adds by
// itself.
func (rule *corsRule) set(h http.Header, origin, matched string, headers []string) {
	if matched == "*" {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(rule.Methods, ", "))
	if len(headers) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.ToLower(strings.Join(headers, ", ")))
	}
	if len(rule.Expose) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(rule.Expose, ", "))
	}
	if rule.MaxAge != nil {
		h.Set("Access-Control-Max-Age", decimal(*rule.MaxAge))
	}
	h.Set("Vary", corsVary)
}

// addCORS lets the page that sent a request read the answer, errors included,
// where the bucket's rules allow it. Otherwise a script would not learn what
// was wrong. A request with the headers of a preflight is judged by them, as on
// S3; browsers send none.
func (x *exchange) addCORS() {
	r := x.req
	origin := r.Header("Origin")
	if origin == "" || r.Op != nil && r.Op.Preflight || !x.knowsBucket() {
		return
	}
	rules, ok, err := setting[corsRules](x.server, r, settingCORS)
	if err != nil || !ok {
		return // unreadable rules allow nothing
	}
	h := x.w.Header()
	h.Set("Vary", corsVary)
	method := r.HTTP.Method
	if asked := r.Header("Access-Control-Request-Method"); asked != "" {
		method = asked
	}
	headers, err := requestedHeaders(r.Header("Access-Control-Request-Headers"))
	if err != nil {
		return
	}
	if rule, matched := rules.find(origin, method, headers); rule != nil {
		rule.set(h, origin, matched, headers)
	}
}
