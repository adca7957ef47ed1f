package api

import (
	"crypto/tls"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/sigv4"
)

// conditions returns the request's values of condition keys. They are gathered
// only when a policy may ask for one.
func (r *Request) conditions() access.Context {
	if r.context == nil && r.hasPolicies() {
		r.context = r.gatherConditions()
	}
	return r.context
}

// hasPolicies reports whether any policy takes part in the decision.
func (r *Request) hasPolicies() bool {
	p := &r.Principal
	// The source of a copy, or another bucket named in the document, may have
	// one.
	if len(p.Identity) > 0 || len(p.Session) > 0 || p.Boundary != nil || r.Op.Header == copySourceHeader || r.Op.Elsewhere {
		return true
	}
	f := r.bucketFacts(r.Bucket)
	return f != nil && f.Policy != nil
}

// gatherConditions fills the global keys of AWS, then the keys that every S3
// request has, then those of the operation. Of the headers, only the two about
// the client are read here; all other values come from asked, so that policies
// and handlers see the same.
func (r *Request) gatherConditions() access.Context {
	now := r.Now.UTC()
	c := access.Context{
		"aws:currenttime":     {now.Format(time.RFC3339)},
		"aws:epochtime":       {strconv.FormatInt(now.Unix(), 10)},
		"aws:securetransport": {strconv.FormatBool(r.secure())},
		"aws:requestedregion": {r.server.region},
	}
	if ip := r.sourceIP(); ip != "" {
		c["aws:sourceip"] = []string{ip}
	}
	if t := r.HTTP.TLS; t != nil {
		c["s3:tlsversion"] = []string{strings.TrimPrefix(tls.VersionName(t.Version), "TLS ")}
	}
	// Absent headers have no key at all: an empty value would match some
	// operators.
	for name, key := range map[string]string{"User-Agent": "aws:useragent", "Referer": "aws:referer"} {
		if r.HasHeader(name) {
			c[key] = []string{r.Header(name)}
		}
	}
	r.signatureConditions(c)
	for i := range operationKeys {
		if slices.Contains(operationKeys[i].of, r.Op.Name) {
			operationKeys[i].fill(r, &r.asked, c)
		}
	}
	return c
}

// signatureConditions fills the keys about the signature.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html
func (r *Request) signatureConditions(c access.Context) {
	id := r.identity
	if id == nil {
		return
	}
	if r.form != nil {
		c["s3:x-amz-content-sha256"] = []string{unsignedPayload} // the signature does not cover the file
	} else if text := id.ContentSHA256(); text != "" {
		c["s3:x-amz-content-sha256"] = []string{text}
	}
	if id.AccessKey == "" {
		return
	}
	// A clock that is behind the client's must not produce a negative age.
	age := strconv.FormatInt(max(0, r.Now.Sub(id.Date).Milliseconds()), 10)
	if c["s3:signatureversion"] = []string{"AWS4-HMAC-SHA256"}; id.Version == sigv4.Version2 {
		c["s3:signatureversion"], age = []string{"AWS"}, "0" // the source documents 0 for Version 2
	}
	c["s3:authtype"] = []string{"REST-HEADER"}
	switch {
	case r.form != nil:
		c["s3:authtype"] = []string{"POST"}
	case id.Presigned:
		c["s3:authtype"] = []string{"REST-QUERY-STRING"}
	}
	c["s3:signatureage"] = []string{age}
}

// unsignedPayload is the value of s3:x-amz-content-sha256 for an unsigned body.
const unsignedPayload = "UNSIGNED-PAYLOAD"

// Operations that share condition keys.
var (
	listings = []string{"ListObjects", "ListObjectsV2", "ListObjectVersions"}
	makings  = []string{"PutObject", "PostObject", "CopyObject", "CreateMultipartUpload"}
	// creations put an object in its place; partMakings only prepare one.
	creations   = []string{"PutObject", "PostObject", "CopyObject", "CompleteMultipartUpload", "RenameObject"}
	partMakings = []string{"CreateMultipartUpload", "UploadPart", "UploadPartCopy"}
	fillings    = []string{"UploadPart", "UploadPartCopy", "CompleteMultipartUpload"} // of an upload that was begun before
	copyings    = []string{"CopyObject", "UploadPartCopy"}
)

