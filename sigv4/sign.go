package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// unsigned are headers that proxies between client and server may change.
var unsigned = []string{"authorization", "user-agent", "accept-encoding", "connection", "expect",
	"transfer-encoding", "x-amzn-trace-id", "content-length", "te", "trailer", "upgrade"}

// PayloadHash is the payload hash of a body in memory.
func PayloadHash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// Sign signs a client's request in its Authorization header, at time t.
// payloadHash is the value of x-amz-content-sha256: a PayloadHash or the name
// of a PayloadMode. It signs all headers of r that arrive unchanged, so that
// they must be set before. It fails if r's URL cannot be a request target.
func Sign(r *http.Request, accessKey, secret, region, service, payloadHash string, t time.Time) error {
	_, err := sign(r, accessKey, secret, region, service, payloadHash, t)
	return err
}

// sign is Sign, and returns the seed for the signatures of chunks.
func sign(r *http.Request, accessKey, secret, region, service, payloadHash string, t time.Time) (*seed, error) {
	c := newClaim(inHeader, accessKey, region, service, t)
	r.Header.Set("X-Amz-Date", c.stamp)
	r.Header.Set("X-Amz-Content-Sha256", payloadHash)
	s, err := c.sign(r, secret, payloadHash)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		algorithm, accessKey, c.scope, c.signedHeaders, s.signature))
	return s, nil
}

// Presign returns the URL of a client's request with its signature in the
// query. It is valid from t for expires, a whole number of seconds up to
// MaxPresignExpiry. The body is not signed. The headers of r are signed and
// must be sent with the URL. r is not changed. The gateway makes no URLs
// itself; Presign completes the signer for its clients.
func Presign(r *http.Request, accessKey, secret, region, service string, expires time.Duration, t time.Time) (string, error) {
	if expires < time.Second || expires > MaxPresignExpiry {
		return "", fmt.Errorf("sigv4: a presigned URL cannot be valid for %s", expires)
	}
	c := newClaim(inQuery, accessKey, region, service, t)
	presigned := *r
	u := *r.URL
	presigned.URL = &u
	c.signedHeaders = strings.Join(signable(r), ";")
	parameters := url.Values{
		"X-Amz-Algorithm":     {algorithm},
		"X-Amz-Credential":    {accessKey + "/" + c.scope.String()},
		"X-Amz-Date":          {c.stamp},
		"X-Amz-Expires":       {strconv.FormatInt(int64(expires/time.Second), 10)},
		"X-Amz-SignedHeaders": {c.signedHeaders},
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += parameters.Encode()
	payloadHash := r.Header.Get("X-Amz-Content-Sha256")
	if payloadHash == "" {
		payloadHash = unsignedPayload
	}
	s, err := c.sign(&presigned, secret, payloadHash)
	if err != nil {
		return "", err
	}
	u.RawQuery += "&X-Amz-Signature=" + s.signature
	return u.String(), nil
}

// newClaim is the claim of a client's request.
func newClaim(at place, accessKey, region, service string, t time.Time) *claim {
	t = t.UTC()
	return &claim{place: at, version: Version4, accessKey: accessKey, stamp: t.Format(stampForm), date: t,
		scope: Scope{Date: t.Format(dayForm), Region: region, Service: service}}
}

// sign computes the signature of a client's request.
func (c *claim) sign(r *http.Request, secret, payloadHash string) (*seed, error) {
	target, err := ParseTarget(r.URL.RequestURI())
	if err != nil {
		return nil, fmt.Errorf("sigv4: signing: %w", err)
	}
	// net/http sends the host of the URL if the request names none.
	onWire := *r
	if onWire.Host == "" {
		onWire.Host = r.URL.Host
	}
	names := signable(r)
	c.signedHeaders = strings.Join(names, ";")
	key := deriveKey(secret, c.scope)
	toSign := stringToSign(c, canonicalRequest(&onWire, target, c, names, payloadHash))
	return &seed{key: key, stamp: c.stamp, signature: string(signature(&key, toSign))}, nil
}

// signable returns the names of the headers to sign, sorted.
func signable(r *http.Request) []string {
	names := []string{"host"}
	for name := range r.Header {
		if lower := strings.ToLower(name); lower != "host" && !slices.Contains(unsigned, lower) {
			names = append(names, lower)
		}
	}
	slices.Sort(names)
	return names
}
