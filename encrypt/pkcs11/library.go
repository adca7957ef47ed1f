//go:build pkcs11

package pkcs11

import (
	"errors"
	"fmt"
	"sync"

	p11 "github.com/miekg/pkcs11"
)

// library is the part of a PKCS#11 module that the package calls.
type library interface {
	GetSlotList(tokenPresent bool) ([]uint, error)
	GetTokenInfo(slot uint) (p11.TokenInfo, error)
	OpenSession(slot, flags uint) (p11.SessionHandle, error)
	CloseSession(p11.SessionHandle) error
	Login(s p11.SessionHandle, user uint, pin string) error
	FindObjectsInit(p11.SessionHandle, []*p11.Attribute) error
	FindObjects(s p11.SessionHandle, most int) ([]p11.ObjectHandle, bool, error)
	FindObjectsFinal(p11.SessionHandle) error
	GetAttributeValue(p11.SessionHandle, p11.ObjectHandle, []*p11.Attribute) ([]*p11.Attribute, error)
	EncryptInit(p11.SessionHandle, []*p11.Mechanism, p11.ObjectHandle) error
	Encrypt(s p11.SessionHandle, plain []byte) ([]byte, error)
	DecryptInit(p11.SessionHandle, []*p11.Mechanism, p11.ObjectHandle) error
	Decrypt(s p11.SessionHandle, sealed []byte) ([]byte, error)
}

// loaded are the modules of the process by path. One is initialised once for all providers.
var loaded = struct {
	sync.Mutex
	by map[string]*p11.Ctx
}{by: map[string]*p11.Ctx{}}

// load loads and initialises a module.
func load(path string) (library, error) {
	loaded.Lock()
	defer loaded.Unlock()
	if m := loaded.by[path]; m != nil {
		return m, nil
	}
	m := p11.New(path)
	if m == nil {
		return nil, fmt.Errorf("%s cannot be loaded as a PKCS#11 module", path)
	}
	if err := m.Initialize(); err != nil && !errors.Is(err, p11.Error(p11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
		m.Destroy()
		return nil, fmt.Errorf("initialise %s: %w", path, err)
	}
	loaded.by[path] = m
	return m, nil
}
