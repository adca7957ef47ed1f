package engine

import (
	"crypto/rand"
	"encoding/hex"
	"errors"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Objects of SSE-C. Their object key is wrapped under the customer's as well, so
// that neither their manifest nor a byte of theirs opens without it. What the
// gateway itself must know stands elsewhere: size, class and lock in the row, tags
// and ACL in the marks, the ETag in the list record. That ETag, and those of parts,
// are random: a digest of the bytes would tell who has no key what they are.

// opaqueETag is an ETag that is no digest, and does not look like that of one body.
func opaqueETag() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:]) + "-1"
}

// What S3 says of a customer's key that is missing, not wanted, or wrong.
var (
	errNeedsCustomer = s3err.New(s3err.InvalidRequest, "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.")
	errNoCustomer    = s3err.New(s3err.InvalidRequest, "The encryption parameters are not applicable to this object.")
	errPartCustomer  = s3err.New(s3err.InvalidRequest, "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.")
	errOtherCustomer = s3err.New(s3err.InvalidRequest, "The provided encryption parameters did not match the ones used originally.")
)

// wrapObjectKey wraps the key of a new version.
func wrapObjectKey(keys *encrypt.BucketKeys, k encrypt.ObjectKey, id meta.ID, how meta.Encryption, customer *CustomerKey) ([]byte, error) {
	if (how == meta.EncryptionCustomer) != (customer != nil) {
		return nil, errors.New("SSE-C without a customer's key, or the reverse")
	}
	if customer != nil {
		return keys.WrapCustomerKey(k, *customer, id, encrypt.PurposeVersion), nil
	}
	return keys.WrapKey(k, id, encrypt.PurposeVersion), nil
}

// unwrapObjectKey opens the key of a version with what the request brings.
func unwrapObjectKey(keys *encrypt.BucketKeys, v *meta.Version, customer *CustomerKey) (k encrypt.ObjectKey, err error) {
	sealed := v.Encryption == meta.EncryptionCustomer
	switch {
	case sealed && customer == nil:
		return k, errNeedsCustomer
	case !sealed && customer != nil:
		return k, errNoCustomer
	case sealed:
		k, err = keys.UnwrapCustomerKey(v.WrappedKey, *customer, v.ID, encrypt.PurposeVersion)
		if errors.Is(err, encrypt.ErrWrongCustomerKey) {
			return k, s3err.AccessDenied
		}
	default:
		k, err = keys.UnwrapKey(v.WrappedKey, v.ID, encrypt.PurposeVersion)
	}
	if err != nil {
		return k, internal("unwrap an object key", err)
	}
	return k, nil
}

// newUploadKeys makes the keys of an upload: of its settings and of its parts, which
// are one unless a customer brings a key.
func newUploadKeys(keys *encrypt.BucketKeys, id meta.ID, how meta.Encryption, customer *CustomerKey) (settings encrypt.ObjectKey, wrapped []byte, err error) {
	if (how == meta.EncryptionCustomer) != (customer != nil) {
		return settings, nil, errors.New("SSE-C without a customer's key, or the reverse")
	}
	settings = encrypt.NewObjectKey()
	if customer != nil {
		return settings, keys.WrapUploadKeys(settings, encrypt.NewObjectKey(), *customer, id), nil
	}
	return settings, keys.WrapKey(settings, id, encrypt.PurposeUpload), nil
}

// unlock opens the key of an upload's parts with what the request brings.
func (u *openUpload) unlock(customer *CustomerKey) error {
	sealed := u.promised.Encryption == meta.EncryptionCustomer
	switch {
	case sealed && customer == nil:
		return errPartCustomer
	case !sealed && customer != nil:
		return errNoCustomer
	case !sealed:
		return nil
	}
	_, wrap := encrypt.SplitUploadKeys(u.WrappedKey)
	k, err := u.keys.UnwrapCustomerKey(wrap, *customer, u.ID, encrypt.PurposeUpload)
	switch {
	case errors.Is(err, encrypt.ErrWrongCustomerKey):
		return errOtherCustomer
	case err != nil:
		return internal("unwrap an upload's key", err)
	}
	u.key = k
	return nil
}

// locked reports that the parts cannot be opened: unlock was not called.
func (u *openUpload) locked() bool {
	return u.promised.Encryption == meta.EncryptionCustomer && u.key == encrypt.ObjectKey{}
}

// digest is what stands for a part's bytes in its ETag and in the object's: their
// MD5, or with SSE-C the id of the attempt at the part.
func (u *openUpload) digest(row *meta.Part, md5 [16]byte) [16]byte {
	if u.promised.Encryption == meta.EncryptionCustomer {
		return row.Attempt
	}
	return md5
}
