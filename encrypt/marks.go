package encrypt

import (
	"encoding/binary"
	"fmt"
)

// SealMarks seals the changeable attributes of a version: tags and ACL, in the
// caller's encoding. It needs no object key, so that an SSE-C object's tags can be
// read without the customer's key.
//
// sealed = generation u32be ‖ record under the list key, with
// AAD = bind("sanctum/1/marks", deployment, bucket, key, version, generation)
func (b *BucketKeys) SealMarks(n Name, marks []byte) []byte {
	g := u32(b.generation)
	return append(g, b.list.seal(marks, n.bind("sanctum/1/marks", g))...)
}

// OpenMarks opens marks of SealMarks. ErrWrongKey for marks of another generation,
// ErrCorrupt for damaged ones or those of another version.
func (b *BucketKeys) OpenMarks(n Name, sealed []byte) ([]byte, error) {
	return b.openUnderList(sealed, "marks", func(g []byte) []byte { return n.bind("sanctum/1/marks", g) })
}

// SealSetting seals a sub-resource of a bucket, for example its policy.
//
// sealed = generation u32be ‖ record under the list key, with
// AAD = bind("sanctum/1/setting", deployment, bucket, name, generation)
func (b *BucketKeys) SealSetting(name string, document []byte) []byte {
	g := u32(b.generation)
	return append(g, b.list.seal(document, b.settingAAD(name, g))...)
}

// OpenSetting opens a setting of SealSetting; errors as OpenMarks.
func (b *BucketKeys) OpenSetting(name string, sealed []byte) ([]byte, error) {
	return b.openUnderList(sealed, "setting", func(g []byte) []byte { return b.settingAAD(name, g) })
}

func (b *BucketKeys) settingAAD(name string, generation []byte) []byte {
	return bind("sanctum/1/setting", b.deployment[:], b.bucket[:], []byte(name), generation)
}

// MarksGeneration reads the generation of the bucket's keys that opens marks or a
// setting.
func MarksGeneration(sealed []byte) (uint32, error) {
	if len(sealed) < 4+recordOverhead {
		return 0, fmt.Errorf("%w: marks of %d bytes", ErrCorrupt, len(sealed))
	}
	return binary.BigEndian.Uint32(sealed), nil
}

func (b *BucketKeys) openUnderList(sealed []byte, what string, aad func(generation []byte) []byte) ([]byte, error) {
	generation, err := MarksGeneration(sealed)
	if err != nil {
		return nil, err
	}
	if generation != b.generation {
		return nil, fmt.Errorf("%w: %s of generation %d, keys of %d", ErrWrongKey, what, generation, b.generation)
	}
	return b.list.open(sealed[4:], aad(sealed[:4:4]))
}
