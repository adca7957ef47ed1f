package vaulttest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Key is a Transit key. Versions are counted from 1.
type Key struct {
	Type                         string
	Derived, Convergent          bool
	Exportable, PlaintextBackup  bool
	SoftDeleted                  bool
	MinDecryption, MinEncryption int
	versions                     [][]byte
}

// AddKey creates a derived key of one version.
func (s *Server) AddKey(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[name] = &Key{Type: "aes256-gcm96", Derived: true, MinDecryption: 1}
	s.keys[name].rotate()
}

// Change edits a key. It does nothing to one that does not exist.
func (s *Server) Change(name string, edit func(*Key)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.keys[name]; k != nil {
		edit(k)
	}
}

// Rotate adds a version to a key.
func (s *Server) Rotate(name string) { s.Change(name, (*Key).rotate) }

// Delete deletes a key, and returns a function that brings it back as from a backup.
func (s *Server) Delete(name string) (restore func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[name]
	delete(s.keys, name)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.keys[name] = k
	}
}

func (k *Key) rotate() {
	version := make([]byte, 32)
	rand.Read(version)
	k.versions = append(k.versions, version)
}

// transit answers the endpoints of a key. The order of the tests is the service's.
func (s *Server) transit(verb, name string, fields map[string]any) reply {
	k := s.keys[name]
	if verb == "keys" {
		if k == nil {
			return refuse(http.StatusNotFound)
		}
		return data(k.describe(name))
	}
	text := func(field string) string { t, _ := fields[field].(string); return t }
	context, err := base64.StdEncoding.DecodeString(text("context"))
	if err != nil {
		return refuse(http.StatusBadRequest, err.Error())
	}
	if k == nil && verb == "encrypt" {
		k = &Key{Type: "aes256-gcm96", Derived: len(context) > 0, MinDecryption: 1}
		k.rotate()
		s.keys[name] = k
	}
	if k == nil {
		return refuse(http.StatusBadRequest, "encryption key not found")
	}
	plain := []byte(nil)
	switch verb {
	case "encrypt":
		plain, err = base64.StdEncoding.DecodeString(text("plaintext"))
	case "decrypt", "rewrap":
		plain, err = k.decrypt(context, text("ciphertext"))
	default:
		return refuse(http.StatusNotFound, "unsupported path")
	}
	if err == nil && verb == "decrypt" {
		return data(map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plain)})
	}
	ciphertext := ""
	if err == nil {
		ciphertext, err = k.encrypt(context, plain)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, err.Error())
	}
	return data(map[string]any{"ciphertext": ciphertext, "key_version": len(k.versions)})
}

func (k *Key) describe(name string) map[string]any {
	return map[string]any{
		"name": name, "type": k.Type, "derived": k.Derived, "convergent_encryption": k.Convergent, "exportable": k.Exportable,
		"allow_plaintext_backup": k.PlaintextBackup, "soft_deleted": k.SoftDeleted, "latest_version": len(k.versions),
		"min_decryption_version": k.MinDecryption, "min_encryption_version": k.MinEncryption, "deletion_allowed": false,
		"supports_encryption": true, "supports_decryption": true, "supports_derivation": true, "kdf": "hkdf_sha256",
	}
}

// aead is the cipher of a version under a context.
func (k *Key) aead(context []byte, version int) (cipher.AEAD, error) {
	if k.SoftDeleted {
		return nil, errors.New("refusing to use soft-deleted key")
	}
	key := k.versions[version-1]
	if k.Derived {
		if len(context) == 0 {
			return nil, errors.New("missing 'context' for key derivation; the key was created using a derived key, which means additional, per-request information must be included in order to perform operations with the key")
		}
		var err error
		if key, err = hkdf.Key(sha256.New, key, nil, string(context), 32); err != nil {
			return nil, err
		}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (k *Key) encrypt(context, plain []byte) (string, error) {
	version := len(k.versions)
	aead, err := k.aead(context, version)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("vault:v%d:%s", version, base64.StdEncoding.EncodeToString(aead.Seal(nil, nil, plain, nil))), nil
}

func (k *Key) decrypt(context []byte, text string) ([]byte, error) {
	rest, ok := strings.CutPrefix(text, "vault:v")
	if !ok {
		return nil, errors.New("invalid ciphertext: no prefix")
	}
	number, encoded, ok := strings.Cut(rest, ":")
	if !ok {
		return nil, errors.New("invalid ciphertext: wrong number of fields")
	}
	version, err := strconv.Atoi(number)
	if err != nil {
		return nil, errors.New("invalid ciphertext: version number could not be decoded")
	}
	version = max(version, 1) // the service reads 0 as 1
	switch {
	case k.SoftDeleted:
		return nil, errors.New("refusing to use soft-deleted key")
	case version > len(k.versions):
		return nil, errors.New("invalid ciphertext: version is too new")
	case version < k.MinDecryption:
		return nil, errors.New("ciphertext or signature version is disallowed by policy (too old)")
	}
	ciphertext, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("invalid ciphertext: could not decode base64")
	}
	aead, err := k.aead(context, version)
	if err != nil {
		return nil, err
	}
	if len(ciphertext) < aead.Overhead() {
		return nil, errors.New("invalid ciphertext length")
	}
	plain, err := aead.Open(nil, nil, ciphertext, nil)
	if err != nil {
		return nil, errors.New("cipher: message authentication failed")
	}
	return plain, nil
}
