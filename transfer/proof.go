package transfer

import "fmt"

// proof compares the bytes of one request with both sides.
type proof struct {
	*digests
	etag string   // that the source has for the bytes; empty: none
	sum  checksum // that the source has for the bytes; zero: none
}

// check is called after all bytes have passed.
func (p *proof) check() error {
	if p.etag != "" && p.digests.etag() != p.etag || p.sum.algorithm != "" && p.value() != p.sum.value {
		return errWrong
	}
	return nil
}

// prove chooses the proof of a PUT: the checksum of the source, so that the
// target keeps it as well, or our own, or the MD5.
func (c *Copier) prove(t *task, o *object, in *call) *proof {
	p := &proof{}
	if md5ETag.MatchString(t.etag) && !o.foreignKey && !c.from.OpaqueETags {
		p.etag = t.etag
	}
	algorithm := ""
	if o.checksum.whole() {
		p.sum, algorithm = o.checksum, o.checksum.algorithm
	}
	switch {
	case algorithm != "" && c.to.Checksums:
		in.header.Set(checksumHeader(algorithm), p.sum.value)
	case algorithm == "" && c.to.Checksums && in.header.Get("Content-Encoding") == "":
		// The encoding of the transfer would be added to the object's encoding,
		// and some servers store both.
		algorithm, in.algorithm = ownAlgorithm, ownAlgorithm
	case p.etag != "":
		in.header.Set("Content-MD5", contentMD5(p.etag))
	}
	p.digests = newDigests(algorithm, c.Verify == VerifyRead)
	in.sum = p.value
	return p
}

// answered compares the target's answer with the bytes that were sent. It is
// sure if the ETag or the checksum proves them.
func (c *Copier) answered(ans written, etag, algorithm, value string) (sure bool, err error) {
	opaque := ans.foreignKey || c.to.OpaqueETags
	switch {
	case ans.etag == "" || len(ans.etag) > maxETag:
		return false, final{fmt.Errorf("the target answered with an entity tag of %d bytes", len(ans.etag))}
	case ans.checksum.algorithm == algorithm && algorithm != "" && ans.checksum.value != value:
		return false, final{fmt.Errorf("the target answered with %s %s for bytes of %s", algorithm, ans.checksum.value, value)}
	case ans.etag == etag || ans.checksum.algorithm == algorithm && algorithm != "":
		return true, nil
	case !opaque:
		return false, final{fmt.Errorf("the target answered with ETag %q for bytes of %q", ans.etag, etag)}
	}
	return false, nil
}
