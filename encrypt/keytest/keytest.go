// Package keytest is the contract of encrypt.Provider as a test suite, which every
// provider must pass. It knows no provider.
package keytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
)

// Run runs the suite. Each call of open returns a new provider with its own key
// material, and registers its cleanup with t.Cleanup; the suite may call Close
// before that.
func Run(t *testing.T, open func(t *testing.T) encrypt.Provider) {
	t.Run("RoundTrip", func(t *testing.T) { roundTrip(t, open(t)) })
	t.Run("Context", func(t *testing.T) { contextIsBound(t, open(t)) })
	t.Run("Mutations", func(t *testing.T) { mutationsRefused(t, open(t)) })
	t.Run("OtherProvider", func(t *testing.T) { otherKeysRefused(t, open(t), open(t)) })
	t.Run("Concurrency", func(t *testing.T) { concurrent(t, open(t)) })
	t.Run("KeyID", func(t *testing.T) { keyIDs(t, open(t)) })
	t.Run("Rewrap", func(t *testing.T) { rewraps(t, open(t), open(t)) })
	t.Run("Check", func(t *testing.T) { checks(t, open(t)) })
	t.Run("Cancelled", func(t *testing.T) { cancelled(t, open(t)) })
	t.Run("Closed", func(t *testing.T) { closed(t, open(t)) })
}

func base() encrypt.Context {
	return encrypt.Context{Deployment: encrypt.Deployment{1}, Purpose: "bucket", ID: [16]byte{2}, Generation: 3}
}

func wrap(t *testing.T, p encrypt.Provider, secret []byte) []byte {
	t.Helper()
	wrapped, err := p.Wrap(t.Context(), base(), secret)
	if err != nil {
		t.Fatal(err)
	}
	return wrapped
}

// kinds are the errors of the contract.
var kinds = []error{encrypt.ErrWrongKey, encrypt.ErrCorrupt, encrypt.ErrKeyDisabled, encrypt.ErrKeyNotFound, encrypt.ErrUnavailable}

// only reports whether err is of the wanted kind and of no other.
func only(err, want error) bool {
	for _, kind := range kinds {
		if errors.Is(err, kind) != (kind == want) {
			return false
		}
	}
	return true
}

// refused checks that an answer has no bytes, and that its error is one of those that no
// retry mends. Bytes that name another key may be refused as a key that does not exist.
func refused(t *testing.T, what string, got []byte, err error) {
	t.Helper()
	if got != nil || !only(err, encrypt.ErrWrongKey) && !only(err, encrypt.ErrCorrupt) && !only(err, encrypt.ErrKeyNotFound) {
		t.Errorf("%s: %d bytes, %v", what, len(got), err)
	}
}

func roundTrip(t *testing.T, p encrypt.Provider) {
	if p.Name() == "" {
		t.Error("no name")
	}
	for _, size := range []int{encrypt.MinSecret, 31, 32, 33, 64, 1000, encrypt.MaxSecret} {
		secret := bytes.Repeat([]byte{0xA5}, size)
		a, b := wrap(t, p, secret), wrap(t, p, secret)
		if bytes.Equal(a, b) {
			t.Errorf("%d bytes: two wraps are equal", size)
		}
		if size >= 16 && bytes.Contains(a, secret[:16]) {
			t.Errorf("%d bytes: the secret shows", size)
		}
		for _, wrapped := range [][]byte{a, b} {
			before := bytes.Clone(wrapped)
			got, err := p.Unwrap(t.Context(), base(), wrapped)
			if err != nil || !bytes.Equal(got, secret) {
				t.Errorf("%d bytes: %v", size, err)
			}
			if clear(got); !bytes.Equal(wrapped, before) {
				t.Errorf("%d bytes: the secret is not the caller's own memory", size)
			}
		}
	}
	if wrapped, err := p.Wrap(t.Context(), base(), nil); err == nil {
		t.Errorf("an empty secret wraps to %d bytes", len(wrapped))
	}
}

