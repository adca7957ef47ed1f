package api

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// Limits of a CORS configuration.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html
const (
	maxCORSRules = 100
	maxRuleID    = 255
)

// corsRules is a bucket's CORS configuration, as sent, stored and shown.
type corsRules struct {
	XMLName xml.Name   `xml:"CORSConfiguration" json:"-"`
	Rules   []corsRule `xml:"CORSRule" max:"100" json:"rules"`
}

// corsRule allows origins to send some methods with some headers. An origin and
// an allowed header may contain one *.
type corsRule struct {
	ID      string   `xml:"ID,omitempty" json:"id,omitempty"`
	Headers []string `xml:"AllowedHeader" max:"1000" json:"headers,omitempty"`
	Methods []string `xml:"AllowedMethod" max:"100" json:"methods"`
	Origins []string `xml:"AllowedOrigin" max:"1000" json:"origins"`
	Expose  []string `xml:"ExposeHeader" max:"1000" json:"expose,omitempty"`
	MaxAge  *int     `xml:"MaxAgeSeconds" json:"max_age,omitempty"` // seconds; S3 accepts negative ones
}

// corsMethods are the methods that a rule may allow.
var corsMethods = []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodHead}

// putBucketCORS replaces the CORS configuration of a bucket.
var putBucketCORS = replaceSetting(settingCORS, parseCORS)

// getBucketCORS shows it.
var getBucketCORS = showSetting(settingCORS, s3err.NoSuchCORSConfiguration, func(c corsRules) any { return c })

// parseCORS parses a CORSConfiguration.
func parseCORS(document []byte) (corsRules, error) {
	var c corsRules
	switch err := decodeXML(document, "CORSConfiguration", &c); {
	case tooMany(err, "CORSRule"):
		return c, s3err.New(s3err.InvalidRequest, "The number of CORS rules should not exceed allowed limit of %d rules.", maxCORSRules)
	case err != nil:
		return c, err
	case len(c.Rules) == 0:
		return c, s3err.MalformedXML
	}
	for i := range c.Rules {
		if err := c.Rules[i].check(); err != nil {
			return c, err
		}
	}
	return c, nil
}

// sound implements the check of decodeXML for required elements.
func (rule *corsRule) sound() bool { return len(rule.Methods) > 0 && len(rule.Origins) > 0 }

// check refuses rules that S3 refuses, with S3's messages.
func (rule *corsRule) check() error {
	if len(rule.ID) > maxRuleID {
		return ruleIDTooLong()
	}
	for _, m := range rule.Methods {
		if !slices.Contains(corsMethods, m) {
			return s3err.New(s3err.InvalidRequest, "Found unsupported HTTP method in CORS config. Unsupported method is %s", m)
		}
	}
	for _, o := range rule.Origins {
		if strings.Count(o, "*") > 1 {
			return s3err.New(s3err.InvalidRequest, `AllowedOrigin "%s" can not have more than one wildcard.`, o)
		}
		// The origin is sent back in a header.
		if o == "" || strings.ContainsFunc(o, func(c rune) bool { return c < ' ' || c >= 0x7f }) {
			return s3err.New(s3err.InvalidRequest, `AllowedOrigin "%s" contains invalid character.`, o)
		}
	}
	for _, h := range rule.Headers {
		if strings.Count(h, "*") > 1 {
			return s3err.New(s3err.InvalidRequest, `AllowedHeader "%s" can not have more than one wildcard.`, h)
		}
		if !isToken(strings.ToLower(h)) {
			return s3err.New(s3err.InvalidRequest, `AllowedHeader "%s" contains invalid character.`, h)
		}
	}
	for _, h := range rule.Expose {
		if strings.Contains(h, "*") {
			return s3err.New(s3err.InvalidRequest, `ExposeHeader "%s" contains wildcard. We currently do not support wildcard for ExposeHeader.`, h)
		}
		if !isToken(strings.ToLower(h)) {
			return s3err.New(s3err.InvalidRequest, `ExposeHeader "%s" contains invalid character.`, h)
		}
	}
	return nil
}

// ruleIDTooLong refuses the id of a rule, in any configuration.
func ruleIDTooLong() error {
	return s3err.New(s3err.InvalidArgument, "ID length should not exceed allowed limit of %d", maxRuleID)
}

// find returns the first rule that allows a request, and its matching origin;
// nil when no rule does.
func (c *corsRules) find(origin, method string, headers []string) (*corsRule, string) {
	for i := range c.Rules {
		rule := &c.Rules[i]
		j := slices.IndexFunc(rule.Origins, func(o string) bool { return starMatch(o, origin) })
		if j >= 0 && slices.Contains(rule.Methods, method) && rule.allowsHeaders(headers) {
			return rule, rule.Origins[j]
		}
	}
	return nil, ""
}

// allowsHeaders reports whether a page may send all of the headers. Case does
// not matter.
func (rule *corsRule) allowsHeaders(headers []string) bool {
	for _, h := range headers {
		h = strings.ToLower(h)
		if !slices.ContainsFunc(rule.Headers, func(p string) bool { return starMatch(strings.ToLower(p), h) }) {
			return false
		}
	}
	return true
}

// starMatch matches s with a pattern that contains at most one *.
func starMatch(pattern, s string) bool {
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	// The length keeps the two parts from sharing bytes of s.
	return len(s) >= len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
}
