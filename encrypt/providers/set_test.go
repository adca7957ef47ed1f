package providers

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
)

var seedContext = encrypt.Context{Deployment: encrypt.Deployment{1}, Purpose: "bucket", ID: [16]byte{2}, Generation: 3}

// rig is a set over fakes, and what it tells of failures.
type rig struct {
	t     *testing.T
	fakes map[string]*keytest.Fake
	mu    sync.Mutex
	told  []string
}

func newRig(t *testing.T, names ...string) *rig {
	r := &rig{t: t, fakes: map[string]*keytest.Fake{}}
	for _, name := range names {
		r.fakes[name] = keytest.NewFake(name)
	}
	return r
}

// set opens the fakes of these names as one.
func (r *rig) set(o Options, names ...string) *Set {
	r.t.Helper()
	o.Providers = map[string]encrypt.Provider{}
	for _, name := range names {
		o.Providers[name] = r.fakes[name]
	}
	o.Failed = func(provider string, _ error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told = append(r.told, provider)
	}
	s, err := New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) wrap(s *Set) []byte {
	r.t.Helper()
	wrapped, err := s.Wrap(r.t.Context(), seedContext, []byte("a seed as secret"))
	if err != nil {
		r.t.Fatal(err)
	}
	return wrapped
}

func (r *rig) opens(s *Set, wrapped []byte) {
	r.t.Helper()
	if got, err := s.Unwrap(r.t.Context(), seedContext, wrapped); err != nil || string(got) != "a seed as secret" {
		r.t.Errorf("%q, %v", got, err)
	}
}

func (r *rig) fails(s *Set, wrapped []byte, want error) {
	r.t.Helper()
	if got, err := s.Unwrap(r.t.Context(), seedContext, wrapped); got != nil || !errors.Is(err, want) {
		r.t.Errorf("%d bytes, %v, want %v", len(got), err, want)
	}
}

// A set keeps the contract of a provider, with one slot and with two.
func TestContract(t *testing.T) {
	t.Run("one", func(t *testing.T) {
		keytest.Run(t, func(t *testing.T) encrypt.Provider { return newRig(t, "a", "b").set(Options{Default: "a"}, "a", "b") })
	})
	t.Run("two", func(t *testing.T) {
		keytest.Run(t, func(t *testing.T) encrypt.Provider {
			return newRig(t, "a", "b").set(Options{Default: "a", Second: "b"}, "a", "b")
		})
	})
	t.Run("service", func(t *testing.T) {
		keytest.RunService(t, func(t *testing.T) (encrypt.Provider, keytest.Service) {
			r := newRig(t, "a")
			return r.set(Options{Default: "a"}, "a"), r.fakes["a"]
		})
	})
}

// Either provider opens what both wrapped, whichever way the other one is lost.
func TestEitherOpens(t *testing.T) {
	r := newRig(t, "a", "b", "c")
	both := r.set(Options{Default: "a", Second: "b"}, "a", "b")
	wrapped := r.wrap(both)
	for _, lost := range []string{"a", "b"} {
		for _, f := range []keytest.Fault{keytest.Down, keytest.Throttled, keytest.Slow, keytest.Disabled, keytest.Deleted, keytest.Denied} {
			r.fakes[lost].Set(f)
			r.opens(both, wrapped)
		}
		r.fakes[lost].Set(keytest.Works)
	}
	if want := []string{"a", "a", "a", "a", "a", "a"}; !slices.Equal(r.told, want) {
		t.Errorf("failures told: %v", r.told)
	}
	r.opens(r.set(Options{Default: "c"}, "b", "c"), wrapped)
	r.opens(r.set(Options{Default: "c"}, "a", "c"), wrapped)
	r.fails(r.set(Options{Default: "c"}, "c"), wrapped, encrypt.ErrKeyNotFound)

	r.fakes["a"].Set(keytest.Deleted)
	r.fakes["b"].Set(keytest.Down)
	r.fails(both, wrapped, encrypt.ErrUnavailable) // b may come back
	r.fakes["b"].Set(keytest.Denied)
	r.fails(both, wrapped, encrypt.ErrDenied)
	r.fakes["b"].Set(keytest.Disabled)
	r.fails(both, wrapped, encrypt.ErrKeyDisabled)
}

// A new secret is wrapped by both or not at all.
func TestBothWrap(t *testing.T) {
	r := newRig(t, "a", "b")
	both := r.set(Options{Default: "a", Second: "b"}, "a", "b")
	for _, lost := range []string{"a", "b"} {
		r.fakes[lost].Set(keytest.Down)
		if wrapped, err := both.Wrap(t.Context(), seedContext, []byte("a seed as secret")); wrapped != nil || !errors.Is(err, encrypt.ErrUnavailable) {
			t.Errorf("%s is down: %d bytes, %v", lost, len(wrapped), err)
		}
		r.fakes[lost].Set(keytest.Works)
	}
}

