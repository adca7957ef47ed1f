package encrypt

import (
	"encoding/binary"
	"fmt"
)

// The row of a multipart upload. What it was started with must be readable
// without the customer, for listings; the parts of an SSE-C upload must not be.
// So such an upload has two keys, one for its settings and one for its parts:
//
//	wrapped key = wrap of the upload's key, purpose "upload"                       129 bytes
//	            | the same of the settings' key ‖ customer wrap of the parts' key  129 + 226 bytes
//
//	settings    = record of the manifest                                           first byte 01
//	            | 02 ‖ u32be(length) ‖ record of the manifest ‖ sealed marks       the marks of the object to be
const (
	uploadWrap    = WrapOverhead + len(ObjectKey{})
	settingsMarks = 2 // first byte of settings with marks; a record's is recordVersion
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

// SealUploadMarks is SealMarks for the object that an upload, whose id is
// n.Version, will become.
//
//	sealed = generation u32be ‖ record under the list key, with
//	AAD = bind("sanctum/1/upload-marks", deployment, bucket, key, upload, generation)
func (b *BucketKeys) SealUploadMarks(n Name, marks []byte) []byte {
	g := u32(b.generation)
	return append(g, b.list.seal(marks, n.bind("sanctum/1/upload-marks", g))...)
}

// OpenUploadMarks opens what SealUploadMarks made; errors as OpenMarks.
func (b *BucketKeys) OpenUploadMarks(n Name, sealed []byte) ([]byte, error) {
	return b.openUnderList(sealed, "upload marks", func(g []byte) []byte { return n.bind("sanctum/1/upload-marks", g) })
}

// JoinSettings puts a sealed manifest and sealed marks, or nil, into one.
func JoinSettings(manifest, marks []byte) []byte {
	if marks == nil {
		return manifest
	}
	out := append([]byte{settingsMarks}, u32(uint32(len(manifest)))...)
	return append(append(out, manifest...), marks...)
}

// SplitSettings takes apart what JoinSettings made, without looking into it.
func SplitSettings(settings []byte) (manifest, marks []byte, err error) {
	if len(settings) == 0 || settings[0] != settingsMarks {
		return settings, nil, nil
	}
	if len(settings) < 5 {
		return nil, nil, fmt.Errorf("%w: settings of %d bytes", ErrCorrupt, len(settings))
	}
	n, rest := binary.BigEndian.Uint32(settings[1:]), settings[5:]
	if uint64(n) > uint64(len(rest)) {
		return nil, nil, fmt.Errorf("%w: settings end before their manifest", ErrCorrupt)
	}
	return rest[:n:n], rest[n:], nil
}
