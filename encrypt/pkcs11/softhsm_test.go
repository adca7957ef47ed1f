//go:build pkcs11

package pkcs11

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/sanctum-storage/gateway/encrypt/keytest"
)

// softhsm is where Debian puts the library of SoftHSM 2.
const softhsm = "/usr/lib/softhsm/libsofthsm2.so"

const (
	testPIN   = "1234"
	testLabel = "seeds"
)

// tokens is the folder of SoftHSM's tokens.
var tokens string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "softhsm")
	if err != nil {
		panic(err)
	}
	tokens = filepath.Join(dir, "tokens")
	config := filepath.Join(dir, "softhsm2.conf")
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", tokens)
	for _, err := range []error{os.Mkdir(tokens, 0o700), os.WriteFile(config, []byte(text), 0o600), os.Setenv("SOFTHSM2_CONF", config)} {
		if err != nil {
			panic(err)
		}
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// hsm is a token of SoftHSM. It stands between the provider and the library, counts, and
// makes the faults that SoftHSM does not have.
type hsm struct {
	library
	t     *testing.T
	label string
	admin p11.SessionHandle // logged in, and may write

	mu    sync.Mutex
	fault keytest.Fault
	calls int
	pins  int           // logins
	slow  chan struct{} // closed when Slow ends
	out   bool          // the token is taken out
	next  byte          // id of the next key
}

// newHSM makes a token with one key, and the options of a provider over it.
func newHSM(t *testing.T) (*hsm, Options) {
	t.Helper()
	lib, err := load(softhsm)
	if err != nil {
		t.Fatalf("%v: install softhsm2", err)
	}
	h := &hsm{library: lib, t: t, label: "t" + rand.Text()[:20], slow: make(chan struct{})}
	ctx := lib.(*p11.Ctx)
	slots, err := ctx.GetSlotList(true)
	h.must(err)
	h.must(ctx.InitToken(slots[len(slots)-1], testPIN, h.label))
	p := newSessions(lib, Options{Token: h.label})
	slot, err := p.slot()
	h.must(err)
	h.admin, err = ctx.OpenSession(slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
	h.must(err)
	h.must(ctx.Login(h.admin, p11.CKU_SO, testPIN))
	h.must(ctx.InitPIN(h.admin, testPIN))
	h.must(ctx.Logout(h.admin))
	h.must(ctx.Login(h.admin, p11.CKU_USER, testPIN))
	h.Rotate()
	t.Cleanup(func() { _ = ctx.CloseSession(h.admin) }) // a test may have taken the token out
	file := filepath.Join(t.TempDir(), "pin")
	h.must(os.WriteFile(file, []byte(testPIN+"\n"), 0o600))
	return h, Options{Module: softhsm, Token: h.label, Key: testLabel, PINFile: file, between: func(library) library { return h }}
}

// takeOut ends all sessions, as a token does that is taken out, and hides it.
func (h *hsm) takeOut() {
	h.t.Helper()
	slot, err := newSessions(h.library, Options{Token: h.label}).slot()
	h.must(err)
	h.must(h.ctx().CloseAllSessions(slot))
	h.setOut(true)
}

func (h *hsm) putBack() { h.setOut(false) }

func (h *hsm) setOut(out bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.out = out
}

// GetTokenInfo implements library.
func (h *hsm) GetTokenInfo(slot uint) (p11.TokenInfo, error) {
	h.mu.Lock()
	out := h.out
	h.mu.Unlock()
	if out {
		return p11.TokenInfo{}, p11.Error(p11.CKR_TOKEN_NOT_PRESENT)
	}
	return h.library.GetTokenInfo(slot)
}

func (h *hsm) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *hsm) ctx() *p11.Ctx { return h.library.(*p11.Ctx) }

// add makes a key with an id.
func (h *hsm) add(id []byte, change ...*p11.Attribute) {
	h.t.Helper()
	template := append(ofLabel(testLabel), p11.NewAttribute(p11.CKA_ID, id), p11.NewAttribute(p11.CKA_TOKEN, true),
		p11.NewAttribute(p11.CKA_PRIVATE, true), p11.NewAttribute(p11.CKA_ENCRYPT, true), p11.NewAttribute(p11.CKA_DECRYPT, true),
		p11.NewAttribute(p11.CKA_SENSITIVE, true), p11.NewAttribute(p11.CKA_EXTRACTABLE, false), p11.NewAttribute(p11.CKA_VALUE_LEN, 32))
	for _, c := range change {
		i := slices.IndexFunc(template, func(a *p11.Attribute) bool { return a.Type == c.Type })
		template[i] = c
	}
	_, err := h.ctx().GenerateKey(h.admin, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_GEN, nil)}, template)
	h.must(err)
}

