package encrypt

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"regexp"
)

// An envelope says which providers, by their configured names, wrapped a secret. Any one
// of them opens it:
//
//	envelope = version(2) ‖ n u8 ‖ n × (u8 ‖ name ‖ u16be ‖ wrapped) ‖ tag[32], if n > 1
//
//	tag = HMAC-SHA256(HKDF-SHA256(secret, info = bind("sanctum/1/envelope", context), 32), all before the tag)
//
// The numbers before name and wrapped are their lengths. A single slot needs no tag: each
// of its bytes counts when its provider opens it. Of several slots only one is opened, and
// the tag proves the others; without it, an edit of the slot that is not in use would show
// on the day when the other provider is lost.
//
// The version tells envelopes from the wraps of a keyring without one, which begin with 1.
const (
	envelopeVersion = 2
	envelopeTag     = sha256.Size

	// MaxSlots is the largest number of providers that wrap one secret.
	MaxSlots = 8
	// MaxWrapped is the longest result of a provider's Wrap in bytes.
	MaxWrapped = 16 << 10
)

// Slot is what one provider wrapped.
type Slot struct {
	Provider string // its configured name; see IsProviderName
	Wrapped  []byte
}

var providerName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$`)

// IsProviderName reports whether name can be the name of a provider: lower-case letters,
// digits and hyphens, at most 32 of them, beginning with a letter.
func IsProviderName(name string) bool { return providerName.MatchString(name) }

// IsEnvelope reports whether wrapped is an envelope, well-formed or not.
func IsEnvelope(wrapped []byte) bool { return len(wrapped) > 0 && wrapped[0] == envelopeVersion }

// SealEnvelope encodes slots that all have the same secret, in their order. For one slot
// it needs no secret.
func SealEnvelope(c Context, secret []byte, slots []Slot) ([]byte, error) {
	out := []byte{envelopeVersion, byte(len(slots))}
	for _, s := range slots {
		if len(s.Wrapped) > MaxWrapped {
			return nil, fmt.Errorf("provider %s wrapped to %d bytes, want at most %d", s.Provider, len(s.Wrapped), MaxWrapped)
		}
		out = append(append(out, byte(len(s.Provider))), s.Provider...)
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(s.Wrapped))), s.Wrapped...)
	}
	if len(slots) > 1 {
		if len(secret) < MinSecret {
			return nil, fmt.Errorf("a secret of %d bytes, want at least %d", len(secret), MinSecret)
		}
		out = append(out, envelopeMAC(c, secret, out)...)
	}
	if _, err := OpenEnvelope(out); err != nil { // the rules stand there alone
		return nil, err
	}
	return out, nil
}

// OpenEnvelope decodes an envelope. The slots share memory with it. Nothing is proven:
// ProveEnvelope does that once a slot has been opened.
func OpenEnvelope(envelope []byte) ([]Slot, error) {
	bad := func(what string) ([]Slot, error) { return nil, fmt.Errorf("%w: an envelope %s", ErrCorrupt, what) }
	if !IsEnvelope(envelope) || len(envelope) < 2 {
		return bad("of another version")
	}
	n, rest := int(envelope[1]), envelope[2:]
	if n < 1 || n > MaxSlots {
		return bad("with an impossible number of slots")
	}
	slots, seen := make([]Slot, 0, n), make(map[string]bool, n)
	for range n {
		name, after, ok := cut(rest, 1)
		if !ok || !IsProviderName(string(name)) || seen[string(name)] {
			return bad("with a slot whose name is none, or is there twice")
		}
		wrapped, after, ok := cut(after, 2)
		if !ok || len(wrapped) == 0 || len(wrapped) > MaxWrapped {
			return bad("with a slot of another length")
		}
		seen[string(name)], rest = true, after
		slots = append(slots, Slot{Provider: string(name), Wrapped: wrapped})
	}
	want := 0
	if n > 1 {
		want = envelopeTag
	}
	if len(rest) != want {
		return bad("of another length")
	}
	return slots, nil
}

// cut takes a field off b, whose length stands before it in size bytes.
func cut(b []byte, size int) (field, rest []byte, ok bool) {
	if len(b) < size {
		return nil, nil, false
	}
	n := 0
	for _, x := range b[:size] {
		n = n<<8 | int(x)
	}
	if b = b[size:]; len(b) < n {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

// ProveEnvelope checks that an envelope, which OpenEnvelope has decoded, is as it was
// sealed with this secret and context.
func ProveEnvelope(c Context, secret, envelope []byte) error {
	if envelope[1] == 1 {
		return nil
	}
	at := len(envelope) - envelopeTag
	if len(secret) < MinSecret {
		return fmt.Errorf("%w: a slot of an envelope opens to %d bytes, want at least %d", ErrCorrupt, len(secret), MinSecret)
	}
	if !hmac.Equal(envelopeMAC(c, secret, envelope[:at]), envelope[at:]) {
		return fmt.Errorf("%w: one slot of an envelope opens, and another was changed, added or removed", ErrCorrupt)
	}
	return nil
}

func envelopeMAC(c Context, secret, head []byte) []byte {
	mac := hmac.New(sha256.New, deriveBytes(secret, nil, bind("sanctum/1/envelope", c.Bytes()), 32))
	mac.Write(head)
	return mac.Sum(nil)
}
