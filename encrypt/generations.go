package encrypt

import "fmt"

// A new generation of a bucket's keys wraps what the former one wrapped. Only the outer
// wrap changes: neither an object key nor what it seals, nor a customer's wrap, whose key
// is not needed.

// RewrapVersionKey returns a version's wrapped key, of any layout, under the keys of
// another generation of the same bucket. upload is that of the version's parts; it counts
// for WrapCompletedKey alone. Errors as UnwrapKey.
func (b *BucketKeys) RewrapVersionKey(to *BucketKeys, wrapped []byte, version, upload [16]byte) ([]byte, error) {
	own, parts := SplitCompletedKey(wrapped)
	again, err := b.rewrap(to, own, version, PurposeVersion)
	if err != nil || parts == nil {
		return again, err
	}
	return b.appendRewrapped(again, to, parts, upload)
}

// RewrapUploadKeys does so with the wrapped keys of an upload.
func (b *BucketKeys) RewrapUploadKeys(to *BucketKeys, wrapped []byte, upload [16]byte) ([]byte, error) {
	settings, customer := SplitUploadKeys(wrapped)
	again, err := b.rewrap(to, settings, upload, PurposeUpload)
	if err != nil || customer == nil {
		return again, err
	}
	return b.appendRewrapped(again, to, customer, upload)
}

// RewrapPartsKey does so with the customer wrap of an upload's parts key alone.
func (b *BucketKeys) RewrapPartsKey(to *BucketKeys, parts []byte, upload [16]byte) ([]byte, error) {
	return b.appendRewrapped(nil, to, parts, upload)
}

func (b *BucketKeys) appendRewrapped(own []byte, to *BucketKeys, parts []byte, upload [16]byte) ([]byte, error) {
	again, err := b.rewrap(to, parts, upload, PurposeUpload)
	if err != nil {
		return nil, err
	}
	return append(own, again...), nil
}

// rewrap tells a customer's wrap from an ordinary one by its length.
func (b *BucketKeys) rewrap(to *BucketKeys, wrap []byte, id [16]byte, purpose string) ([]byte, error) {
	switch len(wrap) {
	case uploadWrap:
	case customerWrap:
		purpose += customerSuffix
	default:
		return nil, fmt.Errorf("%w: a wrapped object key of %d bytes", ErrCorrupt, len(wrap))
	}
	generation, err := WrapGeneration(wrap)
	if err != nil {
		return nil, err
	}
	if generation != b.generation || b.bucket != to.bucket {
		return nil, fmt.Errorf("%w: wrap of generation %d, keys of %d", ErrWrongKey, generation, b.generation)
	}
	aad := b.keyAAD(id)
	secret, err := Unwrap(b.wrapping.bytes(), purpose, aad, wrap)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return Wrap(to.wrapping.bytes(), to.generation, purpose, aad, secret), nil
}

// AnyWrapIs reports whether any of a version's or an upload's wrapped keys is of a
// generation that is picked, as they say themselves; also where one does not say.
func AnyWrapIs(wrapped []byte, picks func(generation uint32) bool) bool {
	for {
		g, err := WrapGeneration(wrapped)
		if err != nil || picks(g) {
			return true
		}
		if len(wrapped) != uploadWrap+customerWrap {
			return false
		}
		wrapped = wrapped[uploadWrap:]
	}
}
