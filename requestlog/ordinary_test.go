package requestlog

import (
	"bytes"
	"testing"
)

// Each byte is found wherever it stands, beside bytes of any other kind.
func TestOrdinary(t *testing.T) {
	for _, filler := range []byte{' ', 'a', '~', '!', '#', '[', ']'} {
		for c := range 256 {
			for at := range 20 {
				b := bytes.Repeat([]byte{filler}, 20)
				b[at] = byte(c)
				if want := c >= ' ' && c <= '~' && c != '"' && c != '\\'; ordinary(b) != want {
					t.Fatalf("%q: %v", b, !want)
				}
			}
		}
	}
	for first := range 256 {
		for second := range 256 {
			b := []byte{'a', byte(first), byte(second), 'a', 'a', 'a', 'a', 'a'}
			want := ordinary(b[1:2]) && ordinary(b[2:3])
			if ordinary(b) != want {
				t.Fatalf("%q: %v", b, !want)
			}
		}
	}
}
