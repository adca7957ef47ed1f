//go:build pkcs11

package pkcs11

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
)

func open(t *testing.T, o Options) *Provider {
	t.Helper()
	p, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestContract(t *testing.T) {
	keytest.Run(t, func(t *testing.T) encrypt.Provider {
		_, o := newHSM(t)
		return open(t, o)
	})
	keytest.RunService(t, func(t *testing.T) (encrypt.Provider, keytest.Service) {
		h, o := newHSM(t)
		o.Timeout = 800 * time.Millisecond
		return open(t, o), h
	})
}

// A token that is taken out is an outage, and works again when it is back.
func TestTokenRemoved(t *testing.T) {
	h, o := newHSM(t)
	p := open(t, o)
	c, secret := encrypt.Context{Purpose: "bucket"}, bytes.Repeat([]byte{7}, 32)
	wrapped, err := p.Wrap(t.Context(), c, secret)
	h.must(err)
	h.takeOut()
	for range 3 {
		if _, err := p.Unwrap(t.Context(), c, wrapped); !errors.Is(err, encrypt.ErrUnavailable) || errors.Is(err, encrypt.ErrDenied) {
			t.Errorf("without the token: %v", err)
		}
	}
	if err := p.Check(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "token_label: ") {
		t.Errorf("without the token: %v", err)
	}
	h.putBack()
	again, err := p.Wrap(t.Context(), c, secret)
	if err != nil {
		t.Errorf("with the token back: %v", err)
	}
	if got, err := p.Unwrap(t.Context(), c, again); !bytes.Equal(got, secret) || err != nil {
		t.Errorf("wrapped with the token back: %v", err)
	}
	// A session that is lost meanwhile is replaced within the call, with the same secret.
	h.takeOut()
	h.putBack()
	if again, err = p.Wrap(t.Context(), c, secret); err != nil {
		t.Errorf("with a session that was lost: %v", err)
	}
	if got, err := p.Unwrap(t.Context(), c, again); !bytes.Equal(got, secret) || err != nil {
		t.Errorf("wrapped with a session that was lost: %v", err)
	}
	if got, err := p.Unwrap(t.Context(), c, wrapped); !bytes.Equal(got, secret) || err != nil {
		t.Errorf("with the token back: %v", err)
	}
}

// A wrong PIN is tried once: a token locks itself after a few of them.
func TestWrongPIN(t *testing.T) {
	h, o := newHSM(t)
	h.must(h.ctx().Logout(h.admin))
	var told []error
	o.Observe = func(err error) { told = append(told, err) }
	h.must(os.WriteFile(o.PINFile, []byte("99999"), 0o600))
	p := open(t, o)
	for range 3 {
		if err := p.Check(t.Context()); !errors.Is(err, encrypt.ErrDenied) || !strings.HasPrefix(err.Error(), "pin_path: ") || strings.Contains(err.Error(), "99999") {
			t.Errorf("%v", err)
		}
		p.sessions.failedAt = time.Time{} // a second later
	}
	if h.pins != 1 || len(told) != 1 || told[0] == nil {
		t.Errorf("%d logins, told %v", h.pins, told)
	}
	h.must(os.WriteFile(o.PINFile, []byte(testPIN), 0o600))
	if err := p.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if h.pins != 2 || len(told) != 2 || told[1] != nil {
		t.Errorf("%d logins, told %v", h.pins, told)
	}
}

func TestCheckRefuses(t *testing.T) {
	for words, change := range map[string]func(h *hsm, o *Options){
		"key: encrypt: the key does not exist": func(_ *hsm, o *Options) { o.Key = "other" },
		"token_label: ":                        func(_ *hsm, o *Options) { o.Token = "other" },
		"pin_path: ":                           func(_ *hsm, o *Options) { o.PINFile = "/nowhere/pin" },
		"is extractable":                       func(h *hsm, _ *Options) { h.add([]byte{9}, p11.NewAttribute(p11.CKA_EXTRACTABLE, true)) },
		"is not sensitive":                     func(h *hsm, _ *Options) { h.add([]byte{9}, p11.NewAttribute(p11.CKA_SENSITIVE, false)) },
		"does not have 256 bits":               func(h *hsm, _ *Options) { h.add([]byte{9}, p11.NewAttribute(p11.CKA_VALUE_LEN, 16)) },
		"have one id":                          func(h *hsm, _ *Options) { h.add([]byte{0, 1}) },
		"has no id":                            func(h *hsm, _ *Options) { h.add(nil) },
	} {
		h, o := newHSM(t)
		if words == "pin_path: " {
			h.must(h.ctx().Logout(h.admin))
		}
		change(h, &o)
		if err := open(t, o).Check(t.Context()); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v; want %q", err, words)
		}
	}
}

// The current key is the one with the highest number, however it is written.
func TestOrderOfIDs(t *testing.T) {
	h, o := newHSM(t)
	p := open(t, o)
	for _, id := range [][]byte{{0x10}, {0, 0x20}, {1, 0}} {
		h.add(id)
		if got, err := encrypt.CurrentKeyID(t.Context(), p); err != nil || got != hex.EncodeToString(id) {
			t.Errorf("the current key is %q, %v; want %x", got, err, id)
		}
	}
	h.add([]byte{0xFF})
	if got, err := encrypt.CurrentKeyID(t.Context(), p); err != nil || got != "0100" {
		t.Errorf("the current key is %q, %v", got, err)
	}
}

func TestOptions(t *testing.T) {
	good := Options{Module: softhsm, Token: "t", Key: "k", PINFile: "/pin"}
	for want, change := range map[string]func(*Options){
		"module: \"lib.so\" is not the absolute": func(o *Options) { o.Module = "lib.so" },
		"module: /nowhere.so cannot be loaded":   func(o *Options) { o.Module = "/nowhere.so" },
		"token_label: ":                          func(o *Options) { o.Token = strings.Repeat("x", 33) },
		"key: ":                                  func(o *Options) { o.Key = "" },
		"pin_path: ":                             func(o *Options) { o.PINFile = "" },
		"timeout: ":                              func(o *Options) { o.Timeout = -1 },
	} {
		o := good
		change(&o)
		if p, err := Open(o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
			if p != nil {
				p.Close()
			}
		}
	}
}
