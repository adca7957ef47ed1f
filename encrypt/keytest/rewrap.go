package keytest

import (
	"bytes"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
)

// keyID returns the id of the key that wrapped names, and checks its form.
func keyID(t *testing.T, p encrypt.Provider, wrapped []byte) string {
	t.Helper()
	id, err := p.KeyID(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	if id == "" || len(id) > encrypt.MaxKeyID {
		t.Errorf("a key id of %d bytes", len(id))
	}
	for _, r := range id {
		if r <= ' ' || r > '~' {
			t.Errorf("key id %q has a character that is not printable ASCII", id)
		}
	}
	return id
}

func keyIDs(t *testing.T, p encrypt.Provider) {
	a, b := wrap(t, p, []byte("a seed as secret")), wrap(t, p, []byte("another seed of all"))
	if x, y := keyID(t, p, a), keyID(t, p, b); x != y {
		t.Errorf("two wraps under one key have the ids %q and %q", x, y)
	}
	if id, err := encrypt.CurrentKeyID(t.Context(), p); err != nil || id != keyID(t, p, a) {
		t.Errorf("the current key is %q, %v; a wrap is under %q", id, err, keyID(t, p, a))
	}
	for _, bad := range [][]byte{nil, {0}, a[:1], bytes.Repeat([]byte{0xFF}, 200)} {
		if id, err := p.KeyID(bad); id != "" || !only(err, encrypt.ErrCorrupt) {
			t.Errorf("%d bytes that are no wrap have the id %q, %v", len(bad), id, err)
		}
	}
}

// rewraps: the old and the new form open, under the same context, to one secret.
func rewraps(t *testing.T, p, other encrypt.Provider) {
	for _, size := range []int{encrypt.MinSecret, 32, encrypt.MaxSecret} {
		secret := bytes.Repeat([]byte{0xA5}, size)
		old := wrap(t, p, secret)
		before := bytes.Clone(old)
		again, err := p.Rewrap(t.Context(), base(), old)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(old, before) {
			t.Error("Rewrap changed the bytes that it was given")
		}
		if bytes.Equal(again, old) {
			t.Error("Rewrap returned the same wrap")
		}
		if size >= 16 && bytes.Contains(again, secret[:16]) {
			t.Errorf("%d bytes: the secret shows", size)
		}
		if x, y := keyID(t, p, old), keyID(t, p, again); x != y {
			t.Errorf("no key was changed, and the id changed from %q to %q", x, y)
		}
		for _, wrapped := range [][]byte{old, again} {
			if got, err := p.Unwrap(t.Context(), base(), wrapped); err != nil || !bytes.Equal(got, secret) {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
	}
	wrapped := wrap(t, p, []byte("a seed as secret"))
	for i := range wrapped {
		bad := bytes.Clone(wrapped)
		bad[i] ^= 1 << (i % 8)
		got, err := p.Rewrap(t.Context(), base(), bad)
		refused(t, "rewrapped with a byte flipped", got, err)
	}
	got, err := other.Rewrap(t.Context(), base(), wrapped)
	refused(t, "rewrapped by another provider", got, err)
}

func checks(t *testing.T, p encrypt.Provider) {
	for range 2 {
		if err := p.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
