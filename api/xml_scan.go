package api

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/strict"
)

// Limits of a document's parts. The number of each element is bounded where the
// element is declared, see decodeXML.
const (
	// maxAttributes bounds the attributes of one tag; S3's documents need
	// three.
	maxAttributes = 16
	// maxText bounds the text of one element, in bytes. The longest meaningful
	// text is a key.
	maxText = 8 << 10
	// maxReference bounds a character reference, such as &#x10FFFF; with
	// leading zeros.
	maxReference = 32
)

var (
	errUnexpected = errors.New("unexpected markup")
	errUnclosed   = errors.New("the document ends too early")
	errAttribute  = errors.New("malformed, repeated or too many attributes")
	errReference  = errors.New("unknown entity or character reference")
	errCharacter  = errors.New("characters that XML does not allow")
)

// scanner reads the markup of an XML 1.0 document without copying it. Names are
// ASCII, like all names of S3. It refuses a DOCTYPE and so knows only the five
// predefined entities. The time depends on the document's length alone.
// Source: https://www.w3.org/TR/xml/
type scanner struct {
	data []byte
	at   int
}

// newScanner refuses text that is not UTF-8 or has characters that XML does not
// allow.
func newScanner(data []byte) (*scanner, error) {
	if !utf8.Valid(data) {
		return nil, errCharacter
	}
	for _, c := range data {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return nil, errCharacter
		}
	}
	if bytes.Contains(data, []byte("\uFFFE")) || bytes.Contains(data, []byte("\uFFFF")) {
		return nil, errCharacter
	}
	return &scanner{data: bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))}, nil
}

// ended reports whether all is read.
func (s *scanner) ended() bool { return s.at >= len(s.data) }

// skip removes a prefix and reports whether it was there.
func (s *scanner) skip(prefix string) bool {
	if !bytes.HasPrefix(s.data[s.at:], []byte(prefix)) {
		return false
	}
	s.at += len(prefix)
	return true
}

// spaces removes blanks and reports whether there were any.
func (s *scanner) spaces() bool {
	from := s.at
	for !s.ended() && isBlank(s.data[s.at]) {
		s.at++
	}
	return s.at > from
}

// isBlank reports whether XML counts the byte as white space.
func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// between removes blanks and comments.
func (s *scanner) between() error {
	for {
		s.spaces()
		if !s.skip("<!--") {
			return nil
		}
		if err := s.comment(); err != nil {
			return err
		}
	}
}

// comment removes the rest of a comment. Two dashes are allowed only at its
// end.
func (s *scanner) comment() error {
	i := bytes.Index(s.data[s.at:], []byte("--"))
	if i < 0 {
		return errUnclosed
	}
	s.at += i
	if !s.skip("-->") {
		return errUnexpected
	}
	return nil
}

// declaration removes an XML declaration.
func (s *scanner) declaration() error {
	if !s.skip("<?xml") {
		return nil
	}
	err := s.attributes(func(name, value []byte) error {
		switch {
		case string(name) == "version" && string(value) == "1.0":
		case string(name) == "encoding" && strings.EqualFold(string(value), "utf-8"):
		case string(name) == "standalone":
		default:
			return errUnexpected
		}
		return nil
	})
	if err == nil && !s.skip("?>") {
		return errUnexpected
	}
	return err
}

// open reads a start tag. It returns the name as written, the name without
// prefix, and whether the tag also ends the element.
func (s *scanner) open() (tag, local []byte, empty bool, err error) {
	if !s.skip("<") {
		if s.ended() {
			return nil, nil, false, errUnclosed
		}
		return nil, nil, false, errUnexpected
	}
	if tag = s.name(); tag == nil || bytes.Count(tag, []byte(":")) > 1 {
		return nil, nil, false, errUnexpected
	}
	local = tag
	if prefix, rest, ok := bytes.Cut(tag, []byte(":")); ok && len(prefix) > 0 && len(rest) > 0 {
		local = rest
	}
	if err := s.attributes(func(_, _ []byte) error { return nil }); err != nil {
		return nil, nil, false, err
	}
	switch {
	case s.skip("/>"):
		return tag, local, true, nil
	case s.skip(">"):
		return tag, local, false, nil
	}
	return nil, nil, false, errUnexpected
}

// close reads the rest of an end tag, which must match tag.
func (s *scanner) close(tag []byte) error {
	if !bytes.Equal(s.name(), tag) {
		return fmt.Errorf("element %.64q is not closed", tag)
	}
	s.spaces()
	if !s.skip(">") {
		return errUnexpected
	}
	return nil
}

// name reads a name; nil if there is none.
func (s *scanner) name() []byte {
	from := s.at
	for ; !s.ended(); s.at++ {
		c := s.data[s.at]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':'
		if !letter && (s.at == from || !(c >= '0' && c <= '9' || c == '-' || c == '.')) {
			break
		}
	}
	if s.at == from {
		return nil
	}
	return s.data[from:s.at]
}

