package engine

import (
	"encoding/binary"
	"hash/crc32"
)

// The CRC of two byte strings one after the other follows from the CRC of each
// and the length of the second: appending a zero bit is a linear map over
// GF(2), and appending n bytes of zeros is that map's 8n-th power.
// Method: Mark Adler, crc32_combine in zlib.

// crcPolynomials are the reversed polynomials.
// Source of CRC64NVME: NVM Express NVM Command Set Specification 1.0, 5.2.1.3.4.
var crcPolynomials = map[string]struct {
	poly uint64
	bits int
}{
	CRC32:     {crc32.IEEE, 32},
	CRC32C:    {crc32.Castagnoli, 32},
	CRC64NVME: {0x9a6c9329ac4bc9b5, 64},
}

// combineCRC returns the checksum of a‖b, given those of a and of b, which is
// size bytes long. ok is false for an algorithm that cannot be combined.
// Sums are big-endian, as the hash of NewChecksumHash gives them, and the result is newly
// allocated. It reads no byte of either string: the work grows with the number of binary digits of
// size.
func combineCRC(algorithm string, a, b []byte, size int64) (sum []byte, ok bool) {
	p, ok := crcPolynomials[algorithm]
	if !ok || len(a) != p.bits/8 || len(b) != p.bits/8 {
		return nil, false
	}
	var m [64]uint64 // appends one zero bit
	// The reversed form has the lowest power at the highest bit, so a shift by one bit goes to the
	// right, and the bit that falls out brings the polynomial in.
	m[0] = p.poly
	for i := 1; i < p.bits; i++ {
		m[i] = 1 << (i - 1)
	}
	for range 3 { // appends one zero byte
		m = gf2Square(&m, p.bits)
	}
	crc := bigEndian(a)
	// Square and multiply: the power for size bytes in as many steps as size has bits.
	for n := uint64(size); n > 0; n >>= 1 {
		if n&1 == 1 {
			crc = gf2Times(&m, crc)
		}
		m = gf2Square(&m, p.bits)
	}
	crc ^= bigEndian(b)
	if p.bits == 32 {
		return binary.BigEndian.AppendUint32(nil, uint32(crc)), true
	}
	return binary.BigEndian.AppendUint64(nil, crc), true
}

func bigEndian(b []byte) (v uint64) {
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

// The vector is a bit set, and the matrix has a column for each bit.
func gf2Times(m *[64]uint64, v uint64) (sum uint64) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 == 1 {
			sum ^= m[i]
		}
	}
	return sum
}

// Squaring the map doubles the number of zero bits that it appends.
func gf2Square(m *[64]uint64, bits int) (sq [64]uint64) {
	for i := range bits {
		sq[i] = gf2Times(m, m[i])
	}
	return sq
}
