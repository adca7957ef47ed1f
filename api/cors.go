package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// corsVary are the request headers on which an answer depends where a bucket has
// CORS rules.
const corsVary = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

// preflight answers the question that a browser asks before it sends a page's
// request to another origin. It is never signed, tells of the bucket's CORS rules
// and nothing else, and allows nothing by itself.
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
		return nil, r.corsForbidden(method, "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.")
	}
	h := http.Header{}
	rule.set(h, origin, matched, headers)
	return &Reply{Header: h}, nil
}

// requestedHeaders reads Access-Control-Request-Headers.
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

func (r *Request) corsForbidden(method, message string) error {
	return s3err.New(s3err.AccessForbidden, "%s", message).With("Method", method).
		With("ResourceType", strings.ToUpper(r.Target.Scope().String()))
}

// set writes what a rule allows to the origin, which one of its origins matched,
// and to the headers that were asked about. Credentials are allowed as on S3, to
// every origin but a bare *: none are of use here that a browser would send by
// itself, for nothing is authorized by a cookie.
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

// addCORS lets the page that sent a request read the answer, be it an error, where
// the bucket's rules allow it. Without it a script would not even learn of what
// was wrong. A request that says what a preflight would, of whatever method, is
// judged by that, as on S3; browsers send none.
func (x *exchange) addCORS() {
	r := x.req
	origin := r.Header("Origin")
	if origin == "" || r.Op != nil && r.Op.Preflight || !x.knowsBucket() {
		return
	}
	rules, ok, err := setting[corsRules](x.server, r, settingCORS)
	if err != nil || !ok {
		return // closed: rules that cannot be read allow nothing
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
