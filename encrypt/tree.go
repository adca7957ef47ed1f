package encrypt

import (
	"encoding/binary"
	"fmt"
)

// Purposes of an object key. Its wrap and the manifests under it are bound to the
// purpose, so that neither is accepted for the other.
const (
	// PurposeVersion: the id is a version's, and the manifest describes its bytes.
	PurposeVersion = "version"
	// PurposeUpload: the id is an open multipart upload's, the manifest holds its
	// initial settings, and the key also seals its part records.
	PurposeUpload = "upload"
)

// Name is the binding of a manifest and a list record. Version is the upload id if
// the purpose is PurposeUpload.
type Name struct {
	Deployment Deployment
	Bucket     [16]byte
	Key        []byte // the object's name, as bytes
	Version    [16]byte
}

func (n *Name) bind(label string, last []byte) []byte {
	return bind(label, n.Deployment[:], n.Bucket[:], n.Key, n.Version[:], last)
}

// BucketKeys are the keys of one bucket in one generation. Immutable.
type BucketKeys struct {
	deployment Deployment
	bucket     [16]byte
	generation uint32
	wrapping   *secret
	list       *xaes
}

// DeriveBucketKeys derives the keys from the seed, which is not kept:
//
// wrapping key = HKDF-SHA256(seed, no salt, bind("sanctum/1/bucket-wrapping-key", deployment, bucket, generation), 32)
// list key     = the same with "sanctum/1/bucket-list-key"
//
// The ids are part of the derivation, so that a swapped seed gives wrong keys even
// where a provider binds no context.
func DeriveBucketKeys(seed Seed, d Deployment, bucket [16]byte, generation uint32) *BucketKeys {
	derive := func(label string) [32]byte {
		info := bind(label, d[:], bucket[:], u32(generation))
		return [32]byte(derive256((*[32]byte)(&seed), nil, info, 32))
	}
	list := derive("sanctum/1/bucket-list-key")
	defer clear(list[:])
	return &BucketKeys{
		deployment: d, bucket: bucket, generation: generation,
		wrapping: newSecret(derive("sanctum/1/bucket-wrapping-key")),
		list:     newXAES(&list),
	}
}

// Generation returns the number in every wrap and list record of these keys.
func (b *BucketKeys) Generation() uint32 { return b.generation }

// WrapKey wraps an object key for the version with the given id, or with
// PurposeUpload for the upload.
func (b *BucketKeys) WrapKey(k ObjectKey, version [16]byte, purpose string) []byte {
	return Wrap(b.wrapping.bytes(), b.generation, purpose, b.keyAAD(version), k[:])
}

// UnwrapKey opens a wrap of WrapKey. ErrWrongKey if the bucket, generation, version
// or purpose differs.
func (b *BucketKeys) UnwrapKey(wrap []byte, version [16]byte, purpose string) (k ObjectKey, err error) {
	generation, err := WrapGeneration(wrap)
	if err != nil {
		return k, err
	}
	if generation != b.generation {
		return k, fmt.Errorf("%w: wrap of generation %d, keys of %d", ErrWrongKey, generation, b.generation)
	}
	secret, err := Unwrap(b.wrapping.bytes(), purpose, b.keyAAD(version), wrap)
	if err != nil {
		return k, err
	}
	if len(secret) != len(k) {
		return k, fmt.Errorf("%w: object key of %d bytes", ErrCorrupt, len(secret))
	}
	return ObjectKey(secret), nil
}

func (b *BucketKeys) keyAAD(version [16]byte) []byte {
	return bind("sanctum/1/object-key", b.deployment[:], b.bucket[:], version[:])
}

// ListRecord has the fields of a version that a listing shows beside its row. It is
// sealed under the bucket's list key, so that listing opens no object key.
type ListRecord struct {
	ETag              string // without quotes
	Owner             string
	ChecksumAlgorithm string
	ChecksumType      string
}

// SealListRecord seals the record, bound to its row. The deployment and bucket in n
// must be the keys' own.
//
// sealed = generation u32be ‖ record, with AAD = bind("sanctum/1/list", deployment, bucket, key, version, generation)
func (b *BucketKeys) SealListRecord(n Name, r *ListRecord) []byte {
	record := b.list.seal(appendListRecord(nil, r), b.listAAD(&n))
	return append(u32(b.generation), record...)
}

