package api

import (
	"errors"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

// authenticate verifies the signature and sets the principal. A request without
// credentials continues as nobody's.
func (s *Server) authenticate(r *Request) (*sigv4.Identity, error) {
	return s.verify(r, func(v *sigv4.Verifier) (*sigv4.Identity, error) { return v.Verify(r.HTTP, r.Target.Signed) })
}

// verify runs check on a signature, in the header or in a form, and sets the
// principal.
func (s *Server) verify(r *Request, check func(*sigv4.Verifier) (*sigv4.Identity, error)) (*sigv4.Identity, error) {
	v := s.verifier
	// No client signs S3 Control with Version 2, and AWS refuses it.
	if r.Op.Scope == ControlScope {
		v.Version2, v.Refusal2 = sigv4.Version2Off, ""
	}
	signer, err := s.accounts.Authenticate(v, check)
	if errors.Is(err, sigv4.ErrAnonymous) {
		r.Principal = access.Principal{}
		if r.identity, r.badPayload = sigv4.Anonymous(r.HTTP); r.badPayload != nil {
			r.identity = &sigv4.Identity{} // nobody's, with a body of unknown form
		}
		if sha := r.Header("X-Amz-Content-Sha256"); r.badPayload != nil && !strings.HasPrefix(sha, "STREAMING-") {
			// A value that is not a digest cannot match the body.
			mismatch := s3err.New(s3err.ContentSHA256Mismatch, "").With("ClientComputedContentSHA256", sha)
			if r.HTTP.ContentLength == 0 {
				mismatch = mismatch.With("S3ComputedContentSHA256", sigv4.PayloadHash(nil))
			}
			r.badPayload = mismatch
		}
		return r.identity, nil
	}
	if err != nil {
		// A name that is not one of our access keys may be a secret in the
		// wrong field, so that only known ones are kept for the log.
		r.unproven, r.claimed = true, signer.Credential.AccessKey
		return nil, err
	}
	r.Principal, r.identity, r.signer, r.limits = signer.Principal, signer.Identity, signer.Credential, signer.Credential.Principal.Limits
	return signer.Identity, nil
}

// mergeQueryHeaders moves the headers that the URL carries into the request's
// header. The signature was verified before, over the request as it arrived.
func (r *Request) mergeQueryHeaders() error {
	if r.form != nil {
		return nil // a form's signature does not cover the URL
	}
	h, err := withQueryHeaders(r.HTTP.Header, r.Target)
	if err != nil {
		return err
	}
	merged := *r.HTTP
	merged.Header = h
	r.HTTP = &merged
	return nil
}
