package api

import (
	"crypto/tls"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/strict"
)

// conditionHeaders are the headers whose values conditions may ask for, under
// the key s3: and the header's name. No other header is ever looked at.
// Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-policy-keys
var conditionHeaders = []string{
	"x-amz-acl", "x-amz-grant-full-control", "x-amz-grant-read", "x-amz-grant-read-acp", "x-amz-grant-write", "x-amz-grant-write-acp",
	"x-amz-copy-source", "x-amz-metadata-directive", "x-amz-storage-class", "x-amz-object-ownership", "x-amz-website-redirect-location",
	"x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-server-side-encryption-customer-algorithm",
	"x-amz-content-sha256", "if-match", "if-none-match",
}

// conditionQuery are the parameters, under the key s3: and their name.
var conditionQuery = []string{"prefix", "delimiter", "max-keys", "versionid"}

// lockHeaders have keys of other names.
var lockHeaders = map[string]string{
	"X-Amz-Object-Lock-Mode":              "s3:object-lock-mode",
	"X-Amz-Object-Lock-Retain-Until-Date": "s3:object-lock-retain-until-date",
	"X-Amz-Object-Lock-Legal-Hold":        "s3:object-lock-legal-hold",
}

// conditions are the values of the condition keys that the request itself has.
// They are gathered only where a policy may ask.
func (r *Request) conditions() access.Context {
	if r.context == nil && r.hasPolicies() {
		r.context = r.gatherConditions()
	}
	return r.context
}

// hasPolicies reports whether any policy takes part in deciding the request.
func (r *Request) hasPolicies() bool {
	p := &r.Principal
	if len(p.Identity) > 0 || len(p.Session) > 0 || p.Boundary != nil || r.Op.Header == "X-Amz-Copy-Source" {
		return true
	}
	f := r.bucketFacts(r.Bucket)
	return f != nil && f.Policy != nil
}

func (r *Request) gatherConditions() access.Context {
	now := r.Now.UTC()
	c := access.Context{
		"aws:currenttime":     {now.Format(time.RFC3339)},
		"aws:epochtime":       {strconv.FormatInt(now.Unix(), 10)},
		"aws:securetransport": {strconv.FormatBool(r.secure())},
	}
	if ip := r.sourceIP(); ip != "" {
		c["aws:sourceip"] = []string{ip}
	}
	if t := r.HTTP.TLS; t != nil {
		c["s3:tlsversion"] = []string{strings.TrimPrefix(tls.VersionName(t.Version), "TLS ")}
	}
	for name, key := range map[string]string{"User-Agent": "aws:useragent", "Referer": "aws:referer"} {
		if r.HasHeader(name) {
			c[key] = []string{r.Header(name)}
		}
	}
	for _, name := range conditionHeaders {
		if r.HasHeader(name) {
			c["s3:"+name] = []string{r.Header(name)}
		}
	}
	for name, key := range lockHeaders {
		if r.HasHeader(name) {
			c[key] = []string{r.Header(name)}
		}
	}
	r.queryConditions(c)
	r.signatureConditions(c)
	r.tagConditions(c)
	r.retentionCondition(c)
	return c
}

func (r *Request) queryConditions(c access.Context) {
	for _, p := range r.Target.Query {
		name := strings.ToLower(p.Name)
		for _, known := range conditionQuery {
			if name == known {
				c["s3:"+known] = []string{p.Value}
			}
		}
	}
}

// signatureConditions tell how the request was signed.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html
func (r *Request) signatureConditions(c access.Context) {
	id := r.identity
	if id == nil || id.AccessKey == "" {
		return
	}
	c["s3:signatureversion"] = []string{"AWS4-HMAC-SHA256"}
	c["s3:authtype"] = []string{"REST-HEADER"}
	switch {
	case r.form != nil:
		c["s3:authtype"] = []string{"POST"}
	case id.Presigned:
		c["s3:authtype"] = []string{"REST-QUERY-STRING"}
	}
	c["s3:signatureage"] = []string{strconv.FormatInt(max(0, r.Now.Sub(id.Date).Milliseconds()), 10)}
}

// tagConditions are the tags that the object or bucket is to get.
func (r *Request) tagConditions(c access.Context) {
	if !r.HasHeader("X-Amz-Tagging") {
		return
	}
	tags, err := url.ParseQuery(r.Header("X-Amz-Tagging"))
	if err != nil {
		return // refused by the operation
	}
	for name, values := range tags {
		c["s3:requestobjecttag/"+name] = values
		c["s3:requestobjecttagkeys"] = append(c["s3:requestobjecttagkeys"], name)
	}
}

// retentionCondition is the number of days for which the request locks.
func (r *Request) retentionCondition(c access.Context) {
	until, ok := strict.DateTime(r.Header("X-Amz-Object-Lock-Retain-Until-Date"))
	if ok {
		days := int(until.Sub(r.Now).Hours() / 24)
		c["s3:object-lock-remaining-retention-days"] = []string{strconv.Itoa(max(0, days))}
	}
}
