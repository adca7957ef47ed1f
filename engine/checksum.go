package engine

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/weakhash"
)

// The checksum algorithms of S3, spelled as in x-amz-checksum-algorithm.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
const (
	CRC32     = "CRC32"
	CRC32C    = "CRC32C"
	CRC64NVME = "CRC64NVME"
	SHA1      = "SHA1"
	SHA256    = "SHA256"
	SHA512    = "SHA512"
	MD5       = "MD5"
	XXHASH64  = "XXHASH64"
	XXHASH3   = "XXHASH3"
	XXHASH128 = "XXHASH128"
)

// Checksum types: over the object's bytes, or over its parts' checksums.
const (
	FullObject = encrypt.FullObject
	Composite  = encrypt.Composite
)

// ChecksumAlgorithms are all algorithms, in the order in which they are tried.
// It is not to be changed.
var ChecksumAlgorithms = []string{CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5, XXHASH64, XXHASH3, XXHASH128}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// NewChecksumHash returns a hash for the algorithm, or nil if it is unknown. Sums
// of XXHASH* have seed 0 and the byte order of their canonical form, big-endian.
// Source: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
func NewChecksumHash(algorithm string) hash.Hash {
	switch algorithm {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(castagnoli)
	case CRC64NVME:
		return crc64nvme.New()
	case SHA1:
		return weakhash.NewSHA1()
	case SHA256:
		return sha256.New()
	case SHA512:
		return sha512.New()
	case MD5:
		return weakhash.NewMD5()
	case XXHASH64:
		return xxhash.New()
	case XXHASH3:
		return xxh3.New()
	case XXHASH128:
		return xxh3.New128()
	}
	return nil
}

// ChecksumSize is the length of an algorithm's value in bytes; 0 if unknown.
// A claim of another length is refused before the body is read.
func ChecksumSize(algorithm string) int {
	switch algorithm {
	case CRC32, CRC32C:
		return 4
	case CRC64NVME, XXHASH64, XXHASH3:
		return 8
	case MD5, XXHASH128:
		return 16
	case SHA1:
		return weakhash.SizeSHA1
	case SHA256:
		return sha256.Size
	case SHA512:
		return sha512.Size
	}
	return 0
}
