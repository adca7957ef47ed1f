package sigv4

import (
	"net/http"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

const (
	maxAuthorizationBytes = 16 << 10
	maxAccessKeyBytes     = 128

	// S3's messages.
	messageUnsupported = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
	messageOnlyOne     = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, " +
		"Signature query string parameter or the Authorization header should be specified"
	messageIncomplete = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, " +
		"X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
	messageFields   = "the authorization header requires three components: Credential, SignedHeaders, and Signature."
	messageNoDate   = "AWS authentication requires a valid Date or x-amz-date header"
	messageExpected = `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`
)

// place is where a request carries its credentials. S3 words errors differently
// for each.
type place int

const (
	nowhere place = iota
	inHeader
	inQuery
	inForm
)

// claim holds the statements of a request about itself, before they are
// verified.
type claim struct {
	place         place
	version       Version
	accessKey     string
	scope         Scope
	terminal      string // must be terminator
	signedHeaders string
	signature     string
	token         string // "" means none
	stamp         string // the date as signed
	date          time.Time
	expires       time.Duration // Version4 inQuery only
	end           time.Time     // Version2 inQuery only
}

// malformed refuses a credential in S3's words for its place.
func (p place) malformed(format string, args ...any) *s3err.Error {
	switch p {
	case inQuery:
		return s3err.New(s3err.AuthorizationQueryParametersError, "Error parsing the X-Amz-Credential parameter; "+format, args...)
	case inForm:
		return s3err.New(s3err.InvalidArgument, "Error parsing the X-Amz-Credential parameter; "+format, args...).
			With("ArgumentName", "x-amz-credential")
	}
	return s3err.New(s3err.AuthorizationHeaderMalformed, "The authorization header is malformed; "+format, args...)
}

// readClaim finds the one place with credentials and parses them. A session
// token may go with both versions.
func (v *Verifier) readClaim(h http.Header, q Query) (*claim, error) {
	auth, inAuth := h["Authorization"]
	v4, v2, token := false, false, false
	for _, p := range q {
		switch name := p.Name; {
		case strings.EqualFold(name, tokenHeader):
			token = true
		case hasFoldedPrefix(name, "x-amz-") && isQueryAuth(name):
			v4 = true
		case name == "Signature", name == "AWSAccessKeyId":
			v2 = true
		}
	}
	// A session token alone is an incomplete signature of Version 4, and not an
	// anonymous request.
	v4 = v4 || token && !v2
	switch {
	case inAuth && (v4 || v2 || len(auth) != 1) || v4 && v2:
		return nil, s3err.New(s3err.InvalidArgument, messageOnlyOne).With("ArgumentName", "Authorization")
	case v2:
		return v.queryClaim2(h, q)
	case inAuth:
		return v.headerClaim(h, auth[0])
	case v4:
		if h[tokenHeader] != nil { // ambiguous: it may belong to other credentials
			return nil, s3err.InvalidToken
		}
		return queryClaim(q)
	}
	return nil, ErrAnonymous
}

// Claimed returns the access key that a request names, and its session token,
// if any. It reports false for a request that names none or is malformed.
// Nothing is verified, and for Version 2 it reports none.
func Claimed(h http.Header, q Query) (accessKey, token string, ok bool) {
	c, err := new(Verifier).readClaim(h, q)
	if err != nil || len(c.accessKey) > maxAccessKeyBytes {
		return "", "", false
	}
	return c.accessKey, c.token, true
}

// isQueryAuth ignores case, so that a misspelt credential is refused as such
// and does not make the request anonymous.
func isQueryAuth(name string) bool {
	for _, p := range [...]string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature",
		"X-Amz-SignedHeaders", "X-Amz-Expires", "X-Amz-Date"} {
		if strings.EqualFold(name, p) {
			return true
		}
	}
	return false
}

// tokenHeader carries a session token, in the header or in the query.
const tokenHeader = "X-Amz-Security-Token"

// headerClaim parses an Authorization header of either version.
func (v *Verifier) headerClaim(h http.Header, auth string) (*claim, error) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(auth), " ")
	switch {
	case !ok || len(auth) > maxAuthorizationBytes:
		return nil, s3err.New(s3err.InvalidArgument, "Authorization header is invalid -- one and only one ' ' (space) required.").
			With("ArgumentName", "Authorization").With("ArgumentValue", shortValue(auth))
	case scheme == algorithm2:
		return v.headerClaim2(h, rest)
	case scheme == algorithmA:
		return nil, s3err.New(s3err.InvalidRequest, messageUnsupported)
	case scheme != algorithm:
		return nil, s3err.New(s3err.InvalidArgument, "Unsupported Authorization Type").
			With("ArgumentName", "Authorization").With("ArgumentValue", shortValue(scheme))
	}
	c := &claim{place: inHeader, version: Version4}
	credential, err := c.parseComponents(rest)
	if err != nil {
		return nil, err
	}
	if err := c.parseCredential(credential); err != nil {
		return nil, err
	}
	if err := c.readToken(h); err != nil {
		return nil, err
	}
	if !c.readDate(h) {
		return nil, s3err.New(s3err.AccessDenied, messageNoDate)
	}
	return c, nil
}

