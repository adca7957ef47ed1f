package access

import (
	"encoding/json"
	"errors"
	"strings"
)

// Text returns the document as it was parsed, letter for letter, except for the
// principals' names that WithIDs and WithARNs replaced. Parsing it gives the
// same decisions. It may be longer than the parsed document, and than a parser
// accepts.
func (p *Policy) Text() (string, error) {
	if p.rename == nil {
		return p.text, nil
	}
	w := textWriter{text: p.text, decoder: json.NewDecoder(strings.NewReader(p.text)), rename: p.rename}
	w.decoder.UseNumber()
	if err := w.value(inDocument); err != nil {
		return "", err
	}
	w.out.WriteString(w.text[w.copied:])
	return w.out.String(), nil
}

// place is the position of a value in a document.
type place uint8

const (
	inOther      place = iota
	inDocument         // the document itself
	inStatements       // Statement, or an element of its list
	inPrincipals       // Principal or NotPrincipal, or its names of type AWS
)

// of returns the place of an object's member.
func (at place) of(key string) place {
	switch {
	case at == inDocument && key == "Statement":
		return inStatements
	case at == inStatements && (key == "Principal" || key == "NotPrincipal"), at == inPrincipals && key == "AWS":
		return inPrincipals
	}
	return inOther
}

// textWriter copies a document that was parsed before.
type textWriter struct {
	text    string
	copied  int // bytes of text that are in out
	out     strings.Builder
	decoder *json.Decoder
	rename  func(string) string
}

// value copies one value, of which it writes only changed names.
func (w *textWriter) value(at place) error {
	before := int(w.decoder.InputOffset())
	token, err := w.decoder.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('['):
		for w.decoder.More() {
			if err := w.value(at); err != nil {
				return err
			}
		}
	case json.Delim('{'):
		for w.decoder.More() {
			key, err := w.decoder.Token()
			if err != nil {
				return err
			}
			if err := w.value(at.of(key.(string))); err != nil {
				return err
			}
		}
	default:
		if name, ok := token.(string); ok && at == inPrincipals {
			return w.name(name, before)
		}
		return nil
	}
	_, err = w.decoder.Token()
	return err
}

// name writes the replacement of a principal. Its string was read last and
// begins after before.
func (w *textWriter) name(name string, before int) error {
	now := w.rename(name)
	if now == name {
		return nil
	}
	quoted, err := json.Marshal(now)
	if err != nil {
		return err
	}
	// Only blanks and separators are between the last token and the string.
	start := strings.IndexByte(w.text[before:], '"')
	if start < 0 {
		return errors.New("the policy's text does not match its tokens")
	}
	w.out.WriteString(w.text[w.copied : before+start])
	w.out.Write(quoted)
	w.copied = int(w.decoder.InputOffset())
	return nil
}
