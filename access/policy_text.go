package access

import (
	"encoding/json"
	"errors"
	"strings"
)

// Text is the document as it was read, letter for letter, but for the names of
// principals that WithIDs and WithARNs replaced. Parsing it gives the same decisions. It
// may be longer than what was parsed, and than what a parser takes.
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

// place is where in a document a value is.
type place uint8

const (
	inOther      place = iota
	inDocument         // the document itself
	inStatements       // Statement, or one of its list
	inPrincipals       // Principal or NotPrincipal, or the names of type AWS in it
)

// of is the place of an object's member.
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
	copied  int // how much of text is in out
	out     strings.Builder
	decoder *json.Decoder
	rename  func(string) string
}

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

// name writes what stands for a principal whose string was read last, and begins behind
// before.
func (w *textWriter) name(name string, before int) error {
	now := w.rename(name)
	if now == name {
		return nil
	}
	quoted, err := json.Marshal(now)
	if err != nil {
		return err
	}
	start := strings.IndexByte(w.text[before:], '"')
	if start < 0 {
		return errors.New("no string where one was read")
	}
	w.out.WriteString(w.text[w.copied : before+start])
	w.out.Write(quoted)
	w.copied = int(w.decoder.InputOffset())
	return nil
}
