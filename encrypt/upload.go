package encrypt

// The row of a multipart upload. What it was started with must be readable
// without the customer, for listings; the parts of an SSE-C upload must not be.
// So such an upload has two keys, one for its settings and one for its parts:
//
//	wrapped key = wrap of the upload's key, purpose "upload"                       129 bytes
//	            | the same of the settings' key ‖ customer wrap of the parts' key  129 + 226 bytes
const (
	uploadWrap   = WrapOverhead + len(ObjectKey{})
	customerWrap = WrapOverhead + uploadWrap
)

// WrapUploadKeys wraps the keys of an SSE-C upload: the settings' under the
// bucket's, the parts' under the customer's as well.
func (b *BucketKeys) WrapUploadKeys(settings, parts ObjectKey, customer CustomerKey, upload [16]byte) []byte {
	return append(b.WrapKey(settings, upload, PurposeUpload), b.WrapCustomerKey(parts, customer, upload, PurposeUpload)...)
}

// SplitUploadKeys takes an upload's wrapped key apart: one for UnwrapKey, which
// opens the settings, and one for UnwrapCustomerKey, nil unless it is an SSE-C
// upload. Without the latter the first is the parts' key too.
func SplitUploadKeys(wrapped []byte) (settings, customer []byte) {
	if len(wrapped) <= uploadWrap {
		return wrapped, nil
	}
	return wrapped[:uploadWrap], wrapped[uploadWrap:]
}

// WrapCompletedKey wraps the object key of a version that was completed of an SSE-C
// upload without the customer's key: under the bucket's alone, for nobody could wrap
// it under the customer's. Behind it stands parts, the upload's customer wrap of the
// key of its parts as it is: it stays bound to the upload, with PurposeUpload, and it
// must be of the generation of b.
//
//	wrapped key = wrap of the object key, purpose "version" | customer wrap of the parts' key   129 + 226 bytes
//
// The manifest's Parts.Key is zero in such a version, and in no other.
func (b *BucketKeys) WrapCompletedKey(k ObjectKey, version [16]byte, parts []byte) []byte {
	return append(b.WrapKey(k, version, PurposeVersion), parts...)
}

// SplitCompletedKey takes apart what WrapCompletedKey made: one for UnwrapKey with the
// version, and one for UnwrapCustomerKey with the upload, which is nil for a version's
// key of any other layout.
func SplitCompletedKey(wrapped []byte) (version, parts []byte) {
	if len(wrapped) != uploadWrap+customerWrap {
		return wrapped, nil
	}
	return wrapped[:uploadWrap], wrapped[uploadWrap:]
}
