package outbound

import "bytes"

// modest reports whether decoding the document costs no more than its length
// suggests. Decoders make a value for each element, which needs only a few
// bytes of text. Documents that are neither XML nor JSON are modest.
func modest(document []byte) bool {
	switch text := bytes.TrimLeft(document, " \t\r\n\ufeff"); {
	case len(text) == 0:
		return true
	case text[0] == '<':
		return modestXML(text)
	case text[0] == '{', text[0] == '[':
		return modestJSON(text)
	}
	return true
}

// modestXML counts at least as many elements and attributes as a decoder would
// see before an error. No answer has a document type.
func modestXML(text []byte) bool {
	values, depth := 0, 0
	for {
		at := bytes.IndexByte(text, '<')
		if at < 0 {
			return true
		}
		text = text[at+1:]
		end, ok := "", true
		switch {
		case bytes.HasPrefix(text, []byte("?")):
			end = "?>"
		case bytes.HasPrefix(text, []byte("!--")):
			text, end = text[3:], "-->"
		case bytes.HasPrefix(text, []byte("![CDATA[")):
			end = "]]>"
		case bytes.HasPrefix(text, []byte("!")):
			return false
		case bytes.HasPrefix(text, []byte("/")):
			depth--
			end = ">"
		default:
			var attributes int
			var empty bool
			text, attributes, empty = tag(text)
			values += 1 + attributes
			if !empty {
				depth++
			}
		}
		if values > MaxValues || depth > MaxDepth {
			return false
		}
		if end == "" {
			continue
		}
		if _, text, ok = bytes.Cut(text, []byte(end)); !ok {
			return true // nothing follows
		}
	}
}

// tag skips the rest of a start tag and counts its attributes.
func tag(text []byte) (rest []byte, attributes int, empty bool) {
	var quote byte
	for i, c := range text {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '=':
			attributes++
		case c == '>':
			return text[i+1:], attributes, i > 0 && text[i-1] == '/'
		}
	}
	return nil, attributes, false
}

// modestJSON counts at least as many values as a decoder would see.
func modestJSON(text []byte) bool {
	values, depth, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case quoted:
		case c == '{' || c == '[':
			values++
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',':
			values++
		}
		if values > MaxValues || depth > MaxDepth {
			return false
		}
	}
	return true
}

// isError reports whether the document's root is S3's Error.
func isError(document []byte) bool {
	text := bytes.TrimLeft(document, " \t\r\n\ufeff")
	if bytes.HasPrefix(text, []byte("<?")) {
		_, text, _ = bytes.Cut(text, []byte("?>"))
		text = bytes.TrimLeft(text, " \t\r\n")
	}
	rest, ok := bytes.CutPrefix(text, []byte("<Error"))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n/>"), rest[0]) >= 0)
}
