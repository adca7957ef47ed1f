package encrypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
)

// XAES-256-GCM, https://c2sp.org/XAES-256-GCM: the first half of a 24-byte
// random nonce selects a subkey by AES-CMAC (NIST SP 800-108), the second half
// is the GCM nonce. One key seals any number of records, where plain GCM would
// need a count kept below 2³², and a subkey costs two AES blocks.
//
// A record, the shape of all small sealed things:
//
//	record = version(1) ‖ n1[12] ‖ n2[12] ‖ ciphertext ‖ tag[16]
//	AAD    = bind(label, everything the record belongs to)
const (
	recordVersion  = 1
	recordOverhead = 1 + xaesHalf + gcmNonce + gcmTag
	xaesHalf       = 12
)

// xaes is a prepared key. Immutable.
type xaes struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // CMAC's subkey for whole blocks
}

func newXAES(key *[32]byte) *xaes {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only for a key size that no caller passes
	}
	x := &xaes{block: block}
	block.Encrypt(x.k1[:], x.k1[:])
	// Doubling in GF(2^128), SP 800-38B section 6.1, without a branch on the key.
	var carry byte
	for i := len(x.k1) - 1; i >= 0; i-- {
		next := x.k1[i] >> 7
		x.k1[i] = x.k1[i]<<1 | carry
		carry = next
	}
	x.k1[len(x.k1)-1] ^= carry * 0x87
	return x
}

// subkey returns the AES-256-GCM key for the first half of a nonce.
func (x *xaes) subkey(n1 []byte) []byte {
	k := make([]byte, 2*aes.BlockSize)
	for i := range 2 {
		m := k[i*aes.BlockSize:][:aes.BlockSize]
		m[1], m[2] = byte(i+1), 'X'
		copy(m[4:], n1)
		for j := range m {
			m[j] ^= x.k1[j]
		}
		x.block.Encrypt(m, m)
	}
	return k
}

// seal makes a record.
func (x *xaes) seal(plain, aad []byte) []byte { return x.sealAs(recordVersion, plain, aad) }

// sealAs makes a record of another version. The label in its AAD must differ too.
func (x *xaes) sealAs(version byte, plain, aad []byte) []byte {
	out := make([]byte, 1+xaesHalf, recordOverhead+len(plain))
	out[0] = version
	rand.Read(out[1:])
	return randomNonceGCM(x.subkey(out[1:])).Seal(out, nil, plain, aad)
}

// open returns a record's plaintext in new memory.
func (x *xaes) open(record, aad []byte) ([]byte, error) { return x.openAs(recordVersion, record, aad) }

func (x *xaes) openAs(version byte, record, aad []byte) ([]byte, error) {
	if len(record) < recordOverhead || record[0] != version {
		return nil, fmt.Errorf("%w: not a record of version %d", ErrCorrupt, version)
	}
	n1, rest := record[1:1+xaesHalf], record[1+xaesHalf:]
	plain, err := randomNonceGCM(x.subkey(n1)).Open(nil, nil, rest, aad)
	if err != nil {
		return nil, fmt.Errorf("%w: record does not authenticate", ErrCorrupt)
	}
	return plain, nil
}
