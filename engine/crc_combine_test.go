package engine

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestCombineCRC(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	sum := func(alg string, p []byte) []byte {
		h := NewChecksumHash(alg)
		h.Write(p)
		return h.Sum(nil)
	}
	for _, alg := range []string{CRC32, CRC32C, CRC64NVME} {
		for range 200 {
			p := make([]byte, rng.IntN(5000))
			for i := range p {
				p[i] = byte(rng.Uint32())
			}
			cut := rng.IntN(len(p) + 1)
			got, ok := combineCRC(alg, sum(alg, p[:cut]), sum(alg, p[cut:]), int64(len(p)-cut))
			if !ok || !bytes.Equal(got, sum(alg, p)) {
				t.Fatalf("%s of %d and %d bytes: %x", alg, cut, len(p)-cut, got)
			}
		}
	}
	if _, ok := combineCRC(SHA256, nil, nil, 0); ok {
		t.Error("SHA256 cannot be combined")
	}
}
