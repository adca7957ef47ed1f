package encrypt

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

var envelopeContext = Context{Deployment: Deployment{1}, Purpose: "bucket", ID: [16]byte{2}, Generation: 3}

func TestEnvelope(t *testing.T) {
	secret := []byte("a seed as secret")
	many := []Slot{{"a", []byte{1}}, {"second-2", bytes.Repeat([]byte{7}, MaxWrapped)}, {"c", []byte{0}}}
	for n := range many {
		slots := many[:n+1]
		sealed, err := SealEnvelope(envelopeContext, secret, slots)
		if err != nil {
			t.Fatal(err)
		}
		got, err := OpenEnvelope(sealed)
		if err != nil || len(got) != len(slots) || !IsEnvelope(sealed) {
			t.Fatalf("%d slots: %d, %v", len(slots), len(got), err)
		}
		for i := range slots {
			if got[i].Provider != slots[i].Provider || !bytes.Equal(got[i].Wrapped, slots[i].Wrapped) {
				t.Errorf("slot %d of %d is another one", i, len(slots))
			}
		}
		if err := ProveEnvelope(envelopeContext, secret, sealed); err != nil {
			t.Error(err)
		}
	}
}

// Of several slots each byte counts, whichever of them is opened.
func TestEnvelopeMutations(t *testing.T) {
	secret := []byte("a seed as secret")
	sealed, err := SealEnvelope(envelopeContext, secret, []Slot{{"a", []byte("wrapped")}, {"b", []byte("too")}})
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, c Context, secret, bad []byte) {
		t.Helper()
		if _, err := OpenEnvelope(bad); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: %v", what, err)
			}
			return
		}
		if err := ProveEnvelope(c, secret, bad); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range sealed {
		for bit := range 8 {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1 << bit
			try("a bit flipped", envelopeContext, secret, bad)
		}
		try("cut", envelopeContext, secret, sealed[:i])
	}
	try("extended", envelopeContext, secret, append(bytes.Clone(sealed), 0))
	try("a secret that is too short", envelopeContext, secret[:MinSecret-1], sealed)
	try("another secret", envelopeContext, []byte("b seed as secret"), sealed)
	other := envelopeContext
	other.Generation++
	try("another context", other, secret, sealed)
}

func TestEnvelopeRules(t *testing.T) {
	slot := func(name string) Slot { return Slot{name, []byte{1}} }
	for what, slots := range map[string][]Slot{
		"none":        nil,
		"too many":    {slot("a"), slot("b"), slot("c"), slot("d"), slot("e"), slot("f"), slot("g"), slot("h"), slot("i")},
		"twice":       {slot("a"), slot("a")},
		"no name":     {slot("")},
		"a bad name":  {slot("A")},
		"a long name": {slot(strings.Repeat("a", 33))},
		"empty":       {{"a", nil}},
		"too long":    {{"a", make([]byte, MaxWrapped+1)}},
		"far longer":  {{"a", make([]byte, 1<<16+1)}},
	} {
		if sealed, err := SealEnvelope(envelopeContext, []byte("a seed as secret"), slots); err == nil || sealed != nil {
			t.Errorf("%s: sealed, %v", what, err)
		}
	}
	if sealed, err := SealEnvelope(envelopeContext, make([]byte, MinSecret-1), []Slot{slot("a"), slot("b")}); err == nil || sealed != nil {
		t.Errorf("a short secret: sealed, %v", err)
	}
}

func FuzzOpenEnvelope(f *testing.F) {
	sealed, _ := SealEnvelope(envelopeContext, []byte("a seed as secret"), []Slot{{"a", []byte{1}}, {"b", []byte{2}}})
	f.Add(sealed)
	f.Add([]byte{2, 1, 1, 'a', 0, 1, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		slots, err := OpenEnvelope(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := SealEnvelope(envelopeContext, []byte("a seed as secret"), slots)
		if err != nil || len(slots) == 1 && !bytes.Equal(again, b) || len(again) != len(b) {
			t.Fatalf("another encoding of the same slots: %v", err)
		}
	})
}
