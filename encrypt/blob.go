package encrypt

import (
	"fmt"
	"sync"
)

// A blob is a FLOE message with 64 KiB of plaintext a segment. Its length is a
// function of the plaintext's, and the other way round:
//
//	blob = header[74] ‖ segment_0 ‖ … ‖ segment_{n-1}
//	n(p) = max(1, ceil(p/65536))        |blob| = 74 + p + 32·n(p)
const (
	// SegmentSize is the number of plaintext bytes in every segment but the last.
	SegmentSize = 65536
	// SegmentOverhead is what sealing adds to each segment, in bytes.
	SegmentOverhead = floeOverhead
	// HeaderSize is the length of a blob's header in bytes.
	HeaderSize = floeParams + floeIV + floeTag
	// MaxBlobSize is the largest plaintext that one blob can hold, in bytes.
	MaxBlobSize = SegmentSize * floeSegments
)

var blobSuite = suite{segment: SegmentSize + SegmentOverhead, rotation: 20}

// BlobSeal is the part of a blob's header that a manifest keeps: enough to open any
// segment without reading the header, and to detect any other blob.
type BlobSeal struct{ IV, Tag [32]byte }

// BlobAAD returns the binding of a blob: the format, the deployment and the blob's
// own random id. All are immutable, so copy and rename never touch ciphertext.
func BlobAAD(deployment [16]byte, blob [20]byte) []byte {
	return bind("sanctum/1/blob", deployment[:], blob[:])
}

// SealedSize returns the length of the blob for a plaintext of the given length. It
// panics outside 0..MaxBlobSize.
func SealedSize(plain int64) int64 {
	if plain < 0 || plain > MaxBlobSize {
		panic(fmt.Sprintf("encrypt: no blob has %d bytes of plaintext", plain))
	}
	return HeaderSize + plain + SegmentOverhead*blobSuite.count(plain)
}

// PlainSize is the inverse of SealedSize. It returns ErrCorrupt for a length that
// no blob has.
func PlainSize(sealed int64) (int64, error) {
	const whole = SegmentSize + SegmentOverhead
	body := sealed - HeaderSize
	if body < SegmentOverhead || body > floeSegments*whole {
		return 0, fmt.Errorf("%w: no blob has %d bytes", ErrCorrupt, sealed)
	}
	n := (body + whole - 1) / whole
	if last := body - (n-1)*whole; last < SegmentOverhead || last == SegmentOverhead && n > 1 {
		return 0, fmt.Errorf("%w: no blob has %d bytes", ErrCorrupt, sealed)
	}
	return body - n*SegmentOverhead, nil
}

// count returns the number of segments of a plaintext; an empty one has one.
func (s suite) count(plain int64) int64 {
	size := int64(s.plain())
	return max(1, (plain+size-1)/size)
}

// buffer holds a header and a sealed segment, or a segment of plaintext.
type buffer [HeaderSize + SegmentSize + SegmentOverhead]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func getBuffer() *buffer { return buffers.Get().(*buffer) }

// putBuffer returns *b to the pool and sets it to nil.
func putBuffer(b **buffer) {
	if *b != nil {
		buffers.Put(*b)
		*b = nil
	}
}
