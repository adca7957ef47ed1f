package sigv4

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
	"github.com/sanctum-storage/gateway/weakhash"
)

// Version distinguishes signatures.
type Version int

const (
	// Version2 is HMAC-SHA1 over a short string. S3 calls it AWS.
	Version2 Version = 2
	// Version4 is AWS4-HMAC-SHA256.
	Version4 Version = 4

	algorithm2 = "AWS"
)

// Version2Use tells where signatures of Version 2 are accepted.
type Version2Use int

const (
	// Version2Off: nowhere.
	Version2Off Version2Use = iota
	// Version2Presigned: in URLs and forms, which are signed for others to use.
	Version2Presigned
	// Version2All: in the Authorization header too.
	Version2All
)

const (
	// maxEpoch is the last second of the year 9999, the largest value of
	// Expires.
	maxEpoch = 253402300799

	messageParts2  = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
	messageHeader2 = "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature"
)

// takes2 returns nil if Version 2 is accepted at the place.
func (v *Verifier) takes2(at place) error {
	if v.Version2 == Version2All || v.Version2 == Version2Presigned && at != inHeader {
		return nil
	}
	message := messageUnsupported
	if v.Refusal2 != "" {
		message += " " + v.Refusal2
	}
	return s3err.New(s3err.InvalidRequest, "%s", message)
}

// headerClaim2 parses "AWS accessKey:signature".
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
func (v *Verifier) headerClaim2(h http.Header, rest string) (*claim, error) {
	if err := v.takes2(inHeader); err != nil {
		return nil, err
	}
	c := &claim{place: inHeader, version: Version2}
	// A signature is base64 and has no colon.
	i := strings.LastIndexByte(rest, ':')
	if i <= 0 || i == len(rest)-1 {
		return nil, s3err.New(s3err.InvalidArgument, messageHeader2).
			With("ArgumentName", "Authorization").With("ArgumentValue", shortValue(algorithm2+" "+rest))
	}
	c.accessKey, c.signature = rest[:i], rest[i+1:]
	if err := c.readToken(h); err != nil {
		return nil, err
	}
	if !c.readDate(h) {
		return nil, s3err.New(s3err.AccessDenied, messageNoDate)
	}
	if h["X-Amz-Date"] != nil {
		c.stamp = "" // it is signed as one of the x-amz- headers
	} else {
		c.stamp = h.Get("Date")
	}
	return c, nil
}

// queryClaim2 reads the parameters of a URL that was signed with Version 2.
func (v *Verifier) queryClaim2(h http.Header, q Query) (*claim, error) {
	if err := v.takes2(inQuery); err != nil {
		return nil, err
	}
	c := &claim{place: inQuery, version: Version2}
	for _, p := range []struct {
		name string
		to   *string
	}{{"AWSAccessKeyId", &c.accessKey}, {"Signature", &c.signature}, {"Expires", &c.stamp}} {
		if *p.to, _ = q.Get(p.name); *p.to == "" || q.Count(p.name) != 1 {
			return nil, s3err.New(s3err.AccessDenied, messageParts2)
		}
	}
	seconds, ok := strict.Number(c.stamp, maxEpoch)
	if !ok {
		return nil, s3err.New(s3err.AccessDenied, "Invalid date (should be seconds since epoch): %s", shortValue(c.stamp))
	}
	c.end = time.Unix(seconds, 0).UTC()
	if err := c.readToken(h); err != nil {
		return nil, err
	}
	for _, p := range q {
		if !strings.EqualFold(p.Name, tokenHeader) {
			continue
		}
		if c.token != "" || p.Value == "" { // ambiguous: it may belong to other credentials
			return nil, s3err.InvalidToken
		}
		c.token = p.Value
	}
	return c, nil
}

// checkTime2 refuses requests that were signed too long ago or in the future,
// and URLs that have expired or are valid for too long. A URL of Version 2 does
// not tell when it was signed: it may be valid for MaxPresignExpiry from now.
func (v *Verifier) checkTime2(c *claim) error {
	if c.place != inQuery {
		return v.checkSkew(c)
	}
	now := v.now()
	const form = time.RFC3339
	switch {
	case now.After(c.end):
		return s3err.New(s3err.AccessDenied, "Request has expired").
			With("Expires", c.end.Format(form)).With("ServerTime", now.Format(form))
	case c.end.Sub(now) > MaxPresignExpiry+v.maxSkew():
		return s3err.New(s3err.AccessDenied, "Expires must be less than a week away; URLs with a longer validity are not accepted.").
			With("Expires", c.end.Format(form)).With("ServerTime", now.Format(form))
	}
	return nil
}

