package api

import (
	"maps"
	"slices"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// withUpload adds to a need for a part, or for the completion of an upload, what
// the upload gives the object: its ACL, tags, class, redirect, encryption and lock. Another
// than the sender may have begun it. A policy that denies to make such an object
// would be evaded by filling that upload, and one that demands such objects would
// deny all parts. An unreadable upload denies.
func (r *Request) withUpload(n access.Need, o *object) access.Need {
	f := n.Bucket
	if n.Action != "s3:PutObject" || o != &r.object || f == nil || f.Broken != nil ||
		!slices.Contains(fillings, r.Op.Name) || !r.asks(f, (*access.Policy).AsksNewObject) {
		return n
	}
	begun, err := r.uploadConditions()
	if err != nil {
		n.Bucket = broken(f, err)
		return n
	}
	c := access.Context{}
	maps.Copy(c, begun)
	maps.Copy(c, n.Context)
	n.Context = c
	return n
}

// uploadConditions returns the condition keys of the attributes of the request's
// upload. They are those of the request that began it, and none for an upload that is
// not in progress. The days that are left of a
// retention are not among them: they become fewer while parts arrive.
func (r *Request) uploadConditions() (access.Context, error) {
	u, err := r.underway()
	if err != nil || u == nil {
		return nil, err
	}
	a := asked{tags: saying(u.Marks.Tags, nil), class: said[string]{given: u.StorageClass != "", value: u.StorageClass}}
	if lock := u.Marks.Lock; lock.Mode != meta.LockNone {
		a.lockMode, a.lockUntil = saying(lock.Mode, nil), saying(lock.Until, nil)
	}
	if u.Marks.Lock.Hold {
		a.hold = saying(true, nil)
	}
	c := access.Context{}
	a.tagKeys(c)
	text(c, "s3:x-amz-storage-class", a.class)
	text(c, "s3:x-amz-website-redirect-location", said[string]{given: u.WebsiteRedirect != "", value: u.WebsiteRedirect})
	a.lockKeys(r, c)
	delete(c, "s3:object-lock-remaining-retention-days")
	switch u.Encryption {
	case meta.EncryptionKMS:
		c["s3:x-amz-server-side-encryption"] = []string{encryptionKMS}
		c["s3:x-amz-server-side-encryption-aws-kms-key-id"] = []string{r.kmsKeyARN(u.Marks.KMSKey)}
	case meta.EncryptionCustomer:
		c["s3:x-amz-server-side-encryption-customer-algorithm"] = []string{encryptionAES}
	}
	return c, r.addACLConditions(c, &engine.Object{Marks: u.Marks})
}