// Rotate implements keytest.Service.
func (h *hsm) Rotate() {
	h.next++
	h.add([]byte{h.next})
}

// each changes an attribute of each key that has a label.
func (h *hsm) each(label string, to ...*p11.Attribute) {
	h.t.Helper()
	keys, err := session{lib: h.library, handle: h.admin}.list(ofLabel(label))
	h.must(err)
	for _, k := range keys {
		h.must(h.ctx().SetAttributeValue(h.admin, k, to))
	}
}

// hiddenLabel is that of keys that are deleted for a while.
const hiddenLabel = "hidden"

// Set implements keytest.Service.
func (h *hsm) Set(f keytest.Fault) {
	h.each(hiddenLabel, p11.NewAttribute(p11.CKA_LABEL, testLabel))
	usable := f != keytest.Disabled
	h.each(testLabel, p11.NewAttribute(p11.CKA_ENCRYPT, usable), p11.NewAttribute(p11.CKA_DECRYPT, usable))
	if f == keytest.Deleted || f == keytest.PendingDeletion {
		h.each(testLabel, p11.NewAttribute(p11.CKA_LABEL, hiddenLabel))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.slow)
	h.slow = make(chan struct{})
	h.fault = f
}

// Calls implements keytest.Service.
func (h *hsm) Calls() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.calls
	h.calls = 0
	return n
}

// Words implements keytest.Service.
func (h *hsm) Words(f keytest.Fault) []string {
	switch f {
	case keytest.Denied, keytest.Disabled, keytest.Deleted, keytest.PendingDeletion:
		return []string{"key: "}
	}
	return nil
}

// use counts a call that uses a key, and returns the result of a fault.
func (h *hsm) use() (b []byte, err error, done bool) {
	h.mu.Lock()
	h.calls++
	fault, slow := h.fault, h.slow
	h.mu.Unlock()
	switch fault {
	case keytest.Slow:
		<-slow
	case keytest.Throttled:
		return nil, p11.Error(p11.CKR_DEVICE_MEMORY), true
	case keytest.Down:
		return nil, p11.Error(p11.CKR_DEVICE_REMOVED), true
	case keytest.Denied:
		return nil, p11.Error(p11.CKR_ACTION_PROHIBITED), true
	case keytest.Malformed:
		return []byte("x"), nil, true
	case keytest.Endless:
		return []byte(strings.Repeat("x", 1<<20)), nil, true
	}
	return nil, nil, false
}

func (h *hsm) Encrypt(s p11.SessionHandle, plain []byte) ([]byte, error) {
	real, err := h.library.Encrypt(s, plain) // which ends the operation in any case
	if b, err, done := h.use(); done {
		return b, err
	}
	return real, err
}

func (h *hsm) Decrypt(s p11.SessionHandle, sealed []byte) ([]byte, error) {
	real, err := h.library.Decrypt(s, sealed)
	if b, err, done := h.use(); done {
		return b, err
	}
	return real, err
}

func (h *hsm) Login(s p11.SessionHandle, user uint, pin string) error {
	h.mu.Lock()
	h.pins++
	h.mu.Unlock()
	return h.library.Login(s, user, pin)
}
