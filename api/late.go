package api

import (
	"slices"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// A request is decided before its body is read, and a body may take hours. Its
// sender's rights may be taken away meanwhile, or the credential be revoked
// because it was stolen. So a request whose body took long is decided again when
// the body is there, before it has any effect.

// lateAfter is the age of a request from which its decision is repeated. A
// younger decision is as new as one may be that rests on what is remembered.
const lateAfter = accounts.CredentialTTL

// late reports whether the request was decided so long ago.
func (r *Request) late() bool { return r.server.now().Sub(r.Now) > lateAfter }

// decideLate decides again if the request is late.
func (x *exchange) decideLate() error {
	if !x.req.late() {
		return nil
	}
	return x.decideAnew()
}

// decideAnew decides with the sender's rights and the bucket's settings as they
// are now. The conditions about time and the signature stay those of the request.
func (x *exchange) decideAnew() (err error) {
	r := x.req
	if r.signer.AccessKey != "" {
		if r.Principal, err = x.server.accounts.Renewed(r.Context(), &r.signer); err != nil {
			x.reason = "the credential or its holder is gone since the request began"
			return err
		}
	}
	if r.Bucket.ID != (meta.ID{}) {
		if r.Bucket, err = x.server.engine.Buckets().Reread(r.Context(), r.Bucket); err != nil {
			return err
		}
		r.object.bucket = r.Bucket
	}
	r.facts, r.settings, r.context, r.evaluation = nil, nil, nil, nil
	if err := x.authorize(); err != nil {
		return err
	}
	// Public ACLs may have been blocked meanwhile.
	if slices.Contains(makings, r.Op.Name) {
		_, err = r.objectACL()
	}
	return err
}
