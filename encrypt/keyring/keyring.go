// Package keyring is a key provider that needs only a file: 32-byte key-encryption
// keys in text, readable by their owner only, optionally sealed under a passphrase.
// docs/format.md has the layout.
//
// It never replaces or changes an existing file, never falls back from one key to
// another, and keeps no copy of a key except in memory.
package keyring

import (
	"context"
	"crypto/fips140"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/plainfile"
)

// Keyring is an encrypt.Provider over the keys of one file.
//
//	wrapped = version(1) ‖ key id[16] ‖ wrap, with purpose "keyring" and
//	AAD = key id ‖ encrypt.Context.Bytes()
type Keyring struct {
	mu      sync.RWMutex
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
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Open reads a file of Create. It refuses a file that group or others can read
// (plainfile.ErrExposed) and a malformed one (encrypt.ErrCorrupt). A missing or
// wrong passphrase is encrypt.ErrWrongKey.
func Open(path string, passphrase []byte) (*Keyring, error) {
	text, err := readPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	file, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("keyring: %s: %w", path, err)
	}
	keys, err := file.open(passphrase)
	if err != nil {
		return nil, fmt.Errorf("keyring: %s: %w", path, err)
	}
	return &Keyring{primary: file.primary, keys: keys}, nil
}

// readPrivate reads a plain file that only its owner can read. It checks the open
// file, so that the file cannot be replaced meanwhile.
func readPrivate(path string) ([]byte, error) {
	f, err := plainfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := plainfile.Private(f); err != nil {
		return nil, err
	}
	text, err := plainfile.Rest(f, maxFile)
	if errors.Is(err, plainfile.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", errMalformed, err)
	}
	return text, err
}

// Name returns "keyring".
func (k *Keyring) Name() string { return "keyring" }

// Wrap implements encrypt.Provider with the primary key.
func (k *Keyring) Wrap(ctx context.Context, c encrypt.Context, secret []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(secret) == 0 || len(secret) > encrypt.MaxSecret {
		return nil, fmt.Errorf("keyring: cannot wrap a secret of %d bytes", len(secret))
	}
	key, err := k.key(k.primary)
	if err != nil {
		return nil, err
	}
	out := append([]byte{wrappedVersion}, k.primary[:]...)
	return append(out, encrypt.Wrap(key, c.Generation, purposeWrap, aad(k.primary, c), secret)...), nil
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

// KeyID returns the id of the key as it stands in the file: 32 hex digits.
func (k *Keyring) KeyID(wrapped []byte) (string, error) {
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

func (k *Keyring) key(id keyID) ([keySize]byte, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.keys == nil {
		return [keySize]byte{}, fmt.Errorf("keyring: closed: %w", encrypt.ErrUnavailable)
	}
	key, ok := k.keys[id]
	if !ok {
		return key, fmt.Errorf("keyring: %w: key %x is not in the file", encrypt.ErrKeyNotFound, id)
	}
	return key, nil
}

// Close erases the keys. It may be called more than once.
func (k *Keyring) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.keys)
	k.keys = nil
	return nil
}
