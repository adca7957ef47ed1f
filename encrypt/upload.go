package encrypt

// The row of a multipart upload. What it was started with must be readable
// without the customer, for listings; the parts of an SSE-C upload must not be.
// So such an upload has two keys, one for its settings and one for its parts:
//
//	wrapped key = wrap of the upload's key, purpose "upload"                       129 bytes
//	            | the same of the settings' key ‖ customer wrap of the parts' key  129 + 226 bytes
const uploadWrap = WrapOverhead + len(ObjectKey{})

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
