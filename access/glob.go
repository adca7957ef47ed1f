package access

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// invalidByte is added to a byte that is not UTF-8, so that each such byte is a
// character of its own, equal only to itself.
const invalidByte rune = -1024

// decodeRune returns the first character of s and its length.
func decodeRune(s string) (rune, int) {
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 {
		r = invalidByte + rune(s[0])
	}
	return r, n
}

// glob is a pattern with wildcards, kept as written so that it needs no more
// memory than its text. Its stars split it into runs. A matching text starts
// with the first run, ends with the last one, and has the others in order
// between them.
//
// Matching takes the leftmost place of each run and never backtracks, so that
// its time is that of searching the text once. A run with question marks costs
// one machine word for each 64 of its characters in addition.
type glob struct {
	text string
	// plain are the positions of literal stars and question marks, in order.
	plain []int32
	first int // position of the first wildcard; len(text) without one
}

// newGlob compiles a pattern in which only * and ? are special.
func newGlob(pattern string) glob {
	return glob{text: pattern, first: firstWildcard(pattern)}
}

// firstWildcard is the position of the first * or ?; len(s) without one.
func firstWildcard(s string) int {
	if i := strings.IndexAny(s, "*?"); i >= 0 {
		return i
	}
	return len(s)
}

// globWriter builds a glob from patterns and literal texts.
type globWriter struct {
	text  strings.Builder
	plain []int32
	first int // -1: no wildcard yet
}

// pattern appends text whose * and ? are wildcards.
func (w *globWriter) pattern(s string) {
	if i := firstWildcard(s); w.first < 0 && i < len(s) {
		w.first = w.text.Len() + i
	}
	w.text.WriteString(s)
}

// literal appends text whose * and ? stand for themselves.
func (w *globWriter) literal(s string) {
	for i := 0; i < len(s); i++ {
		if s[i] == '*' || s[i] == '?' {
			w.plain = append(w.plain, int32(w.text.Len()+i))
		}
	}
	w.text.WriteString(s)
}

func (w *globWriter) glob() glob {
	g := glob{text: w.text.String(), plain: w.plain, first: w.first}
	if w.first < 0 {
		g.first = len(g.text)
	}
	return g
}

// isPlain reports whether the * or ? at position i stands for itself.
func (g *glob) isPlain(i int) bool {
	_, found := slices.BinarySearch(g.plain, int32(i))
	return found
}

// star returns the position of the first star at or after from; len(text)
// without one.
func (g *glob) star(from int) int {
	for {
		i := strings.IndexByte(g.text[from:], '*')
		if i < 0 {
			return len(g.text)
		}
		if from += i; !g.isPlain(from) {
			return from
		}
		from++
	}
}

// lastStar returns the position of the last star; -1 without one.
func (g *glob) lastStar() int {
	for end := len(g.text); ; {
		if end = strings.LastIndexByte(g.text[:end], '*'); end < 0 || !g.isPlain(end) {
			return end
		}
	}
}

// match reports whether s matches, and counts its work with m.
func (g *glob) match(s string, m *meter) bool {
	m.spend(stepsMatch)
	if !strings.HasPrefix(s, g.text[:g.first]) {
		return false
	}
	if g.first == len(g.text) {
		return len(s) == g.first
	}
	// Without a star, the only run must match the whole text.
	last := g.lastStar()
	if last < 0 {
		n, ok := g.run(0, len(g.text)).prefix(s, m)
		return ok && n == len(s)
	}
	at := g.star(g.first)
	n, ok := g.run(0, at).prefix(s, m)
	if !ok {
		return false
	}
	s = s[n:]
	// The last run comes before those in the middle, so that none of them takes
	// its characters.
	if n, ok = g.run(last+1, len(g.text)).suffix(s, m); !ok {
		return false
	}
	s = s[:len(s)-n]
	for at < last && !m.over() {
		from := at + 1
		at = g.star(from)
		end := g.run(from, at).find(s, m)
		if end < 0 {
			return false
		}
		s = s[end:]
	}
	return true
}

// run is the part between two stars.
type run struct {
	g    *glob
	from int
	text string
	wild bool // has question marks
}

