package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// shown is an output for people. Names, texts of other servers and values of
// settings may contain characters that control a terminal or reorder a line;
// shown writes them in a visible form. All output of commands passes through
// it, so no line is forgotten. JSON keeps its meaning.
type shown struct{ w io.Writer }

// Write implements io.Writer. Each call must bring whole characters.
func (s shown) Write(p []byte) (int, error) {
	if _, err := s.w.Write(printable(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// bare is the output itself, for lines that are rewritten on a terminal and
// contain only our own words and numbers.
func bare(w io.Writer) io.Writer {
	if s, ok := w.(shown); ok {
		return s.w
	}
	return w
}

// printable escapes characters that have no shape of their own, apart from line
// ends and tabs: control characters including those of C1, formatting
// characters, which can reverse text, other line ends, and bytes that are not
// UTF-8.
func printable(p []byte) []byte {
	if i := firstUnusual(p); i < 0 || !bytes.ContainsFunc(p[i:], invisible) {
		return p
	}
	out := make([]byte, 0, len(p)+16)
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		switch high, low := utf16.EncodeRune(r); {
		case r == utf8.RuneError && n == 1:
			out = fmt.Appendf(out, `\x%02x`, p[0])
		case !invisible(r):
			out = append(out, p[:n]...)
		case high != utf8.RuneError:
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		p = p[n:]
	}
	return out
}

// firstUnusual returns where the first unusual byte stands, or -1. It looks at eight bytes at
// a time.
func firstUnusual(p []byte) int {
	const ones = 0x0101010101010101
	for i := 0; i < len(p); {
		if i+8 <= len(p) {
			// High bits tell of bytes beyond ASCII, below a space, and of DEL.
			x := binary.LittleEndian.Uint64(p[i:])
			if (x|^(x+(0x80-' ')*ones)|(x+ones))&(0x80*ones) == 0 {
				i += 8
				continue
			}
		}
		if unusual(p[i]) {
			return i
		}
		i++
	}
	return -1
}

// unusual reports whether a byte needs a look at the tables of Unicode. Most
// lines have no such byte, and each line of the request log passes here.
func unusual(c byte) bool { return c-' ' > '~'-' ' && c != '\n' && c != '\t' }

// invisible reports whether a character must be escaped.
func invisible(r rune) bool {
	return r != '\n' && r != '\t' && (r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp))
}