func contextIsBound(t *testing.T, p encrypt.Provider) {
	wrapped := wrap(t, p, []byte("a seed as secret"))
	for what, change := range map[string]func(*encrypt.Context){
		"deployment":       func(c *encrypt.Context) { c.Deployment[0]++ },
		"deployment's end": func(c *encrypt.Context) { c.Deployment[15]++ },
		"purpose":          func(c *encrypt.Context) { c.Purpose = "system" },
		"no purpose":       func(c *encrypt.Context) { c.Purpose = "" },
		"longer purpose":   func(c *encrypt.Context) { c.Purpose = "bucket2" },
		"id":               func(c *encrypt.Context) { c.ID[0]++ },
		"id's end":         func(c *encrypt.Context) { c.ID[15]++ },
		"generation":       func(c *encrypt.Context) { c.Generation++ },
		"high generation":  func(c *encrypt.Context) { c.Generation |= 1 << 31 },
	} {
		c := base()
		change(&c)
		got, err := p.Unwrap(t.Context(), c, wrapped)
		refused(t, "another "+what, got, err)
		got, err = p.Rewrap(t.Context(), c, wrapped)
		refused(t, "rewrapped with another "+what, got, err)
	}
}

func mutationsRefused(t *testing.T, p encrypt.Provider) {
	wrapped := wrap(t, p, []byte("a seed as secret"))
	try := func(what string, bad []byte) {
		got, err := p.Unwrap(t.Context(), base(), bad)
		refused(t, what, got, err)
	}
	for i := range wrapped {
		bad := bytes.Clone(wrapped)
		bad[i] ^= 1 << (i % 8)
		try(fmt.Sprintf("byte %d flipped", i), bad)
		try(fmt.Sprintf("cut to %d", i), wrapped[:i:i])
	}
	try("extended", append(bytes.Clone(wrapped), 0))
	try("nothing", nil)
	try("noise", bytes.Repeat([]byte{0xFF}, 200))
}

// otherKeysRefused: each provider refuses a key id of the other, although it has a
// current key that it could have tried.
func otherKeysRefused(t *testing.T, p, q encrypt.Provider) {
	a, b := wrap(t, p, []byte("a seed as secret")), wrap(t, q, []byte("a seed as secret"))
	got, err := q.Unwrap(t.Context(), base(), a)
	refused(t, "a key of another provider", got, err)
	got, err = p.Unwrap(t.Context(), base(), b)
	refused(t, "a key of another provider", got, err)
}

func concurrent(t *testing.T, p encrypt.Provider) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c := base()
			c.Generation = uint32(i)
			secret := bytes.Repeat([]byte{byte(i)}, 32)
			for range 20 {
				wrapped, err := p.Wrap(t.Context(), c, secret)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := p.Unwrap(t.Context(), c, wrapped); err != nil || !bytes.Equal(got, secret) {
					t.Errorf("worker %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

func cancelled(t *testing.T, p encrypt.Provider) {
	wrapped := wrap(t, p, []byte("a seed as secret"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Wrap(ctx, base(), []byte("a seed as secret")); err == nil {
		t.Error("Wrap answers after its context ended")
	}
	if _, err := p.Unwrap(ctx, base(), wrapped); err == nil {
		t.Error("Unwrap answers after its context ended")
	}
	if _, err := p.Rewrap(ctx, base(), wrapped); err == nil {
		t.Error("Rewrap answers after its context ended")
	}
	if err := p.Check(ctx); err == nil {
		t.Error("Check answers after its context ended")
	}
}

func closed(t *testing.T, p encrypt.Provider) {
	wrapped := wrap(t, p, []byte("a seed as secret"))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wrap(t.Context(), base(), []byte("a seed as secret")); !errors.Is(err, encrypt.ErrUnavailable) {
		t.Errorf("Wrap after Close: %v", err)
	}
	if got, err := p.Unwrap(t.Context(), base(), wrapped); got != nil || !errors.Is(err, encrypt.ErrUnavailable) {
		t.Errorf("Unwrap after Close: %v", err)
	}
	if got, err := p.Rewrap(t.Context(), base(), wrapped); got != nil || !errors.Is(err, encrypt.ErrUnavailable) {
		t.Errorf("Rewrap after Close: %v", err)
	}
	if err := p.Check(t.Context()); !errors.Is(err, encrypt.ErrUnavailable) {
		t.Errorf("Check after Close: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}
