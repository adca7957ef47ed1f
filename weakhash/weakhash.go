// Package weakhash has MD5 and SHA-1, where S3's protocol demands them: entity
// tags, Content-MD5, the checksum of a key that a client sends, checksums that a
// client chooses, and signatures of version 2. No other secret of ours depends on
// them.
//
// Neither is approved by FIPS 140-3, and a process with GODEBUG=fips140=only
// refuses them. This package says to the runtime, for exactly these uses, that
// they lie outside the module's boundary. Everything else in the project takes
// approved algorithms, so no other package may import crypto/md5 or crypto/sha1.
// Source: https://go.dev/doc/security/fips140
package weakhash

import (
	"crypto/fips140"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"hash"
)

// Sizes of the sums in bytes.
const (
	SizeMD5  = md5.Size
	SizeSHA1 = sha1.Size
)

// NewMD5 returns a hash for one goroutine at a time, like md5.New.
func NewMD5() hash.Hash { return outside(md5.New) }

// NewSHA1 returns a hash for one goroutine at a time, like sha1.New.
func NewSHA1() hash.Hash { return outside(sha1.New) }

// MD5 is the sum of data.
func MD5(data []byte) (sum [SizeMD5]byte) {
	fips140.WithoutEnforcement(func() { sum = md5.Sum(data) })
	return sum
}

// HMACSHA1 is the code of a text under a key. It panics where only approved
// algorithms may run: the gateway does not start there with signatures of
// version 2.
func HMACSHA1(key, text []byte) []byte {
	m := hmac.New(sha1.New, key)
	m.Write(text)
	return m.Sum(nil)
}

// outside makes a hash whose use is not refused. Where nothing is refused, it is
// the hash itself, which costs nothing.
func outside(make func() hash.Hash) (h hash.Hash) {
	if !fips140.Enforced() {
		return make()
	}
	fips140.WithoutEnforcement(func() { h = make() })
	return unenforced{h}
}

// unenforced is a hash whose methods run outside the boundary of the module.
type unenforced struct{ hash.Hash }

func (u unenforced) Write(p []byte) (n int, err error) {
	fips140.WithoutEnforcement(func() { n, err = u.Hash.Write(p) })
	return n, err
}

func (u unenforced) Sum(b []byte) (sum []byte) {
	fips140.WithoutEnforcement(func() { sum = u.Hash.Sum(b) })
	return sum
}
