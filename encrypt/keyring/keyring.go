// Package keyring is a key provider that needs only a file: 32-byte key-encryption
// keys in text, readable by their owner only, optionally sealed under a passphrase.
// docs/format.md has the layout.
//
// A file is replaced as a whole or not at all, and only by Add, SetPrimary and Remove. No
// key falls back to another, and no copy of a key is kept except in memory.
package keyring

import (
	"bytes"
	"context"
	"crypto/fips140"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/plainfile"
)

// Keyring is an encrypt.Provider over the keys of one file.
//
//	wrapped = version(1) ‖ key id[16] ‖ wrap, with purpose "keyring" and
//	AAD = key id ‖ encrypt.Context.Bytes()
//
// It follows the file: a key that was added, made primary or removed there counts from the
// next call on. A file that cannot be read any more wraps nothing, for a key that is only
// in memory may be lost; what it wrapped still opens by the keys that were read last.
type Keyring struct {
	path       string
	passphrase []byte

	mu      sync.Mutex
	read    fs.FileInfo // of the file that the keys are from
	primary keyID
	keys    map[keyID][keySize]byte // nil after Close
}

var _ encrypt.Provider = (*Keyring)(nil)

const (
	wrappedVersion = 1
	wrappedPrefix  = 1 + idSize
	purposeWrap    = "keyring"
)

// Create makes a new file with one random key and opens it. Without a passphrase
// the key is stored in plain text. The file must not exist: fs.ErrExist otherwise.
// File and directory entry are durable when it returns.
func Create(path string, passphrase []byte) (*Keyring, error) {
	return create(path, passphrase, defaultCost)
}

func create(path string, passphrase []byte, c cost) (*Keyring, error) {
	if len(passphrase) > 0 && fips140.Enabled() {
		return nil, fmt.Errorf("keyring: %w", errNotApproved)
	}
	file := contents{stored: map[keyID][]byte{}, sealed: len(passphrase) > 0, cost: c}
	var key [keySize]byte
	rand.Read(key[:])
	rand.Read(file.primary[:])
	rand.Read(file.salt[:])
	if file.sealed {
		sealing := c.key(passphrase, file.salt[:])
		file.add(file.primary, key, &sealing)
	} else {
		file.add(file.primary, key, nil)
	}
	if err := writeNew(path, file.text()); err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	// The file is read back: a key that cannot be recovered must not seal anything.
	return Open(path, passphrase)
}

// writeNew writes a new file durably, or leaves none.
func writeNew(path string, text []byte) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(path)
		}
	}()
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return syncFolder(path)
}

// Open reads a file of Create. It refuses a file that group or others can read
// (plainfile.ErrExposed) and a malformed one (encrypt.ErrCorrupt). A missing or
// wrong passphrase is encrypt.ErrWrongKey.
func Open(path string, passphrase []byte) (*Keyring, error) {
	k := &Keyring{path: path, passphrase: bytes.Clone(passphrase)}
	file, keys, read, err := load(path, passphrase)
	if err != nil {
		return nil, err
	}
	k.primary, k.keys, k.read = file.primary, keys, read
	return k, nil
}

// load reads and opens a file. Its info is that of the file that was read.
func load(path string, passphrase []byte) (*contents, map[keyID][keySize]byte, fs.FileInfo, error) {
	text, info, err := readPrivate(path)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("keyring: %w", err)
	}
	file, err := parse(text)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("keyring: %s: %w", path, err)
	}
	keys, err := file.open(passphrase)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("keyring: %s: %w", path, err)
	}
	return file, keys, info, nil
}

// readPrivate reads a plain file that only its owner can read. It checks the open
// file, so that the file cannot be replaced meanwhile.
func readPrivate(path string) ([]byte, fs.FileInfo, error) {
	f, err := plainfile.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if err := plainfile.Private(f); err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	text, err := plainfile.Rest(f, maxFile)
	if errors.Is(err, plainfile.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", errMalformed, err)
	}
	return text, info, err
}

// follow reads the file again if it is another one than was read last. The caller holds
// the lock. An error leaves the keys as they are.
func (k *Keyring) follow() error {
	info, err := os.Stat(k.path)
	if err != nil {
		return fmt.Errorf("the key file cannot be read any more: %w", err)
	}
	if os.SameFile(info, k.read) && info.ModTime().Equal(k.read.ModTime()) && info.Size() == k.read.Size() {
		return nil
	}
	file, keys, read, err := load(k.path, k.passphrase)
	if err != nil {
		return fmt.Errorf("the key file was changed and cannot be read: %w", err)
	}
	if !haveOneKey(k.keys, keys) {
		return errors.New("the key file was replaced by one that has none of its keys")
	}
	clear(k.keys)
	k.primary, k.keys, k.read = file.primary, keys, read
	return nil
}

