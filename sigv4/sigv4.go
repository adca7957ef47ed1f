// Package sigv4 verifies AWS Signature Version 4 as Amazon S3 applies it: in
// the Authorization header, in a presigned URL and in a POST policy. It decodes
// the bodies that go with it, signed or not, and holds a small signer. Where it is
// told to, it verifies Signature Version 2 in the same places.
//
// It never reads a body while it verifies a request, never decides what an
// identity may do, and never trusts a header that the signature leaves out.
// Secrets appear in none of its errors.
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
	// DefaultMaxSkew is how far a request's time may be from the server's, as in S3.
	DefaultMaxSkew = 15 * time.Minute
	// MaxPresignExpiry is the longest life of a presigned URL: seven days.
	MaxPresignExpiry = 7 * 24 * time.Hour

	algorithm  = "AWS4-HMAC-SHA256"
	algorithmA = "AWS4-ECDSA-P256-SHA256" // Signature Version 4A, which needs asymmetric keys
	terminator = "aws4_request"
	stampForm  = "20060102T150405Z"
	dayForm    = "20060102"
)

// ErrAnonymous says that a request carries no credentials at all. Whether it
// may go on is for the caller to decide; see Anonymous for its body.
var ErrAnonymous = errors.New("sigv4: the request carries no credentials")

// Verifier checks signatures for one service.
// It is safe for concurrent use as long as its fields are not changed.
type Verifier struct {
	Region    string           // what a credential's scope must name, and refusals do
	Regions   []string         // others that it may name
	AnyRegion bool             // it may name any, also none
	Version2  Version2Use      // where Version 2 is taken
	Refusal2  string           // what a refusal of Version 2 adds to S3's words
	Service   string           // empty: "s3"
	Now       func() time.Time // nil: time.Now
	MaxSkew   time.Duration    // 0: DefaultMaxSkew

	// Lookup returns the secret of an access key, or an error that wraps
	// s3err.InvalidAccessKeyID when there is none. token is the session token
	// that came with it, empty when none did; it is for Lookup to refuse one that
	// is not the key's, or is missing. Any other error is passed on, so that a
	// store that is down does not look like a wrong password.
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

// Identity is who signed a request, and what the signature covers.
// It holds the day's signing key, unexported, to check the chunks of its body.
type Identity struct {
	AccessKey     string // empty for a request without credentials
	Version       Version
	Presigned     bool
	Payload       PayloadMode
	Date          time.Time // when it was signed, as the client says; zero for URLs and forms of Version 2
	Scope         Scope     // Version 4 only
	SignedHeaders []string  // lower case, sorted; Version 4 only

	digest string // what the body's SHA-256 must be, lower-case hex; Signed only
	// A pointer, so that printing an Identity does not print the key.
	seed *seed
}

// ContentSHA256 is what the request says of its body, in the one form that policies see:
// the digest in lower case, or the name of the payload mode; empty for the zero Identity.
func (id *Identity) ContentSHA256() string {
	if id.Payload == Signed {
		return id.digest
	}
	return payloadNames[id.Payload]
}

// seed is what the chain of chunk signatures starts from.
type seed struct {
	key       [32]byte
	stamp     string
	signature string
}

// Verify checks the signature of r, whose target as it arrived is t (see
// ParseTarget), and returns who signed it. Nothing of the body is read: the
// caller must read it through Identity.Body, to its end, before it relies on it.
//
// It returns ErrAnonymous for a request without credentials, and otherwise
// errors that carry the codes, messages and fields of S3. Every x-amz-* header
// of r, and host, must be signed; one that arrived twice is signed with all its
// values, so whoever acts on it must not look at the first alone. A session
// token is signed too: in x-amz-security-token, or in the query that has the
// signature.
func (v *Verifier) Verify(r *http.Request, t Target) (*Identity, error) {
	return v.verify(r, t, "")
}

// VerifyForm is Verify for a request to a service other than S3 whose body is at
// hand: without x-amz-content-sha256 the signature is over the body's hash.
func (v *Verifier) VerifyForm(r *http.Request, t Target, body []byte) (*Identity, error) {
	id, err := v.verify(r, t, PayloadHash(body))
	if err != nil {
		return nil, err
	}
	if id.Payload != Signed || id.digest != PayloadHash(body) {
		return nil, s3err.New(s3err.SignatureDoesNotMatch, "The signature does not cover the body.")
	}
	return id, nil
}

// verify is Verify where a request that names no payload hash is taken to have
// the one in implied, as services other than S3 have it.
func (v *Verifier) verify(r *http.Request, t Target, implied string) (*Identity, error) {
	c, err := v.readClaim(r.Header, t.Query)
	if err != nil {
		return nil, err
	}
	if c.version == Version2 {
		return v.verify2(r, t, c)
	}
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
// ErrAnonymous: it has no access key, and serves to read the body. Payloads
// whose chunks would have to be signed are refused.
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
