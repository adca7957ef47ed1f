package encrypt

// The row of a multipart upload. Its settings must be readable without the
// customer's key, for listings; the parts of an SSE-C upload must not be. So such
// an upload has two keys, one for its settings and one for its parts:
//
// wrapped key = wrap of the upload's key, purpose "upload"                       129 bytes
//
//	| the same of the settings' key ‖ customer wrap of the parts' key  129 + 226 bytes
const (
	uploadWrap   = WrapOverhead + len(ObjectKey{})
	customerWrap = WrapOverhead + uploadWrap
)

// WrapUploadKeys wraps the keys of an SSE-C upload: that of the settings under the
// bucket's, that of the parts also under the customer's.
func (b *BucketKeys) WrapUploadKeys(settings, parts ObjectKey, customer CustomerKey, upload [16]byte) []byte {
	return append(b.WrapKey(settings, upload, PurposeUpload), b.WrapCustomerKey(parts, customer, upload, PurposeUpload)...)
}

// SplitUploadKeys splits an upload's wrapped key: one part for UnwrapKey, which
// opens the settings, and one for UnwrapCustomerKey, nil unless it is an SSE-C
// upload. Without the second part, the first opens the parts too.
func SplitUploadKeys(wrapped []byte) (settings, customer []byte) {
	if len(wrapped) <= uploadWrap {
		return wrapped, nil
	}
	return wrapped[:uploadWrap], wrapped[uploadWrap:]
}

// WrapCompletedKey wraps the object key of a version that was completed from an
// SSE-C upload without the customer's key. The key is wrapped under the bucket's
// key only, because the customer's key is not known. Behind it stands parts, the
// unchanged customer wrap of the upload's parts key: it stays bound to the upload,
// with PurposeUpload, and it must be of the generation of b (see RewrapPartsKey).
//
// wrapped key = wrap of the object key, purpose "version" | customer wrap of the parts' key   129 + 226 bytes
//
// The manifest's Parts.Key is zero in such a version, and in no other.
func (b *BucketKeys) WrapCompletedKey(k ObjectKey, version [16]byte, parts []byte) []byte {
	return append(b.WrapKey(k, version, PurposeVersion), parts...)
}

// SplitCompletedKey splits a wrapped key of WrapCompletedKey: one part for
// UnwrapKey with the version, and one for UnwrapCustomerKey with the upload. The
// second is nil for a version's key of any other layout.
func SplitCompletedKey(wrapped []byte) (version, parts []byte) {
	if len(wrapped) != uploadWrap+customerWrap {
		return wrapped, nil
	}
	return wrapped[:uploadWrap], wrapped[uploadWrap:]
}
