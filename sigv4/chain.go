package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

const (
	signatureLength = 2 * sha256.Size

	chunkAlgorithm   = algorithm + "-PAYLOAD"
	trailerAlgorithm = algorithm + "-TRAILER"
)

// chain computes the signatures of chunks. Each covers the one before:
//
//	AWS4-HMAC-SHA256-PAYLOAD          AWS4-HMAC-SHA256-TRAILER
//	date                              date
//	scope                             scope
//	previous signature                previous signature
//	SHA-256 of nothing                SHA-256 of the trailers
//	SHA-256 of the chunk
//
// Its buffers are reused, so that a chunk costs no allocation.
type chain struct {
	mac     hash.Hash
	context []byte // date, scope and their line ends
	prev    [signatureLength]byte
	text    []byte
	sum     [sha256.Size]byte
}

// newChain starts with the signature of the request, so that its chunks are
// worth nothing in another request.
func newChain(s *seed, scope Scope) *chain {
	c := &chain{
		mac:     hmac.New(sha256.New, s.key[:]),
		context: []byte(s.stamp + "\n" + scope.String() + "\n"),
		text:    make([]byte, 0, 512),
	}
	copy(c.prev[:], s.signature)
	return c
}

// chunk advances to the signature of a chunk whose bytes were written to sum.
func (c *chain) chunk(sum hash.Hash) {
	c.begin(chunkAlgorithm)
	c.text = append(c.text, emptySHA256+"\n"...)
	c.end(sum)
}

// trailers advances to the signature of the trailers that were written to sum.
func (c *chain) trailers(sum hash.Hash) {
	c.begin(trailerAlgorithm)
	c.end(sum)
}

// begin writes the lines in front of the digests.
func (c *chain) begin(name string) {
	c.text = append(append(c.text[:0], name...), '\n')
	c.text = append(c.text, c.context...)
	c.text = append(append(c.text, c.prev[:]...), '\n')
}

// end adds the digest in sum and computes the signature.
func (c *chain) end(sum hash.Hash) {
	// sum is used twice: the digest in it has been encoded before the MAC replaces
	// it.
	c.text = hex.AppendEncode(c.text, sum.Sum(c.sum[:0]))
	c.mac.Reset()
	c.mac.Write(c.text)
	hex.Encode(c.prev[:], c.mac.Sum(c.sum[:0]))
}

// equals compares the current signature with a given one, in constant time.
func (c *chain) equals(given []byte) bool { return hmac.Equal(c.prev[:], given) }
