package engine

import (
	"encoding/hex"
	"testing"
)

// Sums of nothing and of "123456789", as the algorithms' specifications and the
// tools named after them give them.
func TestChecksumsOfKnownBytes(t *testing.T) {
	known := map[string][2]string{
		CRC32:     {"00000000", "cbf43926"},
		CRC32C:    {"00000000", "e3069283"},
		CRC64NVME: {"0000000000000000", "ae8b14860a799888"},
		SHA1:      {"da39a3ee5e6b4b0d3255bfef95601890afd80709", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"},
		SHA256: {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			"15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"},
		SHA512: {"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
			"d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274ad27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85"},
		MD5:       {"d41d8cd98f00b204e9800998ecf8427e", "25f9e794323b453885f5181f1b624d0b"},
		XXHASH64:  {"ef46db3751d8e999", "8cb841db40e6ae83"},
		XXHASH3:   {"2d06800538d394c2", "72dcb18b67a17dff"},
		XXHASH128: {"99aa06d3014798d86001c324468d497f", "33119477ede5dcd5e9716427681d5860"},
	}
	for _, algorithm := range ChecksumAlgorithms {
		for i, text := range []string{"", "123456789"} {
			h := NewChecksumHash(algorithm)
			h.Write([]byte(text))
			sum := h.Sum(nil)
			if got := hex.EncodeToString(sum); got != known[algorithm][i] {
				t.Errorf("%s of %q: %s", algorithm, text, got)
			}
			if len(sum) != ChecksumSize(algorithm) {
				t.Errorf("%s has %d bytes", algorithm, len(sum))
			}
		}
	}
}
