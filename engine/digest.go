package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"hash"

	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/weakhash"
)

// digester computes what is kept of a body's plaintext: its MD5, which is the
// ETag, and one checksum; and the checksum that the client claims, which may be
// another.
type digester struct {
	md5       hash.Hash
	sum       hash.Hash // nil: no checksum
	algorithm string
	kept      hash.Hash // nil: sum is
	keep      string
}

// newDigester computes at most two checksums beside the MD5: that which the client claims, and
// another that is kept for a part, from which the object's is combined; keep is as in intake.
func newDigester(b *Body, keep string) *digester {
	d := &digester{md5: weakhash.NewMD5(), algorithm: b.ChecksumAlgorithm, keep: keep}
	switch {
	case d.algorithm == "":
		d.algorithm = d.keep
	case d.keep != "" && d.keep != d.algorithm:
		d.kept = NewChecksumHash(d.keep)
	}
	d.sum = NewChecksumHash(d.algorithm)
	return d
}

// It never fails. It is used by one goroutine, the pipeline's hasher.
func (d *digester) Write(p []byte) (int, error) {
	d.md5.Write(p)
	if d.sum != nil {
		d.sum.Write(p)
	}
	if d.kept != nil {
		d.kept.Write(p)
	}
	return len(p), nil
}

// digests are what a digester found.
type digests struct {
	md5      [weakhash.SizeMD5]byte
	checksum *Checksum // nil: none
	claimed  *Checksum // that the client sent, where it is not checksum
}

// verify compares with what the client claims, and is called once, after the
// body's reader returned io.EOF.
// The MD5 is compared first. Errors: BadDigest, with both values for the MD5, and what ClaimedLate
// returns.
func (d *digester) verify(b *Body) (out digests, err error) {
	d.md5.Sum(out.md5[:0])
	if b.MD5 != nil && !bytes.Equal(b.MD5, out.md5[:]) {
		return out, s3err.New(s3err.BadDigest, "The Content-MD5 you specified did not match what we received.").
			With("CalculatedDigest", base64.StdEncoding.EncodeToString(out.md5[:])).
			With("ExpectedDigest", hex.EncodeToString(b.MD5))
	}
	if d.sum == nil {
		return out, nil
	}
	out.checksum = &Checksum{Algorithm: d.algorithm, Type: FullObject, Value: d.sum.Sum(nil)}
	claimed := b.ChecksumValue
	// A trailer comes after the body, so its value is asked for here and not before.
	if b.ClaimedLate != nil {
		if claimed, err = b.ClaimedLate(); err != nil {
			return out, err
		}
	}
	if claimed != nil && !bytes.Equal(claimed, out.checksum.Value) {
		return out, s3err.New(s3err.BadDigest, "The %s you specified did not match the calculated checksum.", d.algorithm)
	}
	if d.kept != nil {
		out.claimed = out.checksum
		out.checksum = &Checksum{Algorithm: d.keep, Type: FullObject, Value: d.kept.Sum(nil)}
	}
	return out, nil
}
