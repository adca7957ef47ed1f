package requestlog

import "encoding/binary"

// Constants for eight bytes at a time.
const (
	ones     = 0x0101010101010101
	highBits = 0x80 * ones
)

// ordinary reports whether b is printable ASCII without quotation marks and backslashes,
// which stands in JSON as it is. It looks at eight bytes at a time: nearly all text of all
// lines passes here.
func ordinary(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		// The high bit of each byte of x tells of a byte beyond ASCII; of the sums, which
		// carry nothing into the next byte if there is none such, of one below a space, of
		// DEL, of a quotation mark and of a backslash.
		x := binary.LittleEndian.Uint64(b)
		odd := x | ^(x + (0x80-' ')*ones) | (x + ones) | ^((x ^ '"'*ones) + 0x7f*ones) | ^((x ^ '\\'*ones) + 0x7f*ones)
		if odd&highBits != 0 {
			return false
		}
	}
	for _, c := range b {
		if standing[c] == escaped {
			return false
		}
	}
	return true
}
