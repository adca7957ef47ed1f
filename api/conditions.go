package api

import (
	"math"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// copySourcePrefix makes the name of a conditional header the one for a copy's
// source.
const copySourcePrefix = "X-Amz-Copy-Source-"

// readConditions returns the If-* headers of a GET or HEAD. Invalid dates are
// ignored, as RFC 9110, section 13.1.3 demands.
func (r *Request) readConditions() engine.Conditions {
	return engine.Conditions{
		IfMatch:           r.asked.match.value,
		IfNoneMatch:       r.asked.none.value,
		IfModifiedSince:   conditionDate(r.Header("If-Modified-Since")),
		IfUnmodifiedSince: conditionDate(r.Header("If-Unmodified-Since")),
	}
}

// sourceConditions returns the x-amz-copy-source-if-* headers.
func (r *Request) sourceConditions() (engine.Conditions, error) {
	return r.strictConditions(copySourcePrefix)
}

// strictConditions returns the If-* headers with a prefix. Unreadable dates and
// empty entity tags are refused: ignoring them would copy or rename an object
// against the client's condition.
func (r *Request) strictConditions(prefix string) (engine.Conditions, error) {
	for _, name := range []string{prefix + "If-Match", prefix + "If-None-Match"} {
		if r.HasHeader(name) && strings.TrimSpace(r.Header(name)) == "" {
			return engine.Conditions{}, invalidHeader(strings.ToLower(name), r.Header(name))
		}
	}
	c := engine.Conditions{IfMatch: r.Header(prefix + "If-Match"), IfNoneMatch: r.Header(prefix + "If-None-Match")}
	if prefix == "" {
		c.IfMatch, c.IfNoneMatch = r.asked.match.value, r.asked.none.value
	}
	var err error
	if c.IfModifiedSince, err = r.strictDate(prefix + "If-Modified-Since"); err != nil {
		return c, err
	}
	c.IfUnmodifiedSince, err = r.strictDate(prefix + "If-Unmodified-Since")
	return c, err
}

// writeConditions returns the conditions on the key that a request writes. S3
// takes If-Match with an entity tag or If-None-Match with *. All others are
// refused, so that no condition is ignored.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (r *Request) writeConditions() (engine.Conditions, error) {
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		if r.HasHeader(name) {
			return engine.Conditions{}, unsupportedCondition(name)
		}
	}
	match, none := r.asked.match, r.asked.none
	switch {
	case match.given && none.given:
		return engine.Conditions{}, s3err.New(s3err.NotImplemented, "A header you provided implies functionality that is not implemented").
			With("Header", "If-Match,If-None-Match").With("AdditionalMessage", "Multiple conditional request headers present in the request")
	case none.given && none.value != "*":
		return engine.Conditions{}, unsupportedCondition("If-None-Match")
	case match.given && strings.TrimSpace(match.value) == "":
		return engine.Conditions{}, unsupportedCondition("If-Match")
	}
	// Judged lets the engine ask again if the key holds another object than the
	// one that was decided on.
	return engine.Conditions{
		IfMatch: match.value, IfNoneMatch: none.value,
		Replaces: r.replacesBy("s3:PutObject", &r.object), Judged: r.judged(),
	}, nil
}

// deleteConditions returns the conditions of a DeleteObject.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
func (r *Request) deleteConditions() (d engine.DeleteObject, err error) {
	for _, name := range []string{"If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if r.HasHeader(name) {
			return d, unsupportedCondition(name)
		}
	}
	if d.IfMatch = r.asked.match.value; r.asked.match.given && strings.TrimSpace(d.IfMatch) == "" {
		return d, unsupportedCondition("If-Match")
	}
	if r.HasHeader("X-Amz-If-Match-Size") {
		n, ok := strict.Number(r.Header("X-Amz-If-Match-Size"), math.MaxInt64)
		if !ok {
			return d, invalidHeader("x-amz-if-match-size", r.Header("X-Amz-If-Match-Size"))
		}
		d.IfSize = &n
	}
	d.IfModified, err = r.strictDate("X-Amz-If-Match-Last-Modified-Time")
	return d, err
}

// strictDate reads a header that must hold a valid date if it is sent.
func (r *Request) strictDate(name string) (time.Time, error) {
	if !r.HasHeader(name) {
		return time.Time{}, nil
	}
	t := conditionDate(r.Header(name))
	if t.IsZero() {
		return t, invalidHeader(strings.ToLower(name), r.Header(name))
	}
	return t, nil
}

// conditionDate parses the date of a condition, an HTTP date or S3's ISO 8601
// form. Anything else gives the zero time.
func conditionDate(s string) time.Time {
	if t, ok := strict.HTTPDate(s); ok {
		return t
	}
	t, _ := strict.DateTime(s)
	return t
}

// unsupportedCondition refuses a condition in S3's words.
func unsupportedCondition(header string) error {
	return s3err.New(s3err.NotImplemented, "A header you provided implies functionality that is not implemented").
		With("Header", header).
		With("AdditionalMessage", "We don't accept the provided value of "+header+" header for this API")
}

// invalidHeader refuses a header with an unreadable value.
func invalidHeader(name, value string) error {
	return s3err.New(s3err.InvalidArgument, "The value of the %s header is not valid.", name).
		With("ArgumentName", name).With("ArgumentValue", value)
}
