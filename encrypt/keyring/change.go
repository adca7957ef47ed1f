package keyring

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sanctum-storage/gateway/encrypt"
)

// changeSuffix ends the name of the new file while one is being changed. The file keeps
// out a second change.
const changeSuffix = ".new"

// Errors of a change. Nothing was changed.
var (
	ErrChanging  = errors.New("keyring: the file is being changed by another command, or a change was interrupted")
	ErrIsPrimary = errors.New("keyring: the primary key wraps new seeds: make another one primary first")
	ErrFull      = fmt.Errorf("keyring: a file has at most %d keys", maxKeys)
)

// Key is one key of a file, without its secret.
type Key struct {
	ID      string // as Keyring.KeyID returns it
	Primary bool
}

// List returns the keys of a file in its order. It needs no passphrase.
func List(path string) ([]Key, error) {
	text, _, err := readPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	file, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("keyring: %s: %w", path, err)
	}
	var keys []Key
	for _, id := range file.ids {
		keys = append(keys, Key{hex.EncodeToString(id[:]), id == file.primary})
	}
	return keys, nil
}

// Add puts a new random key into a file and returns its id. The primary key stays.
func Add(path string, passphrase []byte) (id string, err error) {
	err = change(path, passphrase, func(file *contents, sealing *[keySize]byte) error {
		if len(file.ids) == maxKeys {
			return ErrFull
		}
		var key [keySize]byte
		var random keyID
		rand.Read(key[:])
		rand.Read(random[:])
		file.add(random, key, sealing)
		id = hex.EncodeToString(random[:])
		return nil
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// SetPrimary makes a key of the file the one that wraps new seeds.
func SetPrimary(path string, passphrase []byte, id string) error {
	return change(path, passphrase, func(file *contents, _ *[keySize]byte) (err error) {
		file.primary, err = file.find(id)
		return err
	})
}

// Remove takes a key out of a file for good. Whatever it wrapped and nothing else opens is
// lost with it: the caller has made sure that there is nothing.
func Remove(path string, passphrase []byte, id string) error {
	return change(path, passphrase, func(file *contents, _ *[keySize]byte) error {
		gone, err := file.find(id)
		if err != nil {
			return err
		}
		if gone == file.primary {
			return ErrIsPrimary
		}
		file.ids = slices.DeleteFunc(file.ids, func(id keyID) bool { return id == gone })
		delete(file.stored, gone)
		return nil
	})
}

// find returns the id of a key that is there.
func (c *contents) find(text string) (id keyID, err error) {
	raw, err := hex.DecodeString(text)
	// Only the form that List shows: another one would not be found among the ids of wraps.
	if err != nil || len(raw) != idSize || hex.EncodeToString(raw) != text {
		return id, fmt.Errorf("keyring: %q is no key id: want %d lower-case hex digits", text, 2*idSize)
	}
	id = keyID(raw)
	if _, ok := c.stored[id]; !ok {
		return id, fmt.Errorf("keyring: %w: the file has no key %s", encrypt.ErrKeyNotFound, text)
	}
	return id, nil
}

// change replaces a file by what edit makes of it, durably and as a whole. Owner and mode
// stay. The new file is opened and compared before it takes the place of the old one.
func change(path string, passphrase []byte, edit func(file *contents, sealing *[keySize]byte) error) (err error) {
	path, err = filepath.EvalSymlinks(path) // a link stays one
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	next := path + changeSuffix
	lock, err := os.OpenFile(next, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: if none is running, remove %s and try again", ErrChanging, next)
	} else if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(next)
		}
	}()
	// Read only now, when no other change can come in between.
	file, keys, info, err := load(path, passphrase)
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	defer clear(keys)
	var sealing *[keySize]byte
	if file.sealed {
		key := file.cost.key(passphrase, file.salt[:])
		defer clear(key[:])
		sealing = &key
	}
	err = edit(file, sealing)
	if err == nil {
		err = fill(lock, file.text(), info)
	}
	if err = errors.Join(err, lock.Close()); err != nil {
		return err
	}
	if err := opensAs(next, passphrase, file, keys); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	return syncFolder(path)
}

// fill writes the text durably, with the owner and the mode of the old file.
func fill(f *os.File, text []byte, old fs.FileInfo) error {
	_, err := f.Write(text)
	if err == nil {
		err = giveTo(f, old)
	}
	if err == nil {
		err = f.Chmod(old.Mode().Perm())
	}
	if err = errors.Join(err, f.Sync()); err != nil {
		return fmt.Errorf("keyring: write the new file: %w", err)
	}
	return nil
}

// opensAs checks a new file before it counts: it has the keys that it should have, and
// each that was there before is the same. A key that cannot be read must wrap nothing.
func opensAs(path string, passphrase []byte, want *contents, before map[keyID][keySize]byte) error {
	got, keys, _, err := load(path, passphrase)
	if err != nil {
		return err
	}
	defer clear(keys)
	same := got.primary == want.primary && slices.Equal(got.ids, want.ids)
	for id, key := range keys {
		if old, ok := before[id]; ok && !bytes.Equal(old[:], key[:]) {
			same = false
		}
	}
	if !same {
		return fmt.Errorf("keyring: %w: the new file does not read as it was written; nothing was changed", encrypt.ErrCorrupt)
	}
	return nil
}

// syncFolder makes the name of a file durable.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
