package damage

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"github.com/sanctum-storage/gateway/meta"
)

// KeyHash is how logs name an object, whose key they must not have. With the deployment's
// keys the object is found by it; without them nobody guesses the key from it. It is the
// same on every gateway of the deployment.
// It is keyHashBytes of HMAC-SHA-256 over the bucket's id and the key, in hexadecimal digits.
func (r *Reports) KeyHash(bucket meta.ID, key string) string {
	h, made := r.hashes.Get().(hash.Hash)
	if !made {
		h = hmac.New(sha256.New, r.c.NameKey)
	}
	defer r.hashes.Put(h)
	h.Reset()
	h.Write(bucket[:])
	h.Write([]byte(key))
	var sum [sha256.Size]byte
	return hex.EncodeToString(h.Sum(sum[:0])[:keyHashBytes])
}

// keyHashBytes are enough to tell the keys of a bucket apart.
const keyHashBytes = 12
