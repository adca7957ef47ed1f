package buckets

import (
	"crypto/sha256"
	"fmt"
	"reflect"

	"github.com/sanctum-storage/gateway/bounded"
)

// Parsed is what parse makes of a setting, which depends on its text alone; false when
// there is none. It is done once for each revision of the bucket, and for all buckets
// that have the same text. The value is shared and must not be changed. An error is one
// of what is stored: the caller fails closed.
func Parsed[T any](s *Settings, name string, parse func([]byte) (T, error)) (v T, ok bool, err error) {
	return ParsedFor(s, name, "", parse)
}

// ParsedFor is Parsed where what parse makes depends on one text more, such as the
// bucket's name.
// about is part of what the result is shared by.
func ParsedFor[T any](s *Settings, name, about string, parse func([]byte) (T, error)) (v T, ok bool, err error) {
	if err := s.why(name); err != nil {
		return v, true, err
	}
	doc, ok := s.documents[name]
	if !ok {
		return v, false, nil
	}
	// Held while parse runs, so that many requests that meet a new document parse it once.
	s.mu.Lock()
	defer s.mu.Unlock()
	// The type is part of the question: one setting may be read as two types, and the later one
	// replaces the earlier.
	if v, done := s.parsed[name].(T); done {
		return v, true, nil
	}
	k := parsedKey{sum: sha256.Sum256([]byte(doc)), length: len(doc), kind: reflect.TypeFor[T](), name: name, about: about}
	known := false
	if s.shared != nil {
		made, _ := s.shared.Get(k)
		v, known = made.(T)
	}
	if !known {
		if v, err = parse([]byte(doc)); err != nil {
			return v, true, fmt.Errorf("the bucket's setting %s cannot be read: %w", name, err)
		}
		if s.shared != nil {
			s.shared.Put(k, v)
		}
	}
	s.parsed[name] = v
	return v, true, nil
}

// parsedKey names what was made of a setting.
type parsedKey struct {
	sum         [sha256.Size]byte // of the document
	length      int               // the document's
	kind        reflect.Type
	name, about string
}

// size is how many bytes a thing of this key takes: as it says, or else as much as is
// made of a document at most.
// A text of a few bytes may become much more in memory, so the estimate follows the compiled form.
func (k parsedKey) size(v any) int {
	if s, ok := v.(interface{ Size() int }); ok {
		return bounded.CompiledBytes(0) + s.Size()
	}
	return bounded.CompiledBytes(k.length)
}

// settingBytes is what a setting takes beside its text, and what is made of it.
const settingBytes = 256

// size is how many bytes the settings take without their texts.
func (s *Settings) size() int {
	n := settingBytes
	for name := range s.documents {
		n += settingBytes + len(name)
	}
	return n
}

// parts are the texts of the settings.
func (s *Settings) parts() []bounded.Part {
	parts := make([]bounded.Part, 0, len(s.documents))
	for _, doc := range s.documents {
		parts = append(parts, bounded.CompiledText(doc))
	}
	return parts
}
