package engine

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"hash/crc32"

	"github.com/minio/crc64nvme"
)

// The checksum algorithms of S3, spelled as in x-amz-checksum-algorithm.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
const (
	CRC32     = "CRC32"
	CRC32C    = "CRC32C"
	CRC64NVME = "CRC64NVME"
	SHA1      = "SHA1"
	SHA256    = "SHA256"
)

// Checksum types: over the object's bytes, or over its parts' checksums.
const (
	FullObject = "FULL_OBJECT"
	Composite  = "COMPOSITE"
)

// ChecksumAlgorithms are all algorithms, in the order in which they are tried.
var ChecksumAlgorithms = []string{CRC32, CRC32C, CRC64NVME, SHA1, SHA256}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is a checksum that was computed here, or that a client claims.
type Checksum struct {
	Algorithm string
	Type      string // FullObject or Composite
	Value     []byte // raw
	Parts     int    // Composite: the number of parts
}

// String is the value as a header shows it: base64, and -N for N parts when
// composite.
func (c *Checksum) String() string {
	s := base64.StdEncoding.EncodeToString(c.Value)
	if c.Type == Composite && c.Parts > 0 {
		s = fmt.Sprintf("%s-%d", s, c.Parts)
	}
	return s
}

// NewChecksumHash returns a hash for the algorithm, or nil if it is unknown.
func NewChecksumHash(algorithm string) hash.Hash {
	switch algorithm {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(castagnoli)
	case CRC64NVME:
		return crc64nvme.New()
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	}
	return nil
}

// ChecksumSize is the length of an algorithm's value in bytes; 0 if unknown.
func ChecksumSize(algorithm string) int {
	switch algorithm {
	case CRC32, CRC32C:
		return 4
	case CRC64NVME:
		return 8
	case SHA1:
		return sha1.Size
	case SHA256:
		return sha256.Size
	}
	return 0
}
