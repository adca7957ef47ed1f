// Package sigv4 verifies AWS Signature Version 4 as Amazon S3 applies it: in
// the Authorization header, in a presigned URL and in a POST policy. It decodes
// the bodies of such requests, signed or not, and has a small signer. If it is
// configured so, it verifies Signature Version 2 in the same places.
//
// It never reads a body while it verifies a request, never decides what an
// identity may do, and never trusts a header that is not signed. Its errors
// contain no secrets.
//
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
package sigv4

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// DefaultMaxSkew is the largest difference between a request's time and the
	// server's, as on S3.
	DefaultMaxSkew = 15 * time.Minute
	// MaxPresignExpiry is the longest validity of a presigned URL: seven days.
	MaxPresignExpiry = 7 * 24 * time.Hour

	algorithm  = "AWS4-HMAC-SHA256"
	algorithmA = "AWS4-ECDSA-P256-SHA256" // Signature Version 4A, with asymmetric keys; not supported
	terminator = "aws4_request"
	stampForm  = "20060102T150405Z"
	dayForm    = "20060102"
)

// ErrAnonymous says that a request carries no credentials. The caller decides
// whether it may continue; see Anonymous for its body.
var ErrAnonymous = errors.New("sigv4: the request carries no credentials")

// Verifier checks signatures for one service. It is safe for concurrent use
// while its fields do not change.
type Verifier struct {
	Region    string           // the region that scopes must name, and errors mention
	Regions   []string         // further regions that scopes may name
	AnyRegion bool             // scopes may name any region, or none
	Version2  Version2Use      // where Version 2 is accepted
	Refusal2  string           // is added to S3's message that refuses Version 2
	Service   string           // empty: "s3"
	Now       func() time.Time // nil: time.Now
	MaxSkew   time.Duration    // 0: DefaultMaxSkew
	DayKeys   *DayKeys         // nil: every key is derived anew

	// Lookup returns the secret of an access key, or an error that wraps
	// s3err.InvalidAccessKeyID when there is no such key. token is the session
	// token that came with it, or "". Lookup must refuse a token that is
	// missing or not the key's. Any other error is passed on, so that an
	// unavailable store does not look like a wrong password.
	Lookup func(ctx context.Context, accessKey, token string) (secret string, err error)
}

// Scope is the part of a credential that says where its signature is valid.
type Scope struct {
	Date    string // yyyyMMdd, UTC
	Region  string
	Service string
}

// String is the scope as it is signed.
func (s Scope) String() string {
	return s.Date + "/" + s.Region + "/" + s.Service + "/" + terminator
}

// Identity tells who signed a request and what the signature covers. It holds
// the day's signing key, unexported, to check the chunks of the body.
type Identity struct {
	AccessKey     string // empty for a request without credentials
	Version       Version
	Presigned     bool
	Payload       PayloadMode
	Date          time.Time // the client's signing time; zero for URLs and forms of Version 2
	Scope         Scope     // Version 4 only
	SignedHeaders []string  // lower case, sorted; Version 4 only

	digest string // the required SHA-256 of the body, lower-case hex; Signed only
	// A pointer, so that printing an Identity does not print the key.
	seed *seed
}

// ContentSHA256 is the request's claim about its body, in the form that
// policies see: the digest in lower case, or the name of the payload mode; ""
// for the zero Identity.
func (id *Identity) ContentSHA256() string {
	if id.Payload == Signed {
		return id.digest
	}
	return payloadNames[id.Payload]
}

// seed is the start of the chain of chunk signatures.
type seed struct {
	key       [32]byte
	stamp     string
	signature string
}

// Verify checks the signature of r and returns its signer. t is the request's
// target as it arrived, see ParseTarget. The body is not read: the caller must
// read it through Identity.Body, to its end, before relying on it.
//
// A request without credentials is ErrAnonymous. Other errors have S3's codes,
// messages and fields. Every x-amz-* header of r, and host, must be signed. A
// repeated header is signed with all its values, so that a caller must not look
// at the first alone. A session token must be signed too: in
// x-amz-security-token, or in the query with the signature.
func (v *Verifier) Verify(r *http.Request, t Target) (*Identity, error) {
	return v.verify(r, t, "")
}

// VerifyForm is Verify for a request to another service than S3 whose body is
// in memory. Without x-amz-content-sha256, the signature covers the body's
// hash.
func (v *Verifier) VerifyForm(r *http.Request, t Target, body []byte) (*Identity, error) {
	id, err := v.verify(r, t, PayloadHash(body))
	if err != nil {
		return nil, err
	}
	// A client may name another mode, or another digest, than that of this body.
	if id.Payload != Signed || id.digest != PayloadHash(body) {
		return nil, s3err.New(s3err.SignatureDoesNotMatch, "The signature does not cover the body.")
	}
	return id, nil
}

// verify is Verify with the payload hash of a request that names none, as
// services other than S3 have it.
func (v *Verifier) verify(r *http.Request, t Target, implied string) (*Identity, error) {
	c, err := v.readClaim(r.Header, t.Query)
	if err != nil {
		return nil, err
	}
	if c.version == Version2 {
		return v.verify2(r, t, c)
	}
	// All that needs no secret is checked first, so that a request that is
	// malformed or out of time costs no look-up.
	if err := v.checkScope(c); err != nil {
		return nil, err
	}
	if err := v.checkTime(c); err != nil {
		return nil, err
	}
	id := &Identity{AccessKey: c.accessKey, Version: Version4, Presigned: c.place == inQuery, Date: c.date, Scope: c.scope}
	payload, err := claimedPayload(r.Header, t.Query, c.place, implied)
	if err != nil {
		return nil, err
	}
	id.Payload, id.digest = payload.mode, payload.digest
	signed, err := splitSignedHeaders(c)
	if err != nil {
		return nil, err
	}
	if id.SignedHeaders, err = checkCovered(r.Header, signed); err != nil {
		return nil, err
	}

	canonical := canonicalRequest(r, t, c, signed, payload.text)
	toSign := stringToSign(c, canonical)
	key, err := v.signingKey(r.Context(), c, func(key *[32]byte) error {
		if validSignature(key, toSign, c.signature) {
			return nil
		}
		return mismatch(c, toSign, canonical, signed)
	})
	if err != nil {
		return nil, err
	}
	id.seed = &seed{key: key, stamp: c.stamp, signature: c.signature}
	return id, nil
}

// Anonymous is the identity of a request for which Verify returned
// ErrAnonymous. It has no access key, and is for reading the body. Payloads
// whose chunks must be signed are refused.
func Anonymous(r *http.Request) (*Identity, error) {
	payload, err := claimedPayload(r.Header, nil, nowhere, unsignedPayload)
	if err != nil {
		return nil, err
	}
	return &Identity{Payload: payload.mode, digest: payload.digest}, nil
}

func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now().UTC()
	}
	return time.Now().UTC()
}

func (v *Verifier) service() string {
	if v.Service != "" {
		return v.Service
	}
	return "s3"
}

func (v *Verifier) maxSkew() time.Duration {
	if v.MaxSkew > 0 {
		return v.MaxSkew
	}
	return DefaultMaxSkew
}
