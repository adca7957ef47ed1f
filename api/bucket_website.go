package api

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// Limits of a website configuration.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketWebsite.html
const (
	maxWebsiteXML   = 128 << 10
	maxRoutingRules = 50
)

// website is a bucket's website configuration, as sent, stored and shown.
type website struct {
	XMLName     xml.Name      `xml:"WebsiteConfiguration" json:"-"`
	RedirectAll *redirectAll  `xml:"RedirectAllRequestsTo" json:"redirect_all,omitempty"`
	Index       *websiteIndex `xml:"IndexDocument" json:"index,omitempty"`
	Error       *websiteError `xml:"ErrorDocument" json:"error,omitempty"`
	Routing     *routingRules `xml:"RoutingRules" json:"routing,omitempty"`
}

// redirectAll sends every request to another host.
type redirectAll struct {
	Host     string `xml:"HostName" json:"host"`
	Protocol string `xml:"Protocol,omitempty" json:"protocol,omitempty"` // empty: the protocol of the request
}

type websiteIndex struct {
	Suffix string `xml:"Suffix" json:"suffix"` // is appended to keys that are empty or end in a slash
}

type websiteError struct {
	Key string `xml:"Key" json:"key"`
}

// routingRules are tried in order; the first that applies wins.
type routingRules struct {
	Rules []routingRule `xml:"RoutingRule" max:"50" json:"rules"`
}

// routingRule redirects requests that meet its condition. Without a condition
// it redirects all.
type routingRule struct {
	Condition *routingCondition `xml:"Condition" json:"condition,omitempty"`
	Redirect  *routingRedirect  `xml:"Redirect" json:"redirect"`
}

// routingCondition needs all of its parts. A rule with a Code applies after an
// error, any other before the object is looked up.
type routingCondition struct {
	Code   *int    `xml:"HttpErrorCodeReturnedEquals" json:"code,omitempty"`
	Prefix *string `xml:"KeyPrefixEquals" json:"prefix,omitempty"`
}

// routingRedirect changes parts of the request's URL and keeps the others.
type routingRedirect struct {
	Host     string  `xml:"HostName,omitempty" json:"host,omitempty"`
	Code     *int    `xml:"HttpRedirectCode" json:"code,omitempty"` // nil: 301
	Protocol string  `xml:"Protocol,omitempty" json:"protocol,omitempty"`
	Prefix   *string `xml:"ReplaceKeyPrefixWith" json:"prefix,omitempty"`
	Key      *string `xml:"ReplaceKeyWith" json:"key,omitempty"`
}

// redirectCodes are the statuses that a rule may answer with.
var redirectCodes = []int{301, 302, 303, 304, 305, 307, 308}

// isErrorStatus reports whether a rule may have the status as its condition.
func isErrorStatus(code int) bool { return code >= 400 && code <= 417 || code >= 500 && code <= 505 }

// putBucketWebsite makes the bucket a website.
var putBucketWebsite = replaceSetting(settingWebsite, parseWebsite)

// getBucketWebsite shows the configuration.
var getBucketWebsite = showSetting(settingWebsite, s3err.NoSuchWebsiteConfiguration, func(w website) any { return w })

// parseWebsite parses a WebsiteConfiguration. Its errors have S3's words.
func parseWebsite(document []byte) (website, error) {
	var w website
	if err := decodeXML(document, "WebsiteConfiguration", &w); tooMany(err, "RoutingRule") {
		return w, s3err.New(s3err.InvalidRequest,
			"More than %[1]d routing rules provided, the number of routing rules in a website configuration is limited to %[1]d.",
			maxRoutingRules)
	} else if err != nil {
		return w, err
	}
	if all := w.RedirectAll; all != nil {
		if w.Index != nil || w.Error != nil || w.Routing != nil || all.Host == "" {
			return w, s3err.MalformedXML
		}
		return w, checkPlace(all.Host, all.Protocol)
	}
	switch {
	case w.Index == nil:
		return w, s3err.New(s3err.InvalidArgument, "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty").
			With("ArgumentName", "IndexDocument").With("ArgumentValue", "null")
	case w.Index.Suffix == "" || strings.Contains(w.Index.Suffix, "/"):
		return w, s3err.New(s3err.InvalidArgument, "The IndexDocument Suffix is not well formed").
			With("ArgumentName", "IndexDocument").With("ArgumentValue", w.Index.Suffix)
	case w.Error != nil && w.Error.Key == "":
		return w, s3err.New(s3err.InvalidArgument, "The ErrorDocument Key is not well formed").
			With("ArgumentName", "ErrorDocument").With("ArgumentValue", "")
	case w.Routing == nil:
		return w, nil
	case len(w.Routing.Rules) == 0:
		return w, s3err.MalformedXML
	}
	for i := range w.Routing.Rules {
		if err := w.Routing.Rules[i].check(); err != nil {
			return w, err
		}
	}
	return w, nil
}

// sound implements the check of decodeXML for required elements.
func (rule *routingRule) sound() bool { return rule.Redirect != nil }

// check refuses rules that redirect nothing, or by codes that S3 does not take.
func (rule *routingRule) check() error {
	c, to := rule.Condition, rule.Redirect
	switch {
	case *to == routingRedirect{}, c != nil && *c == routingCondition{}:
		return s3err.MalformedXML
	case c != nil && c.Code != nil && !isErrorStatus(*c.Code):
		return s3err.New(s3err.InvalidRequest, "The provided HTTP error code (%d) is not valid. Valid codes are 4XX or 5XX.", *c.Code)
	case to.Code != nil && !slices.Contains(redirectCodes, *to.Code):
		return s3err.New(s3err.InvalidRequest, "The provided HTTP redirect code (%d) is not valid. Valid codes are 3XX except 300.", *to.Code)
	case to.Key != nil && to.Prefix != nil:
		return s3err.New(s3err.InvalidRequest, "You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
	}
	return checkPlace(to.Host, to.Protocol)
}

// checkPlace checks the target of a redirect. Both parts may be empty.
func checkPlace(host, protocol string) error {
	if protocol != "" && protocol != "http" && protocol != "https" {
		return s3err.New(s3err.InvalidRequest,
			"Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.")
	}
	if strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-:[]_") != "" {
		return s3err.New(s3err.InvalidRequest, "The host name of the redirect is not valid.")
	}
	return nil
}

// meets reports whether the rule redirects the key. status is 0 before the
// object is looked up, and the error's status afterwards.
func (rule *routingRule) meets(key string, status int) bool {
	c := rule.Condition
	if c == nil {
		return status == 0
	}
	if (c.Code == nil) != (status == 0) || c.Code != nil && *c.Code != status {
		return false
	}
	return c.Prefix == nil || strings.HasPrefix(key, *c.Prefix)
}

// target returns the key that the rule redirects to.
func (rule *routingRule) target(key string) string {
	switch to := rule.Redirect; {
	case to.Key != nil:
		return *to.Key
	case to.Prefix != nil:
		if rule.Condition != nil && rule.Condition.Prefix != nil {
			key = strings.TrimPrefix(key, *rule.Condition.Prefix)
		}
		return *to.Prefix + key
	}
	return key
}

// status returns the status that the rule answers with.
func (rule *routingRule) status() int {
	if rule.Redirect.Code != nil {
		return *rule.Redirect.Code
	}
	return http.StatusMovedPermanently
}
