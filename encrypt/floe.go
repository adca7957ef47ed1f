package encrypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
)

// FLOE, https://c2sp.org/FLOE: a message is a header and segments that can each
// be sealed and opened on their own.
//
//	header  = params[10] ‖ iv[32] ‖ tag[32]
//	params  = 00 (AES-256-GCM) ‖ 00 (HKDF-Expand-SHA-384) ‖ u32be(ENC_SEG_LEN) ‖ u32be(32)
//	segment = u32be(FFFFFFFF, or its own length if final) ‖ nonce[12] ‖ ciphertext ‖ tag[16]
const (
	floeParams     = 10
	floeIV         = 32
	floeTag        = 32
	floeMessageKey = 48
	floePrefix     = 4          // the length field before each segment's nonce
	floeInner      = 0xFFFFFFFF // its value in every segment but the final one
	floeOverhead   = floePrefix + gcmNonce + gcmTag
	floeSegments   = 1 << 40 // AEAD_MAX_SEGMENTS

	gcmNonce = 12
	gcmTag   = 16
)

// suite has the free parameter of FLOE and, only for the published vectors, the
// rotation that the specification fixes at 20 bits.
type suite struct {
	segment  int  // ENC_SEG_LEN: bytes of a sealed segment
	rotation uint // a new segment key every 2^rotation segments
}

// plain is the number of plaintext bytes in every segment but the final one.
func (s suite) plain() int { return s.segment - floeOverhead }

// message is FLOE's State: it opens or seals any segment of one message. It is
// immutable after start.
type message struct {
	suite  suite
	prefix [floeParams + floeIV]byte
	tag    [floeTag]byte
	key    []byte
	aad    []byte
}

// start derives a message's header tag and message key.
func (s suite) start(key *DataKey, iv *[floeIV]byte, aad []byte) *message {
	m := &message{suite: s, aad: append([]byte(nil), aad...)}
	binary.BigEndian.PutUint32(m.prefix[2:], uint32(s.segment))
	binary.BigEndian.PutUint32(m.prefix[6:], floeIV)
	copy(m.prefix[floeParams:], iv[:])
	m.tag = [floeTag]byte(m.derive(key[:], "HEADER_TAG:", floeTag))
	m.key = m.derive(key[:], "MESSAGE_KEY:", floeMessageKey)
	return m
}

// derive is FLOE_KDF.
func (m *message) derive(key []byte, purpose string, length int) []byte {
	info := string(m.prefix[:]) + purpose + string(m.aad)
	out, err := hkdf.Expand(sha512.New384, key, info, length)
	if err != nil {
		panic(err) // only for a length or key size that no caller passes
	}
	return out
}

// aead is the cipher of the epoch-th run of 2^rotation segments.
func (m *message) aead(epoch uint64) cipher.AEAD {
	first := binary.BigEndian.AppendUint64([]byte("DEK:"), epoch<<m.suite.rotation)
	return randomNonceGCM(m.derive(m.key, string(first), 32))
}

func (m *message) header() (h [HeaderSize]byte) {
	copy(h[:], m.prefix[:])
	copy(h[len(m.prefix):], m.tag[:])
	return h
}

// segmentCipher seals or opens segments of one message, and caches the key of the
// last used epoch. Not for concurrent use.
type segmentCipher struct {
	m     *message
	aead  cipher.AEAD // nil until first used
	epoch uint64
	ad    [9]byte // u64be(position) ‖ final; a field, so that passing it does not allocate
}

func (c *segmentCipher) at(i uint64, final bool) {
	if epoch := i >> c.m.suite.rotation; c.aead == nil || epoch != c.epoch {
		c.aead, c.epoch = c.m.aead(epoch), epoch
	}
	binary.BigEndian.PutUint64(c.ad[:], i)
	c.ad[8] = 0
	if final {
		c.ad[8] = 1
	}
}

// seal appends segment i to dst. plain must not overlap dst and must have the
// full length unless final.
func (c *segmentCipher) seal(dst []byte, i uint64, final bool, plain []byte) []byte {
	c.at(i, final)
	length := uint32(floeInner)
	if final {
		length = uint32(len(plain) + floeOverhead)
	}
	dst = binary.BigEndian.AppendUint32(dst, length)
	return c.aead.Seal(dst, nil, plain, c.ad[:])
}

// open verifies segment i and appends its plaintext to dst, which must not overlap
// sealed. The caller knows whether the segment is final; the bytes must agree.
func (c *segmentCipher) open(dst []byte, i uint64, final bool, sealed []byte) ([]byte, error) {
	if len(sealed) < floeOverhead || len(sealed) > c.m.suite.segment {
		return nil, fmt.Errorf("%w: segment %d has %d bytes", ErrCorrupt, i, len(sealed))
	}
	length := binary.BigEndian.Uint32(sealed)
	if final && length != uint32(len(sealed)) {
		return nil, fmt.Errorf("%w: segment %d is not a final one of its length", ErrCorrupt, i)
	}
	if !final && (length != floeInner || len(sealed) != c.m.suite.segment) {
		return nil, fmt.Errorf("%w: segment %d is not an inner one", ErrCorrupt, i)
	}
	c.at(i, final)
	out, err := c.aead.Open(dst, nil, sealed[floePrefix:], c.ad[:])
	if err != nil {
		return nil, fmt.Errorf("%w: segment %d does not authenticate", ErrCorrupt, i)
	}
	return out, nil
}

// randomNonceGCM is AES-256-GCM that generates its own nonce and prepends it (nonce
// ‖ ciphertext ‖ tag). It is the one constructor that Go's FIPS module approves.
func randomNonceGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for a key size that no caller passes
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for a block cipher that is not AES
	}
	return gcm
}