// run returns the part between two positions of the text.
func (g *glob) run(from, to int) run {
	r := run{g: g, from: from, text: g.text[from:to]}
	for i := 0; i < len(r.text); i++ {
		n := strings.IndexByte(r.text[i:], '?')
		if n < 0 {
			break
		}
		if i += n; r.any(i) {
			r.wild = true
			break
		}
	}
	return r
}

// any reports whether position i has a question mark that stands for any
// character.
func (r *run) any(i int) bool { return r.text[i] == '?' && !r.g.isPlain(r.from+i) }

// prefix returns the number of bytes at the start of s that the run matches.
func (r run) prefix(s string, m *meter) (int, bool) {
	if !r.wild {
		return len(r.text), strings.HasPrefix(s, r.text)
	}
	m.spend(len(r.text))
	taken := 0
	for i := 0; i < len(r.text); {
		if taken == len(s) {
			return 0, false
		}
		c, n := decodeRune(s[taken:])
		if r.any(i) {
			i++
		} else {
			want, size := decodeRune(r.text[i:])
			if want != c {
				return 0, false
			}
			i += size
		}
		taken += n
	}
	return taken, true
}

// suffix returns the number of bytes at the end of s that the run matches.
func (r run) suffix(s string, m *meter) (int, bool) {
	if !r.wild {
		return len(r.text), strings.HasSuffix(s, r.text)
	}
	m.spend(len(r.text))
	start := len(s)
	for range r.text { // as many characters
		if start == 0 {
			return 0, false
		}
		_, n := utf8.DecodeLastRuneInString(s[:start])
		start -= n
	}
	n, ok := r.prefix(s[start:], m)
	return n, ok && start+n == len(s)
}

// find returns the end of the run's first place in s; -1 if there is none.
func (r run) find(s string, m *meter) int {
	if r.wild {
		return r.findWild(s, m)
	}
	i := strings.Index(s, r.text)
	if i < 0 {
		m.spend(stepsFind + len(s)/bytesPerStep)
		return -1
	}
	m.spend(stepsFind + i/bytesPerStep)
	return i + len(r.text)
}

// longest returns the run's longest text between two question marks.
func (r *run) longest() (text string) {
	from := 0
	for i := 0; i <= len(r.text); i++ {
		if i == len(r.text) || r.any(i) {
			if i-from > len(text) {
				text = r.text[from:i]
			}
			from = i + 1
		}
	}
	return text
}

// lanes is the number of sets that characters are grouped into for searching.
// Characters of one set are told apart when a place seems to match.
const lanes = utf8.RuneSelf

// findWild is find for a run with question marks. Bit i of state tells that the
// last characters may match the first i+1 of the run (Baeza-Yates and Gonnet's
// shift-and).
func (r run) findWild(s string, m *meter) int {
	length := utf8.RuneCountInString(r.text)
	m.spend(stepsFind + len(r.text) + len(s)/bytesPerStep)
	if length > len(s) || !strings.Contains(s, r.longest()) {
		return -1
	}
	words := (length + 63) / 64
	masks, wild, state := m.searchRoom(words)
	for i, n := 0, 0; i < len(r.text); n++ {
		bit := uint64(1) << (n % 64)
		if r.any(i) {
			wild[n/64] |= bit
			i++
			continue
		}
		c, size := decodeRune(r.text[i:])
		masks[int(c)&(lanes-1)*words+n/64] |= bit
		i += size
	}
	final := uint64(1) << ((length - 1) % 64)
	// The last characters read, at most length, are those from start to at.
	start, read := 0, 0
	for at := 0; at < len(s); {
		c, n := rune(s[at]), 1
		if c >= utf8.RuneSelf {
			c, n = decodeRune(s[at:])
		}
		at += n
		if read++; read > length {
			_, n := decodeRune(s[start:])
			start += n
		}
		carry, lane := uint64(1), masks[int(c)&(lanes-1)*words:]
		for w := range state {
			next := state[w] >> 63
			state[w] = (state[w]<<1 | carry) & (wild[w] | lane[w])
			carry = next
		}
		if state[words-1]&final != 0 {
			if n, ok := r.prefix(s[start:], m); ok && start+n == at {
				m.spend(read * (words + 1))
				return at
			}
		}
	}
	m.spend(read * (words + 1))
	return -1
}