// attributes reads the attributes of a tag and the blanks after them.
func (s *scanner) attributes(each func(name, value []byte) error) error {
	var seen [maxAttributes][]byte
	for n := 0; ; n++ {
		separate := s.spaces()
		name := s.name()
		if name == nil {
			return nil
		}
		if !separate || n == maxAttributes {
			return errAttribute
		}
		// Repeated attributes are an error of well-formedness. The bound keeps
		// this quadratic search short.
		for _, other := range seen[:n] {
			if bytes.Equal(other, name) {
				return errAttribute
			}
		}
		seen[n] = name
		s.spaces()
		if !s.skip("=") {
			return errAttribute
		}
		s.spaces()
		value, err := s.quoted()
		if err == nil {
			err = each(name, value)
		}
		if err != nil {
			return err
		}
	}
}

// quoted returns the value of an attribute as it is written.
func (s *scanner) quoted() ([]byte, error) {
	if s.ended() || s.data[s.at] != '"' && s.data[s.at] != '\'' {
		return nil, errAttribute
	}
	quote := s.data[s.at]
	n := bytes.IndexByte(s.data[s.at+1:], quote)
	if n < 0 {
		return nil, errUnclosed
	}
	value := s.data[s.at+1 : s.at+1+n]
	// A < in a value is not well-formed, and other parsers could see a tag
	// there.
	if bytes.IndexByte(value, '<') >= 0 {
		return nil, errAttribute
	}
	// References in values are only checked, because no document of S3 uses the
	// values.
	for rest := value; ; {
		i := bytes.IndexByte(rest, '&')
		if i < 0 {
			break
		}
		_, length, err := reference(rest[i:])
		if err != nil {
			return nil, err
		}
		rest = rest[i+length:]
	}
	s.at += n + 2
	return value, nil
}

// text appends the text of an element without children to b, up to and
// including the end tag. Line ends become \n, as XML demands.
func (s *scanner) text(b, tag []byte) ([]byte, error) {
	for {
		if s.ended() {
			return b, errUnclosed
		}
		if len(b) > maxText {
			return b, fmt.Errorf("text of more than %d bytes", maxText)
		}
		switch c := s.data[s.at]; {
		case s.skip("</"):
			return b, s.close(tag)
		case s.skip("<!--"):
			if err := s.comment(); err != nil {
				return b, err
			}
		case s.skip("<![CDATA["):
			n := bytes.Index(s.data[s.at:], []byte("]]>"))
			if n < 0 {
				return b, errUnclosed
			}
			b = appendLines(b, s.data[s.at:s.at+n])
			s.at += n + len("]]>")
		// A bare ]]> is not well-formed outside a CDATA section.
		case c == '<' || s.skip("]]>"):
			return b, errUnexpected
		case c == '&':
			character, length, err := reference(s.data[s.at:])
			if err != nil {
				return b, err
			}
			b = utf8.AppendRune(b, character)
			s.at += length
		// A ] may begin ]]>, so text ends before it.
		default:
			n := bytes.IndexAny(s.data[s.at+1:], "<&]")
			if n < 0 {
				return b, errUnclosed
			}
			b = appendLines(b, s.data[s.at:s.at+1+n])
			s.at += 1 + n
		}
	}
}

// appendLines appends text with all line ends as \n.
func appendLines(b, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, '\r')
		if i < 0 {
			return append(b, text...)
		}
		b = append(append(b, text[:i]...), '\n')
		text = bytes.TrimPrefix(text[i+1:], []byte("\n"))
	}
}

// reference parses the character reference at the start of b and returns its
// length.
func reference(b []byte) (character rune, length int, err error) {
	end := bytes.IndexByte(b[:min(len(b), maxReference)], ';')
	if end < 0 {
		return 0, 0, errReference
	}
	switch name := string(b[1:end]); name {
	case "lt":
		character = '<'
	case "gt":
		character = '>'
	case "amp":
		character = '&'
	case "apos":
		character = '\''
	case "quot":
		character = '"'
	default:
		if character = numbered(name); !isCharacter(character) {
			return 0, 0, errReference
		}
	}
	return character, end + 1, nil
}

// numbered returns the character of a numeric reference, such as #65 or #x41;
// an invalid character for an invalid number.
func numbered(name string) rune {
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return utf8.MaxRune + 1
	}
	hex, ok := strings.CutPrefix(digits, "x")
	if !ok {
		n, ok := strict.Number(digits, utf8.MaxRune)
		if !ok {
			return utf8.MaxRune + 1
		}
		return rune(n)
	}
	// The bound is checked at every digit, so leading digits cannot overflow.
	n := rune(0)
	for _, c := range strings.ToUpper(hex) {
		digit := strings.IndexRune(hexDigits, c)
		if n = n*16 + rune(digit); digit < 0 || n > utf8.MaxRune {
			return utf8.MaxRune + 1
		}
	}
	return n
}

// isCharacter reports whether XML allows the character.
// Source: https://www.w3.org/TR/xml/#charsets
func isCharacter(n rune) bool {
	return n == '\t' || n == '\n' || n == '\r' || n >= ' ' && n < 0xD800 ||
		n >= 0xE000 && n <= 0xFFFD || n >= 0x10000 && n <= utf8.MaxRune
}