// A provider that an envelope does not name is never asked, also if it could answer.
func TestNoTrial(t *testing.T) {
	r := newRig(t, "a", "b")
	r.fakes["copy"] = r.fakes["a"]
	wrapped := r.wrap(r.set(Options{Default: "a"}, "a"))
	without := r.set(Options{Default: "copy"}, "copy", "b")
	r.fakes["a"].Calls()
	r.fails(without, wrapped, encrypt.ErrKeyNotFound)
	if n := r.fakes["a"].Calls() + r.fakes["b"].Calls(); n > 0 {
		t.Errorf("%d calls of providers that are not named", n)
	}
}

// A seed that a key file wrapped before there was a list opens by the provider that
// stands for it, and by no other.
func TestBare(t *testing.T) {
	r := newRig(t, "file", "b")
	bare, err := r.fakes["file"].Wrap(t.Context(), seedContext, []byte("a seed as secret"))
	if err != nil {
		t.Fatal(err)
	}
	s := r.set(Options{Default: "b", Bare: "file"}, "file", "b")
	r.opens(s, bare)
	if id, err := s.KeyID(bare); err != nil || id != "file:key-0" {
		t.Errorf("%q, %v", id, err)
	}
	again, err := s.Rewrap(t.Context(), seedContext, bare)
	if err != nil || !encrypt.IsEnvelope(again) {
		t.Fatal(err)
	}
	r.opens(r.set(Options{Default: "b"}, "b"), again)
	r.fails(r.set(Options{Default: "b"}, "file", "b"), bare, encrypt.ErrCorrupt)
}

// Rewrapping adds and removes providers, and leaves the secret to the service where it can.
func TestRewrap(t *testing.T) {
	r := newRig(t, "a", "b")
	one, both := r.set(Options{Default: "a"}, "a", "b"), r.set(Options{Default: "a", Second: "b"}, "a", "b")
	moved := r.set(Options{Default: "b"}, "a", "b")
	wrapped := r.wrap(one)
	for _, step := range []struct {
		set *Set
		id  string
	}{{both, "a:key-0,b:key-0"}, {moved, "b:key-0"}, {one, "a:key-0"}} {
		again, err := step.set.Rewrap(t.Context(), seedContext, wrapped)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := step.set.KeyID(again); err != nil || id != step.id {
			t.Errorf("%q, %v, want %q", id, err, step.id)
		}
		r.opens(step.set, again)
		wrapped = again
	}
	r.fakes["b"].Calls()
	if _, err := one.Rewrap(t.Context(), seedContext, wrapped); err != nil {
		t.Fatal(err)
	}
	if n := r.fakes["b"].Calls(); n > 0 {
		t.Errorf("a provider that has no part in it was called %d times", n)
	}
}

// A byte that was changed in the slot that is not in use is found at once, not on the day
// that its provider is needed.
func TestChangedSpareSlot(t *testing.T) {
	r := newRig(t, "a", "b")
	both := r.set(Options{Default: "a", Second: "b"}, "a", "b")
	wrapped := r.wrap(both)
	at := bytes.LastIndexByte(wrapped[:len(wrapped)-40], 'b')
	for i := at; i < len(wrapped); i += 7 {
		bad := bytes.Clone(wrapped)
		bad[i] ^= 0x10
		if got, err := both.Unwrap(t.Context(), seedContext, bad); got != nil || !errors.Is(err, encrypt.ErrCorrupt) {
			t.Errorf("byte %d: %d bytes, %v", i, len(got), err)
		}
	}
}

// A provider that works and has another key than it had is found, although the other one
// opens everything.
func TestOpenEach(t *testing.T) {
	r := newRig(t, "a", "b", "c")
	wrapped := r.wrap(r.set(Options{Default: "a", Second: "b"}, "a", "b"))
	r.fakes["b"] = keytest.NewFake("b")
	s := r.set(Options{Default: "a", Second: "b"}, "a", "b", "c")
	r.opens(s, wrapped)
	got, err := s.OpenEach(t.Context(), seedContext, wrapped)
	if err != nil || len(got) != 2 || got["a"] != nil || !errors.Is(got["b"], encrypt.ErrWrongKey) {
		t.Errorf("%v, %v", got, err)
	}
	got, err = r.set(Options{Default: "a"}, "a").OpenEach(t.Context(), seedContext, wrapped)
	if err != nil || len(got) != 1 || got["a"] != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestCheckNamesTheProvider(t *testing.T) {
	r := newRig(t, "a", "b")
	s := r.set(Options{Default: "a"}, "a", "b")
	r.fakes["b"].Set(keytest.Denied)
	if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "provider b") || !strings.Contains(err.Error(), "permission") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestOptions(t *testing.T) {
	a := map[string]encrypt.Provider{"a": keytest.NewFake("a")}
	bad := maps.Clone(a)
	bad["A"] = keytest.NewFake("A")
	for what, o := range map[string]Options{
		"no default":      {Providers: a},
		"unknown default": {Providers: a, Default: "b"},
		"unknown second":  {Providers: a, Default: "a", Second: "b"},
		"its own second":  {Providers: a, Default: "a", Second: "a"},
		"unknown bare":    {Providers: a, Default: "a", Bare: "b"},
		"a bad name":      {Providers: bad, Default: "a"},
	} {
		if s, err := New(o); err == nil || s != nil {
			t.Errorf("%s is accepted", what)
		}
	}
}
