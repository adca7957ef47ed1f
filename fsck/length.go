package fsck

import (
	"fmt"

	"github.com/sanctum-storage/gateway/encrypt"
)

// certainty is how much is known of a length. Larger ones say more.
type certainty uint8

const (
	nothing certainty = iota
	least             // the blob's plaintext has no less
	padded            // it has as much, or is padded
	exactly           // an opened manifest says so
)

// length is what a row or manifest says of the length of a blob's plaintext.
type length struct {
	plain int64 // bytes
	how   certainty
}

// fits reports whether a blob of so many sealed bytes can have the length.
func (l length) fits(sealed int64) bool {
	switch l.how {
	case exactly:
		return sealed == encrypt.SealedSize(l.plain)
	case padded:
		// Without bytes there is no blob, so none that is padded.
		return sealed == encrypt.SealedSize(l.plain) || l.plain > 0 && sealed == encrypt.SealedSize(encrypt.PaddedSize(l.plain))
	case least:
		plain, err := encrypt.PlainSize(sealed)
		return err == nil && plain >= l.plain
	}
	return true
}

// String says how many sealed bytes a blob of the length has.
func (l length) String() string {
	switch n := encrypt.SealedSize(l.plain); l.how {
	case padded:
		return fmt.Sprintf("%d, or %d if it is padded", n, encrypt.SealedSize(encrypt.PaddedSize(l.plain)))
	case least:
		return fmt.Sprintf("at least %d", n)
	default:
		return fmt.Sprint(n)
	}
}
