package engine

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"hash"

	"github.com/sanctum-storage/gateway/s3err"
)

// digester computes what is kept of a body's plaintext: its MD5, which is the
// ETag, and one checksum.
type digester struct {
	md5       hash.Hash
	sum       hash.Hash // nil: no checksum
	algorithm string
}

func newDigester(algorithm string) *digester {
	return &digester{md5: md5.New(), sum: NewChecksumHash(algorithm), algorithm: algorithm}
}

func (d *digester) Write(p []byte) (int, error) {
	d.md5.Write(p)
	if d.sum != nil {
		d.sum.Write(p)
	}
	return len(p), nil
}

// digests are what a digester found.
type digests struct {
	md5      [md5.Size]byte
	checksum *Checksum // nil: none
}

// verify compares with what the client claims, and is called once, after the
// body's reader returned io.EOF.
func (d *digester) verify(b *Body) (out digests, err error) {
	d.md5.Sum(out.md5[:0])
	if b.MD5 != nil && !bytes.Equal(b.MD5, out.md5[:]) {
		return out, s3err.New(s3err.BadDigest, "The Content-MD5 you specified did not match what we received.").
			With("CalculatedDigest", hex.EncodeToString(out.md5[:])).
			With("ExpectedDigest", hex.EncodeToString(b.MD5))
	}
	if d.sum == nil {
		return out, nil
	}
	out.checksum = &Checksum{Algorithm: d.algorithm, Type: FullObject, Value: d.sum.Sum(nil)}
	claimed := b.ChecksumValue
	if b.ClaimedLate != nil {
		if claimed, err = b.ClaimedLate(); err != nil {
			return out, err
		}
	}
	if claimed != nil && !bytes.Equal(claimed, out.checksum.Value) {
		return out, s3err.New(s3err.BadDigest, "The %s you specified did not match the calculated checksum.", d.algorithm)
	}
	return out, nil
}
