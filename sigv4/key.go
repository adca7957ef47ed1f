package sigv4

import (
	"context"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/s3err"
)

// dummySecret stands in for the secret of an unknown access key, so that the
// answer takes as long as that to a wrong signature. Nothing signed with it is
// accepted.
const dummySecret = "0000000000000000000000000000000000000000"

// MinApprovedSecret is the length in bytes of the shortest secret that FIPS 140-3
// lets a signature be made with: HMAC needs a key of 112 bits, of which "AWS4" is a
// part. Source: NIST SP 800-131A, section 10.
const MinApprovedSecret = 112/8 - len("AWS4")

// signingKey looks up the claim's secret and returns the key derived from it if
// check accepts that key.
func (v *Verifier) signingKey(ctx context.Context, c *claim, check func(key *[32]byte) error) (key [32]byte, err error) {
	err = v.prove(ctx, c, func(secret string) error {
		known := false
		key, known = v.DayKeys.derive(secret, c.scope)
		err := check(&key)
		if err == nil && !known && secret != dummySecret {
			v.DayKeys.remember(secret, c.scope, key)
		}
		return err
	})
	if err != nil {
		return [32]byte{}, err
	}
	return key, nil
}

// prove looks up the claim's secret and passes it to check. For an unknown
// access key it passes dummySecret, and fails whatever the result.
func (v *Verifier) prove(ctx context.Context, c *claim, check func(secret string) error) error {
	// No such key can exist, so it is not looked up.
	unknown := len(c.accessKey) > maxAccessKeyBytes
	secret := dummySecret
	if !unknown {
		var err error
		secret, err = v.Lookup(ctx, c.accessKey, c.token)
		switch {
		case errors.Is(err, s3err.InvalidAccessKeyID):
			unknown, secret = true, dummySecret
		case err != nil:
			return fmt.Errorf("sigv4: looking up a credential: %w", err)
		case secret == "":
			return errors.New("sigv4: the credential has an empty secret")
		case fips140.Enabled() && len(secret) < MinApprovedSecret:
			return s3err.New(s3err.AccessDenied, "The secret key has less than %d characters, "+
				"which FIPS 140-3 does not approve: have another access key created.", MinApprovedSecret)
		}
	}
	err := check(secret)
	if unknown {
		return s3err.New(s3err.InvalidAccessKeyID, "").With("AWSAccessKeyId", c.accessKey)
	}
	return err
}

// deriveKey derives the key for one day, region and service.
func deriveKey(secret string, s Scope) (key [32]byte) {
	b := make([]byte, 0, 128)
	b = append(append(b, "AWS4"...), secret...)
	for _, part := range [...]string{s.Date, s.Region, s.Service, terminator} {
		m := hmac.New(sha256.New, b)
		m.Write([]byte(part))
		b = m.Sum(b[:0])
	}
	copy(key[:], b)
	return key
}

// stringToSign is the text that is signed.
func stringToSign(c *claim, canonical []byte) []byte {
	sum := sha256.Sum256(canonical)
	b := make([]byte, 0, 256)
	b = append(b, algorithm+"\n"...)
	b = append(b, c.stamp...)
	b = append(b, '\n')
	b = append(b, c.scope.String()...)
	b = append(b, '\n')
	return hex.AppendEncode(b, sum[:])
}

// signature is the hexadecimal MAC of text.
func signature(key *[32]byte, text []byte) []byte {
	m := hmac.New(sha256.New, key[:])
	m.Write(text)
	var sum [sha256.Size]byte
	return hex.AppendEncode(make([]byte, 0, 2*sha256.Size), m.Sum(sum[:0]))
}

// validSignature compares in constant time.
func validSignature(key *[32]byte, text []byte, given string) bool {
	return hmac.Equal(signature(key, text), []byte(given))
}
