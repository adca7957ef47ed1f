package outbound

import "testing"

func FuzzParseContentRange(f *testing.F) {
	f.Add("bytes 0-0/1")
	f.Add("bytes */5")
	f.Add("bytes 5-1/9223372036854775807")
	f.Fuzz(func(t *testing.T, s string) {
		first, last, size, err := ParseContentRange(s)
		if err == nil && (first < 0 || first > last || last >= size) {
			t.Fatalf("%q is %d-%d/%d", s, first, last, size)
		}
	})
}
