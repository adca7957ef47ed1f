package access

import (
	"strings"
	"unicode/utf8"
)

// anyOne stands for ? among the characters of a segment.
const anyOne rune = -1

// invalidByte is added to a byte that is not UTF-8, so that each such byte is a
// character of its own and equals itself alone.
const invalidByte rune = -1024

func decodeRune(s string) (rune, int) {
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 {
		r = invalidByte + rune(s[0])
	}
	return r, n
}

// glob is a pattern with wildcards, cut at its stars: the first segment starts
// the text, the last ends it, and the others come in order between them.
//
// Matching takes the leftmost place of each segment and never goes back, so
// that its time is that of searching the text once; a segment with a question
// mark costs a machine word per 64 of its characters on top.
type glob struct {
	segments []segment
}

// segment is a run without stars. One with question marks keeps its characters
// and, for searching, the bits of the positions at which each may stand.
type segment struct {
	text  string
	runes []rune
	bits  map[rune][]uint64
	wild  []uint64
}

// newGlob compiles a pattern in which * and ? are wildcards and nothing else is
// special.
func newGlob(pattern string) *glob {
	var w globWriter
	w.pattern(pattern)
	return w.glob()
}

// globWriter builds a glob from pieces, of which some are to be taken literally.
type globWriter struct {
	segments []segment
	text     []byte // of the segment under way, with a byte for each ?
	wild     []int  // where in text these are
}

func (w *globWriter) pattern(s string) {
	for {
		i := strings.IndexAny(s, "*?")
		if i < 0 {
			w.text = append(w.text, s...)
			return
		}
		w.text = append(w.text, s[:i]...)
		if s[i] == '*' {
			w.end(true)
		} else {
			w.wild = append(w.wild, len(w.text))
			w.text = append(w.text, '?')
		}
		s = s[i+1:]
	}
}

func (w *globWriter) literal(s string) { w.text = append(w.text, s...) }

func (w *globWriter) glob() *glob {
	w.end(false)
	return &glob{w.segments}
}

// end closes the segment under way, which is dropped if it is nothing between
// two stars.
func (w *globWriter) end(starFollows bool) {
	switch {
	case len(w.text) == 0 && len(w.segments) > 0 && starFollows:
	case len(w.wild) == 0:
		w.segments = append(w.segments, segment{text: string(w.text)})
	default:
		w.segments = append(w.segments, newSegment(string(w.text), w.wild))
	}
	w.text, w.wild = w.text[:0], w.wild[:0]
}

// newSegment makes a segment with question marks at the places of wild.
func newSegment(text string, wild []int) segment {
	s := segment{bits: make(map[rune][]uint64)}
	for at := 0; at < len(text); {
		r, n := decodeRune(text[at:])
		if len(wild) > 0 && wild[0] == at {
			r, wild = anyOne, wild[1:]
		}
		s.runes = append(s.runes, r)
		at += n
	}
	words := (len(s.runes) + 63) / 64
	s.wild = make([]uint64, words)
	for i, r := range s.runes {
		if r == anyOne {
			s.wild[i/64] |= 1 << (i % 64)
			continue
		}
		if s.bits[r] == nil {
			s.bits[r] = make([]uint64, words)
		}
		s.bits[r][i/64] |= 1 << (i % 64)
	}
	return s
}

// literal reports whether the pattern has no wildcard, and what it says.
func (g *glob) literal() (string, bool) {
	if len(g.segments) == 1 && g.segments[0].runes == nil {
		return g.segments[0].text, true
	}
	return "", false
}

func (g *glob) match(s string) bool {
	last := len(g.segments) - 1
	n, ok := g.segments[0].prefix(s)
	if !ok {
		return false
	}
	s = s[n:]
	if last == 0 {
		return s == ""
	}
	n, ok = g.segments[last].suffix(s)
	if !ok {
		return false
	}
	s = s[:len(s)-n]
	for i := 1; i < last; i++ {
		end := g.segments[i].find(s)
		if end < 0 {
			return false
		}
		s = s[end:]
	}
	return true
}

// prefix is how many bytes at the start of text the segment takes.
func (s *segment) prefix(text string) (int, bool) {
	if s.runes == nil {
		return len(s.text), strings.HasPrefix(text, s.text)
	}
	taken := 0
	for _, want := range s.runes {
		if taken == len(text) {
			return 0, false
		}
		r, n := decodeRune(text[taken:])
		if want != anyOne && want != r {
			return 0, false
		}
		taken += n
	}
	return taken, true
}

// suffix is how many bytes at the end of text the segment takes.
func (s *segment) suffix(text string) (int, bool) {
	if s.runes == nil {
		return len(s.text), strings.HasSuffix(text, s.text)
	}
	start := len(text)
	for range s.runes {
		if start == 0 {
			return 0, false
		}
		_, n := utf8.DecodeLastRuneInString(text[:start])
		start -= n
	}
	n, ok := s.prefix(text[start:])
	return n, ok && start+n == len(text)
}

// find is where the first place of the segment in text ends; -1 if there is none.
func (s *segment) find(text string) int {
	if s.runes == nil {
		i := strings.Index(text, s.text)
		if i < 0 {
			return -1
		}
		return i + len(s.text)
	}
	// Bit i of state says that the characters read last match the first i+1 of
	// the segment (Baeza-Yates and Gonnet's shift-and).
	var small [1]uint64
	state := small[:]
	if len(s.wild) > len(small) {
		state = make([]uint64, len(s.wild))
	}
	final := uint64(1) << ((len(s.runes) - 1) % 64)
	for at := 0; at < len(text); {
		r, n := decodeRune(text[at:])
		at += n
		bits := s.bits[r]
		carry := uint64(1)
		for w := range state {
			next := state[w] >> 63
			allowed := s.wild[w]
			if bits != nil {
				allowed |= bits[w]
			}
			state[w] = (state[w]<<1 | carry) & allowed
			carry = next
		}
		if state[len(state)-1]&final != 0 {
			return at
		}
	}
	return -1
}
