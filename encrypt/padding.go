package encrypt

import "math/bits"

// MinPadded is the least length of a padded plaintext in bytes. All shorter ones share
// its class: Padmé alone gives the small lengths, which are the most telling, classes of a
// few bytes.
const MinPadded = 4096

// PaddedSize returns the length to which a plaintext of a length is padded, in bytes:
// MinPadded, or above that the smallest length of Padmé that is not shorter. So a
// ciphertext tells of a length L only floor(log2 L) and the floor(log2 floor(log2 L)) + 1
// bits that follow the first, rounded up. Above MinPadded the padding is less than a
// sixteenth of a length, and it becomes smaller with the length. Powers of two
// stay as they are, so a length that fits into a segment does so padded.
// plain is at least 0 and at most MaxBlobSize, and so is the result.
//
// Source: Nikitin and others, "Reducing Metadata Leakage from Encrypted Files and
// Communication with PURBs", https://arxiv.org/abs/1806.03160, algorithm 1.
func PaddedSize(plain int64) int64 {
	if plain <= MinPadded {
		return MinPadded
	}
	exponent := bits.Len64(uint64(plain)) - 1
	free := exponent - bits.Len(uint(exponent)) // the low bits that are rounded away
	mask := int64(1)<<free - 1
	return (plain + mask) &^ mask
}