// verify2 is verify for a claim of Version 2. The signature covers the body
// only through a signed x-amz-content-sha256.
func (v *Verifier) verify2(r *http.Request, t Target, c *claim) (*Identity, error) {
	if err := v.checkTime2(c); err != nil {
		return nil, err
	}
	payload, err := claimedPayload(r.Header, t.Query, c.place, unsignedPayload)
	if err != nil {
		return nil, err
	}
	if payload.mode.Chunked() {
		return nil, s3err.New(s3err.InvalidRequest, "Bodies in the aws-chunked encoding require a signature of AWS4-HMAC-SHA256.")
	}
	text, err := stringToSign2(r, t, c)
	if err != nil {
		return nil, err
	}
	// SDKs request /bucket and sign /bucket/, which is the same to S3. A
	// percent-encoded slash ends a bucket's name too: the rest is a key.
	var slashed []byte
	if path := t.Path[1:]; t.HostBucket == "" && path != "" && !strings.Contains(path, "/") {
		t.RawPath += "/"
		if slashed, err = stringToSign2(r, t, c); err != nil {
			return nil, err
		}
	}
	err = v.prove(r.Context(), c, func(secret string) error {
		if validSignature2(secret, text, c.signature) || slashed != nil && validSignature2(secret, slashed, c.signature) {
			return nil
		}
		return mismatch2(c, r.Header, text)
	})
	if err != nil {
		return nil, err
	}
	return &Identity{AccessKey: c.accessKey, Version: Version2, Presigned: c.place == inQuery, Date: c.date,
		Payload: payload.mode, digest: payload.digest}, nil
}

// verifyPolicy2 is VerifyPolicy for a form that was signed with Version 2.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingHTTPPOST.html
func (v *Verifier) verifyPolicy2(ctx context.Context, p Policy) (*Identity, error) {
	if err := v.takes2(inForm); err != nil {
		return nil, err
	}
	if p.Algorithm != "" || p.Credential != "" || p.Date != "" || p.Signature != "" {
		return nil, s3err.New(s3err.InvalidArgument, messageOnlyOne).With("ArgumentName", "signature")
	}
	for _, field := range []struct{ name, value string }{
		{"policy", p.Policy}, {"AWSAccessKeyId", p.AccessKey2}, {"signature", p.Signature2},
	} {
		if field.value == "" {
			return nil, missingField(field.name)
		}
	}
	c := &claim{place: inForm, version: Version2, accessKey: p.AccessKey2, token: p.SecurityToken}
	err := v.prove(ctx, c, func(secret string) error {
		if validSignature2(secret, []byte(p.Policy), p.Signature2) {
			return nil
		}
		return policyMismatch(c.accessKey, p.Policy, p.Signature2)
	})
	if err != nil {
		return nil, err
	}
	return &Identity{AccessKey: c.accessKey, Version: Version2, Payload: Unsigned}, nil
}

// validSignature2 compares in constant time.
func validSignature2(secret string, text []byte, given string) bool {
	want := base64.StdEncoding.AppendEncode(make([]byte, 0, 28), weakhash.HMACSHA1([]byte(secret), text))
	return hmac.Equal(want, []byte(given))
}

// mismatch2 shows the client the text that the gateway signed, with the same
// exceptions as mismatch.
func mismatch2(c *claim, h http.Header, text []byte) error {
	e := s3err.New(s3err.SignatureDoesNotMatch, "").With("AWSAccessKeyId", c.accessKey)
	if c.place == inHeader {
		e.With("SignatureProvided", c.signature)
	}
	for name := range h {
		if strings.HasSuffix(strings.ToLower(name), "-customer-key") {
			return e
		}
	}
	if len(text) <= maxEchoed {
		e.With("StringToSign", string(text)).With("StringToSignBytes", fmt.Sprintf("% x", text))
	}
	return e
}