// OpenListRecord opens a record of SealListRecord. ErrWrongKey for a record of
// another generation, ErrCorrupt for one that is damaged or of another row.
func (b *BucketKeys) OpenListRecord(n Name, sealed []byte) (ListRecord, error) {
	generation, err := ListRecordGeneration(sealed)
	if err != nil {
		return ListRecord{}, err
	}
	if generation != b.generation {
		return ListRecord{}, fmt.Errorf("%w: list record of generation %d, keys of %d", ErrWrongKey, generation, b.generation)
	}
	plain, err := b.list.open(sealed[4:], b.listAAD(&n))
	if err != nil {
		return ListRecord{}, err
	}
	return decodeListRecord(plain)
}

// ListRecordGeneration reads the generation of the bucket's keys that opens a list
// record.
func ListRecordGeneration(sealed []byte) (uint32, error) {
	if len(sealed) < 4+recordOverhead {
		return 0, fmt.Errorf("%w: list record of %d bytes", ErrCorrupt, len(sealed))
	}
	return binary.BigEndian.Uint32(sealed), nil
}

func (b *BucketKeys) listAAD(n *Name) []byte {
	var generation [4]byte
	binary.BigEndian.PutUint32(generation[:], b.generation)
	return n.bind("sanctum/1/list", generation[:])
}

// SystemKeys protect secrets that belong to no bucket: those of access keys.
// Immutable.
type SystemKeys struct {
	deployment Deployment
	generation uint32
	wrapping   *secret
}

// DeriveSystemKeys derives the keys from the seed, which is not kept:
//
//	wrapping key = HKDF-SHA256(seed, no salt, bind("sanctum/1/system-wrapping-key", deployment, generation), 32)
func DeriveSystemKeys(seed Seed, d Deployment, generation uint32) *SystemKeys {
	info := bind("sanctum/1/system-wrapping-key", d[:], u32(generation))
	return &SystemKeys{deployment: d, generation: generation, wrapping: newSecret([32]byte(derive256((*[32]byte)(&seed), nil, info, 32)))}
}

const purposeCredential = "credential"

// Generation returns the number in every wrap of these keys.
func (s *SystemKeys) Generation() uint32 { return s.generation }

// WrapSecret wraps the secret of an access key for its user.
func (s *SystemKeys) WrapSecret(accessKeyID, userID string, secret []byte) []byte {
	return Wrap(s.wrapping.bytes(), s.generation, purposeCredential, s.aad(accessKeyID, userID), secret)
}

// UnwrapSecret opens a wrap of WrapSecret. ErrWrongKey if the access key or the
// user differs, so that a secret moved to another row opens nothing.
func (s *SystemKeys) UnwrapSecret(accessKeyID, userID string, wrap []byte) ([]byte, error) {
	return Unwrap(s.wrapping.bytes(), purposeCredential, s.aad(accessKeyID, userID), wrap)
}

func (s *SystemKeys) aad(accessKeyID, userID string) []byte {
	return bind("sanctum/1/credential", s.deployment[:], []byte(accessKeyID), []byte(userID))
}

// SealDocument seals a document of the system, such as a user's permissions, for
// the kind and the id of its owner.
//
// wrap with purpose kind and aad = bind("sanctum/1/document", deployment, kind, id)
func (s *SystemKeys) SealDocument(kind string, id, document []byte) []byte {
	return Wrap(s.wrapping.bytes(), s.generation, kind, s.documentAAD(kind, id), document)
}

// OpenDocument opens a document of SealDocument. ErrWrongKey if kind or id differs;
// ErrCorrupt for damage.
func (s *SystemKeys) OpenDocument(kind string, id, sealed []byte) ([]byte, error) {
	return Unwrap(s.wrapping.bytes(), kind, s.documentAAD(kind, id), sealed)
}

func (s *SystemKeys) documentAAD(kind string, id []byte) []byte {
	return bind("sanctum/1/document", s.deployment[:], []byte(kind), id)
}