// operationKeys are the condition keys of particular operations. An operation
// that ignores a parameter does not show it to policies. Package access knows
// which of an operation's actions have a key.
// Sources:
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
var operationKeys = []struct {
	of   []string
	fill func(*Request, *asked, access.Context)
}{
	{listings, func(_ *Request, a *asked, c access.Context) {
		text(c, "s3:prefix", a.prefix)
		text(c, "s3:delimiter", a.delimiter)
		if a.maxKeys.known() {
			c["s3:max-keys"] = []string{strconv.Itoa(a.maxKeys.value)}
		}
	}},
	{makings, func(r *Request, a *asked, c access.Context) {
		text(c, "s3:x-amz-website-redirect-location", a.redirect)
		text(c, "s3:x-amz-server-side-encryption", a.encryption)
		text(c, "s3:x-amz-server-side-encryption-customer-algorithm", a.algorithm)
		if a.kmsKey.given {
			c["s3:x-amz-server-side-encryption-aws-kms-key-id"] = []string{r.namedKey(a.kmsKey.value)}
		}
		a.lockKeys(r, c)
		a.tagKeys(c)
	}},
	{append([]string{"PutObjectAcl"}, makings...), func(_ *Request, a *asked, c access.Context) {
		text(c, "s3:x-amz-storage-class", a.class)
	}},
	{append([]string{"CreateBucket", "PutBucketAcl", "PutObjectAcl"}, makings...), func(_ *Request, a *asked, c access.Context) {
		text(c, "s3:x-amz-acl", a.canned)
		// A grant in the document looks to policies like one in the header.
		for _, g := range slices.Concat(a.grants.value, a.granted.value.grants) {
			c[g.conditionKey()] = append(c[g.conditionKey()], g.String())
		}
	}},
	{copyings, func(_ *Request, a *asked, c access.Context) {
		if a.source.known() {
			c["s3:x-amz-copy-source"] = []string{a.source.value.String()}
		}
	}},
	{[]string{"CopyObject"}, func(_ *Request, a *asked, c access.Context) {
		if a.replaceMeta.known() {
			c["s3:x-amz-metadata-directive"] = []string{directiveName(a.replaceMeta.value)}
		}
	}},
	{append([]string{"DeleteObject"}, creations...), func(_ *Request, a *asked, c access.Context) {
		text(c, "s3:if-match", a.match)
	}},
	{creations, func(_ *Request, a *asked, c access.Context) {
		// A policy demands this condition so that nothing is replaced. A rename
		// also takes entity tags, which do not keep it from replacing.
		if a.none.value == "*" {
			text(c, "s3:if-none-match", a.none)
		}
		c["s3:objectcreationoperation"] = []string{"true"}
	}},
	{partMakings, func(_ *Request, _ *asked, c access.Context) {
		c["s3:objectcreationoperation"] = []string{"false"}
	}},
	{[]string{"PutObjectTagging"}, func(_ *Request, a *asked, c access.Context) { a.tagKeys(c) }},
	{[]string{"PutObjectRetention", "PutObjectLegalHold"}, func(r *Request, a *asked, c access.Context) { a.lockKeys(r, c) }},
	{[]string{"CreateBucket"}, func(r *Request, a *asked, c access.Context) {
		if region := r.server.locations(a.configuration); region != nil {
			c["s3:locationconstraint"] = region
		}
		if r.HasHeader(namespaceHeader) {
			c["s3:x-amz-bucket-namespace"] = []string{r.Header(namespaceHeader)}
		}
	}},
	{[]string{"CreateBucket", "PutBucketOwnershipControls"}, func(_ *Request, a *asked, c access.Context) {
		if a.ownership.known() {
			c["s3:x-amz-object-ownership"] = []string{string(a.ownership.value)}
		}
	}},
	{[]string{"DeleteBucketOwnershipControls"}, func(_ *Request, _ *asked, c access.Context) {
		// Without controls the writer owns an object: a policy that denies to
		// set this must not be evaded by a deletion.
		c["s3:x-amz-object-ownership"] = []string{string(access.ObjectWriter)}
	}},
	{[]string{"UntagResource"}, func(_ *Request, a *asked, c access.Context) {
		if a.untag.known() {
			c["aws:tagkeys"] = a.untag.value
		}
	}},
	{[]string{"CreateBucket", "PutBucketTagging", "TagResource"}, func(_ *Request, a *asked, c access.Context) {
		for _, t := range a.bucketTags.value {
			c.AddTag("aws:RequestTag/", t.Name, t.Value)
			c["aws:tagkeys"] = append(c["aws:tagkeys"], t.Name)
		}
	}},
	{[]string{"PutBucketInventoryConfiguration"}, func(_ *Request, a *asked, c access.Context) {
		if a.inventory.known() && len(a.inventory.value.Fields) > 0 {
			c["s3:inventoryaccessibleoptionalfields"] = a.inventory.value.Fields
		}
	}},
}

// text fills a key with a value as given, if it was given.
func text(c access.Context, key string, s said[string]) {
	if s.known() {
		c[key] = []string{s.value}
	}
}

// tagKeys fills the keys of the tags that an object is about to get.
func (a *asked) tagKeys(c access.Context) {
	for key, values := range requestTags(a.tags.value) {
		c[key] = values
	}
}

// requestTags returns the condition keys of tags that an object is about to
// get.
func requestTags(tags []engine.Pair) access.Context {
	c := access.Context{}
	for _, t := range tags {
		c.AddTag("s3:RequestObjectTag/", t.Name, t.Value)
		c["s3:requestobjecttagkeys"] = append(c["s3:requestobjecttagkeys"], t.Name)
	}
	return c
}

const day = 24 * 60 * 60 // seconds

// lockKeys fills the keys of the lock that an object is about to get. The
// bucket's default retention is not shown, as on AWS.
func (a *asked) lockKeys(r *Request, c access.Context) {
	if a.lockMode.known() {
		c["s3:object-lock-mode"] = []string{lockModeName(a.lockMode.value)}
	}
	if a.lockUntil.known() {
		until := a.lockUntil.value
		c["s3:object-lock-retain-until-date"] = []string{until.UTC().Format(time.RFC3339Nano)}
		c["s3:object-lock-remaining-retention-days"] = []string{strconv.FormatInt(max(0, (until.Unix()-r.Now.Unix())/day), 10)}
	}
	if a.hold.known() {
		c["s3:object-lock-legal-hold"] = []string{holdName(a.hold.value)}
	}
}
