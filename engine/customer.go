package engine

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Objects of SSE-C. Their object key is wrapped under the customer's as well, so that neither their manifest
// nor a byte of theirs opens without it. The facts that the gateway itself must know stand elsewhere: size,
// class and lock in the row, tags and ACL in the marks, the ETag in the list record. Of one that was
// completed of parts without the customer's key, as S3 allows, only the bytes are sealed so: the gateway
// could open its manifest, and yet describes nothing without the key. That ETag, and those of parts, are
// random: a digest of the bytes would tell who has no key what they are.

// opaqueETag is an ETag that is no digest, and does not look like that of one body.
// It has the form of a multipart ETag, with a dash, so that clients do not compare it with the MD5
// of what they sent.
func opaqueETag() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:]) + "-1"
}

// The errors of S3 for a customer's key that is missing, not wanted, or wrong.
var (
	errNeedsCustomer = s3err.New(s3err.InvalidRequest, "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.")
	errNoCustomer    = s3err.New(s3err.InvalidRequest, "The encryption parameters are not applicable to this object.")
	errPartCustomer  = s3err.New(s3err.InvalidRequest, "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.")
	errOtherCustomer = s3err.New(s3err.InvalidRequest, "The provided encryption parameters did not match the ones used originally.")
)

// wrapObjectKey wraps the key of a new version.
// The mismatch at the top cannot come from a client, because the API checks its headers. It is
// refused here so that no fault elsewhere makes an object that was asked for as SSE-C readable
// without the key.
func wrapObjectKey(keys *encrypt.BucketKeys, k encrypt.ObjectKey, id meta.ID, d *draft) ([]byte, error) {
	if (d.encryption == meta.EncryptionCustomer) != (d.customer != nil || d.locked != nil) {
		return nil, errors.New("SSE-C without a customer's key, or the reverse")
	}
	switch {
	case d.locked != nil:
		_, parts := encrypt.SplitUploadKeys(d.locked.WrappedKey)
		// A row's generation holds for all that is in it, also for what the upload began with.
		parts, err := d.locked.keys.RewrapPartsKey(keys, parts, d.locked.ID)
		if err != nil {
			return nil, internal("rewrap the key of an upload's parts", err)
		}
		return keys.WrapCompletedKey(k, id, parts), nil
	case d.customer != nil:
		return keys.WrapCustomerKey(k, *d.customer, id, encrypt.PurposeVersion), nil
	}
	return keys.WrapKey(k, id, encrypt.PurposeVersion), nil
}

// unwrapObjectKey opens the key of a version with what the request brings. Where the
// version was completed without the customer's key, openParts says whether it is right.
// A wrong key is AccessDenied, as on S3; a key that is missing or not wanted is InvalidRequest.
func unwrapObjectKey(keys *encrypt.BucketKeys, v *meta.Version, customer *CustomerKey) (k encrypt.ObjectKey, err error) {
	sealed := v.Encryption == meta.EncryptionCustomer
	wrap, parts := encrypt.SplitCompletedKey(v.WrappedKey)
	switch {
	case sealed && customer == nil:
		return k, errNeedsCustomer
	case !sealed && customer != nil:
		return k, errNoCustomer
	case sealed && parts == nil:
		k, err = keys.UnwrapCustomerKey(wrap, *customer, v.ID, encrypt.PurposeVersion)
		if errors.Is(err, encrypt.ErrWrongCustomerKey) {
			return k, s3err.AccessDenied
		}
	default:
		k, err = keys.UnwrapKey(wrap, v.ID, encrypt.PurposeVersion)
	}
	if err != nil {
		return k, internal("unwrap an object key", err)
	}
	return k, nil
}

// openParts opens the key of the parts of a version that was completed without the
// customer's, and gives it to the manifest. A row that was edited to pass for one
// that needs no customer, or for one that does, is an error.
func openParts(keys *encrypt.BucketKeys, v *meta.Version, m *encrypt.Manifest, customer *CustomerKey) error {
	_, wrap := encrypt.SplitCompletedKey(v.WrappedKey)
	locked := m.Parts != nil && m.Parts.Key == encrypt.ObjectKey{}
	switch {
	case locked != (wrap != nil) || locked && customer == nil:
		return fmt.Errorf("%w: an object's row has other keys than its sealed manifest demands", damage.ErrUnlike)
	case !locked:
		return nil
	}
	k, err := keys.UnwrapCustomerKey(wrap, *customer, m.Parts.Upload, encrypt.PurposeUpload)
	switch {
	case errors.Is(err, encrypt.ErrWrongCustomerKey):
		return s3err.AccessDenied
	case err != nil:
		return internal("unwrap the key of an object's parts", err)
	}
	m.Parts.Key = k
	return nil
}

// newUploadKeys makes the keys of an upload: of its settings and of its parts, which
// are one unless a customer brings a key.
// settings is the key of the settings alone. The key of the parts of SSE-C is not returned: each
// request brings what opens it.
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
// u.key is set by it. Until then parts of an SSE-C upload can be neither written nor read.
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

// unlockToComplete is unlock for the completion of the upload, which S3 lets be done
// without the customer's key where nobody asks for checksums.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
func (u *openUpload) unlockToComplete(in *CompleteUpload) error {
	asks := u.settings.Checksum != nil || in.Checksum != nil || in.Type != "" ||
		slices.ContainsFunc(in.Parts, func(p CompletedPart) bool { return p.Checksum != nil })
	if in.Customer == nil && u.promised.Encryption == meta.EncryptionCustomer && !asks {
		return nil
	}
	return u.unlock(in.Customer)
}

// locked reports that the parts cannot be opened: they were not unlocked.
// The zero key stands for one that is not known; a random one is never zero.
func (u *openUpload) locked() bool {
	return u.promised.Encryption == meta.EncryptionCustomer && u.key == encrypt.ObjectKey{}
}

// digest is what stands for a part's bytes in its ETag and in the object's: their
// MD5, or with SSE-C the id of the attempt at the part.
// The attempt's id is random, so an ETag of SSE-C tells nothing of the bytes, and still changes
// with each attempt.
func (u *openUpload) digest(row *meta.Part, md5 [16]byte) [16]byte {
	if u.promised.Encryption == meta.EncryptionCustomer {
		return row.Attempt
	}
	return md5
}