// readToken reads the session token in the header.
func (c *claim) readToken(h http.Header) error {
	tokens := h[tokenHeader]
	if tokens == nil {
		return nil
	}
	if len(tokens) != 1 || tokens[0] == "" {
		return s3err.InvalidToken
	}
	c.token = tokens[0]
	return nil
}

// shortValue bounds a value that an error repeats.
func shortValue(s string) string { return s[:min(len(s), maxAccessKeyBytes)] }

// parseComponents parses "Credential=…, SignedHeaders=…, Signature=…" in any
// order, each exactly once, and returns the credential.
func (c *claim) parseComponents(s string) (credential string, err error) {
	for part := range strings.SplitSeq(s, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		var field *string
		switch name {
		case "Credential":
			field = &credential
		case "SignedHeaders":
			field = &c.signedHeaders
		case "Signature":
			field = &c.signature
		}
		if !ok || field == nil || *field != "" {
			return "", c.place.malformed(messageFields)
		}
		*field = value
	}
	switch {
	case credential == "":
		return "", c.place.malformed("missing Credential.")
	case c.signedHeaders == "":
		return "", c.place.malformed("missing SignedHeaders.")
	case c.signature == "":
		return "", c.place.malformed("missing Signature.")
	}
	return credential, nil
}

// readDate reads the time in x-amz-date or, without one, in Date. Several
// values are ambiguous. The signed text has the date in stampForm, whatever the
// form of the header.
func (c *claim) readDate(h http.Header) bool {
	values, ok := h["X-Amz-Date"]
	if !ok {
		values = h["Date"]
	}
	if len(values) != 1 {
		return false
	}
	t, ok := strict.Time(stampForm, values[0])
	if !ok {
		if t, ok = strict.HTTPDate(values[0]); !ok {
			if t, ok = strict.MailDate(values[0]); !ok {
				return false
			}
		}
	}
	c.date = t.UTC()
	c.stamp = c.date.Format(stampForm)
	return true
}

// queryClaim parses the parameters of a presigned URL of Version 4. Each is
// required exactly once.
func queryClaim(q Query) (*claim, error) {
	refuse := func(format string, args ...any) (*claim, error) {
		return nil, s3err.New(s3err.AuthorizationQueryParametersError, format, args...)
	}
	c := &claim{place: inQuery, version: Version4}
	var alg, credential, expires string
	for _, p := range []struct {
		name string
		to   *string
	}{
		{"X-Amz-Algorithm", &alg}, {"X-Amz-Credential", &credential}, {"X-Amz-Signature", &c.signature},
		{"X-Amz-Date", &c.stamp}, {"X-Amz-SignedHeaders", &c.signedHeaders}, {"X-Amz-Expires", &expires},
	} {
		if q.Count(p.name) != 1 {
			return refuse(messageIncomplete)
		}
		if *p.to, _ = q.Get(p.name); *p.to == "" {
			return refuse(messageIncomplete)
		}
	}
	if alg != algorithm {
		return refuse(`X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"`)
	}
	if err := c.parseCredential(credential); err != nil {
		return nil, err
	}
	var ok bool
	if c.date, ok = strict.Time(stampForm, c.stamp); !ok {
		return refuse(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	seconds, ok := strict.Integer(expires)
	switch {
	case !ok:
		return refuse("X-Amz-Expires should be a number")
	case seconds < 0:
		return refuse("X-Amz-Expires must be non-negative")
	case seconds == 0:
		return refuse("X-Amz-Expires must be at least 1 second")
	case seconds > int64(MaxPresignExpiry/time.Second):
		return refuse("X-Amz-Expires must be less than a week (in seconds); " +
			"that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	c.expires = time.Duration(seconds) * time.Second
	if n := q.Count(tokenHeader); n > 0 {
		if c.token, _ = q.Get(tokenHeader); n > 1 || c.token == "" {
			return nil, s3err.InvalidToken
		}
	}
	return c, nil
}

// parseCredential parses "accessKey/date/region/service/aws4_request".
func (c *claim) parseCredential(s string) error {
	parts := strings.Split(s, "/")
	if len(parts) != 5 {
		return c.place.malformed(messageExpected)
	}
	if parts[0] == "" {
		return c.place.malformed("a non-empty Access Key (AKID) must be provided in the credential.")
	}
	c.accessKey, c.terminal = parts[0], parts[4]
	c.scope = Scope{Date: parts[1], Region: parts[2], Service: parts[3]}
	return nil
}

// hasFoldedPrefix reports whether s begins with lower in any case.
func hasFoldedPrefix(s, lower string) bool {
	return len(s) >= len(lower) && strings.EqualFold(s[:len(lower)], lower)
}
