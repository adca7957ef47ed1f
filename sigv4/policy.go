package sigv4

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// Policy holds the fields of a POST form that carry its signature, as they
// arrived. An absent field is empty.
type Policy struct {
	// Version2: the form has a field AWSAccessKeyId or signature, even an empty
	// one.
	Version2      bool
	AccessKey2    string // AWSAccessKeyId
	Signature2    string // signature
	Policy        string // base64; the caller checks its contents
	Algorithm     string
	Credential    string
	Date          string
	Signature     string
	SecurityToken string
}

// VerifyPolicy checks the signature of a POST policy. A form without any of the
// fields is ErrAnonymous, a form with some of them InvalidArgument. The caller
// must check the policy's conditions and expiration.
//
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html
func (v *Verifier) VerifyPolicy(ctx context.Context, p Policy) (*Identity, error) {
	if p == (Policy{}) {
		return nil, ErrAnonymous
	}
	if p.Version2 {
		return v.verifyPolicy2(ctx, p)
	}
	for _, field := range []struct{ name, value string }{
		{"policy", p.Policy}, {"x-amz-algorithm", p.Algorithm}, {"x-amz-credential", p.Credential},
		{"x-amz-date", p.Date}, {"x-amz-signature", p.Signature},
	} {
		if field.value == "" {
			return nil, missingField(field.name)
		}
	}
	if p.Algorithm != algorithm {
		return nil, s3err.New(s3err.InvalidArgument, "Only AWS4-HMAC-SHA256 is supported").
			With("ArgumentName", "X-Amz-Algorithm").With("ArgumentValue", p.Algorithm)
	}
	c := &claim{place: inForm, version: Version4, stamp: p.Date, signature: p.Signature}
	var ok bool
	if c.date, ok = strict.Time(stampForm, p.Date); !ok {
		return nil, s3err.New(s3err.InvalidArgument, "X-Amz-Date must be formatted via ISO8601 Long format").
			With("ArgumentName", "X-Amz-Date").With("ArgumentValue", p.Date)
	}
	err := c.parseCredential(p.Credential)
	if err == nil {
		err = v.checkScope(c)
	}
	if err != nil {
		var e *s3err.Error
		if errors.As(err, &e) && e.Code == s3err.InvalidArgument {
			e.With("ArgumentValue", p.Credential)
		}
		return nil, err
	}
	c.token = p.SecurityToken
	_, err = v.signingKey(ctx, c, func(key *[32]byte) error {
		if validSignature(key, []byte(p.Policy), p.Signature) {
			return nil
		}
		return policyMismatch(c.accessKey, p.Policy, p.Signature)
	})
	if err != nil {
		return nil, err
	}
	// The date was not compared with the clock: the policy's expiration bounds the
	// use of the form. The signature covers the policy and not the file.
	return &Identity{AccessKey: c.accessKey, Version: Version4, Payload: Unsigned, Date: c.date, Scope: c.scope}, nil
}

// missingField refuses a form, in S3's words.
func missingField(name string) error {
	return s3err.New(s3err.InvalidArgument, "Bucket POST must contain a field named '%s'.  If it is specified, please check the order of the fields.", name).
		With("ArgumentName", name)
}

// policyMismatch shows the client the policy that the gateway verified.
func policyMismatch(accessKey, policy, given string) error {
	return s3err.New(s3err.SignatureDoesNotMatch, "").
		With("AWSAccessKeyId", accessKey).
		With("StringToSign", policy).
		With("SignatureProvided", given).
		With("StringToSignBytes", fmt.Sprintf("% x", policy))
}
