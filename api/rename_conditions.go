package api

import (
	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// renamedKeys are the condition keys about the source of a rename. They are
// unknown until the source is found: the copy that the rename replaces, and the
// attributes that the object keeps.
var renamedKeys = openKeys(
	"s3:x-amz-copy-source", "s3:requestobjecttag/", "s3:requestobjecttagkeys",
	"s3:x-amz-acl", "s3:x-amz-grant-full-control", "s3:x-amz-grant-read", "s3:x-amz-grant-read-acp",
	"s3:x-amz-grant-write", "s3:x-amz-grant-write-acp",
	"s3:x-amz-storage-class", "s3:x-amz-website-redirect-location", "s3:x-amz-server-side-encryption",
	"s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:x-amz-server-side-encryption-customer-algorithm",
)

// keptConditions returns the condition keys of the attributes that an object
// keeps when it is renamed. They are those of a request that would create the
// same object under the new key. A copy needs only those of its tags, because
// its request has the rest.
func (r *Request) keptConditions(was *engine.Object) (access.Context, error) {
	c := requestTags(was.Marks.Tags)
	c["s3:x-amz-copy-source"] = []string{sourceName{bucket: r.Bucket.Name, key: r.source.key}.String()}
	if was.ID.IsZero() || !r.hasPolicies() {
		return c, nil
	}
	if err := r.addACLConditions(c, was); err != nil {
		return nil, err
	}
	in := engine.GetObject{Bucket: r.Bucket, Key: r.source.key, Found: r.source.found}
	switch was.Encryption {
	case meta.EncryptionKMS:
		c["s3:x-amz-server-side-encryption"] = []string{encryptionKMS}
		c["s3:x-amz-server-side-encryption-aws-kms-key-id"] = []string{r.kmsKeyARN(was.Marks.KMSKey)}
	case meta.EncryptionCustomer:
		c["s3:x-amz-server-side-encryption-customer-algorithm"] = []string{encryptionAES}
		in.Customer, _ = r.customerKey() // the handler refuses a malformed one
	}
	reading, err := r.server.engine.HeadObject(r.Context(), in)
	if err != nil {
		if was.Encryption == meta.EncryptionCustomer {
			return c, nil // without its key the rename fails like this, too
		}
		return nil, err
	}
	defer reading.Close()
	if class := reading.Object.StorageClass; class != "" {
		c["s3:x-amz-storage-class"] = []string{class}
	}
	if to := reading.Object.WebsiteRedirect; to != "" {
		c["s3:x-amz-website-redirect-location"] = []string{to}
	}
	return c, nil
}

// addACLConditions fills the keys of an object's ACL: its grants, and the canned ACL
// with the same grants.
func (r *Request) addACLConditions(c access.Context, was *engine.Object) error {
	acl, err := storedACL(*was)
	if acl == nil || err != nil {
		return err
	}
	if name := acl.CannedName(access.ID(r.Bucket.Owner)); name != "" {
		c["s3:x-amz-acl"] = []string{name}
	}
	for _, g := range acl.Grants {
		asked := askedGrant{permission: g.Permission, kind: granteeID, grantee: g.Grantee.ID.Canonical()}
		if g.Grantee.Group != "" {
			asked.kind, asked.grantee = granteeURI, g.Grantee.Group
		}
		c[asked.conditionKey()] = append(c[asked.conditionKey()], asked.String())
	}
	return nil
}
