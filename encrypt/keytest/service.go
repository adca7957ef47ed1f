package keytest

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
)

// Fault is a way in which a key service fails.
type Fault int

// Faults of a service, and the errors that a provider makes of them.
const (
	Works           Fault = iota
	Slow                  // no answer before the request is given up: ErrUnavailable
	Throttled             // it asks to slow down: ErrUnavailable
	Down                  // connections are refused, or every answer is a failure of its own: ErrUnavailable
	Denied                // the credential has no permission to use the key: ErrDenied
	Malformed             // an answer that is not of the service's form: ErrUnavailable
	Endless               // an answer that does not end: ErrUnavailable
	Disabled              // the key is disabled: ErrKeyDisabled
	PendingDeletion       // the key's deletion is scheduled: ErrKeyNotFound
	Deleted               // the key is gone: ErrKeyNotFound
)

// faults are all faults with their names and errors.
var faults = []struct {
	fault Fault
	name  string
	want  error
}{
	{Slow, "Slow", encrypt.ErrUnavailable}, {Throttled, "Throttled", encrypt.ErrUnavailable}, {Down, "Down", encrypt.ErrUnavailable},
	{Denied, "Denied", encrypt.ErrDenied}, {Malformed, "Malformed", encrypt.ErrUnavailable}, {Endless, "Endless", encrypt.ErrUnavailable},
	{Disabled, "Disabled", encrypt.ErrKeyDisabled}, {PendingDeletion, "PendingDeletion", encrypt.ErrKeyNotFound},
	{Deleted, "Deleted", encrypt.ErrKeyNotFound},
}

// maxCalls bounds the requests of one call of a provider while the service fails.
const maxCalls = 6

// Service is the service behind a provider under test.
type Service interface {
	// Set makes the service fail from now on. Works ends every fault, also Deleted.
	Set(Fault)
	// Calls returns how many requests that use the key have arrived since the last call
	// of Calls. Logins and questions about the key do not count.
	Calls() int
	// Rotate gives the service another current key, or another version of it, which the
	// provider's KeyID tells apart.
	Rotate()
	// Words returns parts of the text that Check's error must have under a fault: the
	// setting that is wrong and, under Denied, the permission that is missing.
	Words(Fault) []string
}

// RunService runs the part of the suite for providers with a service behind them, beside
// Run. Each call of open returns a new provider and its service. The provider gives up a
// request after less than a second.
func RunService(t *testing.T, open func(t *testing.T) (encrypt.Provider, Service)) {
	t.Run("Calls", func(t *testing.T) { p, s := open(t); counts(t, p, s) })
	t.Run("Rotate", func(t *testing.T) { p, s := open(t); rotates(t, p, s) })
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) { p, s := open(t); fails(t, p, s, f.fault, f.want) })
	}
	t.Run("GivenUp", func(t *testing.T) { p, s := open(t); givenUp(t, p, s) })
}

// counts: a gateway pays for each request.
func counts(t *testing.T, p encrypt.Provider, s Service) {
	wrapped := wrap(t, p, []byte("a seed as secret")) // and whatever the first call needs besides
	s.Calls()
	for _, c := range []struct {
		name string
		most int
		call func() error
	}{
		{"Wrap", 1, func() error { _, err := p.Wrap(t.Context(), base(), []byte("a seed as secret")); return err }},
		{"Unwrap", 1, func() error { _, err := p.Unwrap(t.Context(), base(), wrapped); return err }},
		{"Rewrap", 2, func() error { _, err := p.Rewrap(t.Context(), base(), wrapped); return err }},
		{"KeyID", 0, func() error { _, err := p.KeyID(wrapped); return err }},
		{"Check", 4, func() error { return p.Check(t.Context()) }},
	} {
		if err := c.call(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if n := s.Calls(); n > c.most || n == 0 && c.most > 0 {
			t.Errorf("%s makes %d requests, want at most %d", c.name, n, c.most)
		}
	}
}

func rotates(t *testing.T, p encrypt.Provider, s Service) {
	secret := []byte("a secret of a seed's length.....")
	old := wrap(t, p, secret)
	s.Rotate()
	current, err := encrypt.CurrentKeyID(t.Context(), p)
	if err != nil || current == keyID(t, p, old) {
		t.Fatalf("after a rotation the current key is %q, %v", current, err)
	}
	again, err := p.Rewrap(t.Context(), base(), old)
	if err != nil || keyID(t, p, again) != current {
		t.Fatalf("rewrapped under %q, %v; the current key is %q", keyID(t, p, again), err, current)
	}
	for _, wrapped := range [][]byte{old, again} {
		if got, err := p.Unwrap(t.Context(), base(), wrapped); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("after a rotation: %v", err)
		}
	}
}

// hidden is a secret that no error may show, in the clear or as it travels in JSON.
const hidden = "hush-hush-hush-hush"

// fails: each call fails with the fault's error, within bounds, and works afterwards.
func fails(t *testing.T, p encrypt.Provider, s Service, f Fault, want error) {
	wrapped := wrap(t, p, []byte(hidden))
	s.Set(f)
	s.Calls()
	for name, call := range calls(p, wrapped) {
		got, err := call(t.Context())
		if got != nil || !failsAs(err, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if n := s.Calls(); n > maxCalls {
			t.Errorf("%s made %d requests, want at most %d", name, n, maxCalls)
		}
		if err != nil && (strings.Contains(err.Error(), hidden) || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString([]byte(hidden)))) {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
	err := p.Check(t.Context())
	if !failsAs(err, want) {
		t.Errorf("Check: %v", err)
	}
	for _, word := range s.Words(f) {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("Check does not say %q: %v", word, err)
		}
	}
	s.Set(Works)
	for name, call := range calls(p, wrapped) {
		if _, err := call(t.Context()); err != nil {
			t.Errorf("%s after the fault: %v", name, err)
		}
	}
}

// failsAs reports whether err is of the wanted kind, which for ErrDenied is also one of
// ErrUnavailable, and of no other.
func failsAs(err, want error) bool {
	if errors.Is(want, encrypt.ErrUnavailable) {
		return only(err, encrypt.ErrUnavailable) && errors.Is(err, encrypt.ErrDenied) == (want == encrypt.ErrDenied)
	}
	return only(err, want)
}

// calls are the methods that ask the service for bytes.
func calls(p encrypt.Provider, wrapped []byte) map[string]func(context.Context) ([]byte, error) {
	return map[string]func(context.Context) ([]byte, error){
		"Wrap":   func(ctx context.Context) ([]byte, error) { return p.Wrap(ctx, base(), []byte(hidden)) },
		"Unwrap": func(ctx context.Context) ([]byte, error) { return p.Unwrap(ctx, base(), wrapped) },
		"Rewrap": func(ctx context.Context) ([]byte, error) { return p.Rewrap(ctx, base(), wrapped) },
	}
}

// givenUp: a caller that gives up gets its answer although the service is silent.
func givenUp(t *testing.T, p encrypt.Provider, s Service) {
	wrapped := wrap(t, p, []byte(hidden))
	s.Set(Slow)
	for name, call := range calls(p, wrapped) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		got, err := call(ctx)
		cancel()
		if got != nil || !errors.Is(err, context.DeadlineExceeded) && !only(err, encrypt.ErrUnavailable) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}