func haveOneKey(a, b map[keyID][keySize]byte) bool {
	for id, key := range a {
		if other, ok := b[id]; ok && other == key {
			return true
		}
	}
	return false
}

// Name returns "keyring".
func (k *Keyring) Name() string { return "keyring" }

// Wrap implements encrypt.Provider with the primary key.
func (k *Keyring) Wrap(ctx context.Context, c encrypt.Context, secret []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(secret) < encrypt.MinSecret || len(secret) > encrypt.MaxSecret {
		return nil, fmt.Errorf("keyring: cannot wrap a secret of %d bytes", len(secret))
	}
	id, key, err := k.current()
	if err != nil {
		return nil, err
	}
	out := append([]byte{wrappedVersion}, id[:]...)
	return append(out, encrypt.Wrap(key, c.Generation, purposeWrap, aad(id, c), secret)...), nil
}

// Unwrap implements encrypt.Provider with the key that wrapped names.
func (k *Keyring) Unwrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	id, err := wrappedBy(wrapped)
	if err != nil {
		return nil, err
	}
	key, err := k.key(id)
	if err != nil {
		return nil, err
	}
	secret, err := encrypt.Unwrap(key, purposeWrap, aad(id, c), wrapped[wrappedPrefix:])
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	return secret, nil
}

// wrappedBy returns the id of the key that wrapped names.
func wrappedBy(wrapped []byte) (keyID, error) {
	if encrypt.IsEnvelope(wrapped) {
		return keyID{}, fmt.Errorf("keyring: %w: providers of a list wrapped it: configure key_providers as it was", encrypt.ErrCorrupt)
	}
	if len(wrapped) < wrappedPrefix+encrypt.WrapOverhead || wrapped[0] != wrappedVersion {
		return keyID{}, fmt.Errorf("keyring: %w: not wrapped by a keyring", encrypt.ErrCorrupt)
	}
	return keyID(wrapped[1:wrappedPrefix]), nil
}

// KeyID implements encrypt.Provider: see KeyID.
func (k *Keyring) KeyID(wrapped []byte) (string, error) { return KeyID(wrapped) }

// KeyID returns the id of the key that a keyring wrapped with, as it stands in the file: 32
// hex digits.
func KeyID(wrapped []byte) (string, error) {
	id, err := wrappedBy(wrapped)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(id[:]), nil
}

// Rewrap implements encrypt.Provider with the primary key.
func (k *Keyring) Rewrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	secret, err := k.Unwrap(ctx, c, wrapped)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return k.Wrap(ctx, c, secret)
}

// Check implements encrypt.Provider. It reads no file.
func (k *Keyring) Check(ctx context.Context) error { return encrypt.CheckRoundTrip(ctx, k) }

func aad(id keyID, c encrypt.Context) []byte { return append(id[:], c.Bytes()...) }

var errClosed = fmt.Errorf("keyring: closed: %w", encrypt.ErrUnavailable)

// current returns the primary key of the file as it is now.
func (k *Keyring) current() (id keyID, key [keySize]byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		return id, key, errClosed
	}
	if err := k.follow(); err != nil {
		return id, key, fmt.Errorf("keyring: %w: %v", encrypt.ErrUnavailable, err)
	}
	return k.primary, k.keys[k.primary], nil
}

// key returns the key that a wrap names.
func (k *Keyring) key(id keyID) ([keySize]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		return [keySize]byte{}, errClosed
	}
	followed := k.follow()
	key, ok := k.keys[id]
	switch {
	case ok:
		return key, nil
	case followed != nil: // the key may be in the file that cannot be read
		return key, fmt.Errorf("keyring: %w: key %x is not known: %v", encrypt.ErrUnavailable, id, followed)
	}
	return key, fmt.Errorf("keyring: %w: key %x is not in the file", encrypt.ErrKeyNotFound, id)
}

// Close erases the keys. It may be called more than once.
func (k *Keyring) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.keys)
	clear(k.passphrase)
	k.keys = nil
	return nil
}
