package keyring

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
	"github.com/sanctum-storage/gateway/plainfile"
)

// quick is the least cost that is accepted.
var quick = cost{time: 1, memory: minMemory, threads: 1}

func newKeyring(t *testing.T, passphrase string) (*Keyring, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyring")
	k, err := create(path, []byte(passphrase), quick)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k, path
}

func TestPlain(t *testing.T) {
	keytest.Run(t, func(t *testing.T) encrypt.Provider { k, _ := newKeyring(t, ""); return k })
}

func TestPassphrase(t *testing.T) {
	keytest.Run(t, func(t *testing.T) encrypt.Provider { k, _ := newKeyring(t, "correct horse"); return k })
}

var testContext = encrypt.Context{Deployment: encrypt.Deployment{1}, Purpose: "bucket", ID: [16]byte{2}, Generation: 1}

func TestReopened(t *testing.T) {
	for _, passphrase := range []string{"", "correct horse"} {
		k, path := newKeyring(t, passphrase)
		wrapped, err := k.Wrap(t.Context(), testContext, []byte("a seed as secret"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := Open(path, []byte(passphrase))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again.Unwrap(t.Context(), testContext, wrapped); err != nil || string(got) != "a seed as secret" {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("mode %v, %v", info.Mode(), err)
		}
	}
}

func TestPassphraseErrors(t *testing.T) {
	_, path := newKeyring(t, "correct horse")
	for _, wrong := range []string{"", "battery staple", "correct horse "} {
		if _, err := Open(path, []byte(wrong)); !errors.Is(err, encrypt.ErrWrongKey) || !strings.Contains(err.Error(), "passphrase") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	_, plain := newKeyring(t, "")
	if _, err := Open(plain, []byte("x")); err == nil {
		t.Error("a passphrase for a file that has none is ignored")
	}
}

// The sealed file must not have the key in it.
func TestPassphraseSealsTheKey(t *testing.T) {
	k, path := newKeyring(t, "correct horse")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	key := k.keys[k.primary]
	if bytes.Contains(file.stored[k.primary], key[:]) {
		t.Fatal("the key is in the file")
	}
}

func TestCreateKeepsWhatIsThere(t *testing.T) {
	_, path := newKeyring(t, "")
	before, _ := os.ReadFile(path)
	if _, err := Create(path, nil); !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Fatal("the file was changed")
	}
	if _, err := Create(filepath.Join(path, "no", "folder"), nil); err == nil {
		t.Fatal("made in a folder that is a file")
	}
}

func TestOpenToOthers(t *testing.T) {
	_, path := newKeyring(t, "")
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o601, 0o644, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, nil)
		if !errors.Is(err, plainfile.ErrExposed) || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("%v: %v", mode, err)
		}
	}
	for _, mode := range []fs.FileMode{0o600, 0o400} {
		os.Chmod(path, mode)
		if _, err := Open(path, nil); err != nil {
			t.Errorf("%v: %v", mode, err)
		}
	}
}

func TestNotAFile(t *testing.T) {
	if _, err := Open(t.TempDir(), nil); err == nil {
		t.Error("a folder opens")
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	big := filepath.Join(t.TempDir(), "big")
	os.WriteFile(big, make([]byte, maxFile+1), 0o600)
	if _, err := Open(big, nil); !errors.Is(err, encrypt.ErrCorrupt) {
		t.Errorf("big: %v", err)
	}
}

// Every byte of a file counts: with any of them changed, cut or added it is
// refused, and no error quotes a key.
func TestDamagedFile(t *testing.T) {
	k, path := newKeyring(t, "")
	text, _ := os.ReadFile(path)
	key := k.keys[k.primary]
	try := func(bad []byte) {
		_, err := parse(bad)
		if !errors.Is(err, encrypt.ErrCorrupt) {
			t.Fatalf("%q: %v", bad, err)
		}
		if bytes.Contains([]byte(err.Error()), key[:8]) {
			t.Fatal("the error shows the key")
		}
	}
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 1 << (i % 7)
		try(bad)
		try(text[:i])
	}
	try(append(bytes.Clone(text), '\n'))
	try(append(bytes.Clone(text), text...))
}

// withSum ends a text with its right sum, so that the rest of the parser is reached.
func withSum(body string) []byte {
	return fmt.Appendf(nil, "%ssum %x\n", body, sha256.Sum256([]byte(body)))
}

func resum(lines ...string) []byte { return withSum(strings.Join(lines, "\n") + "\n") }

func TestMalformed(t *testing.T) {
	id, key := strings.Repeat("0a", idSize), strings.Repeat("0b", keySize)
	salt := strings.Repeat("0c", saltSize)
	primary, line := "primary "+id, "key "+id+" "+key
	if _, err := parse(resum(magic, primary, line)); err != nil {
		t.Fatal("the control: ", err)
	}
	for name, text := range map[string][]byte{
		"other version":     resum("sanctum-keyring 2", primary, line),
		"no primary":        resum(magic, line),
		"primary not there": resum(magic, "primary "+strings.Repeat("0f", idSize), line),
		"no keys":           resum(magic, primary),
		"two primaries":     resum(magic, primary, primary, line),
		"key twice":         resum(magic, primary, line, line),
		"short key":         resum(magic, primary, line[:len(line)-2]),
		"long key":          resum(magic, primary, line+"00"),
		"upper case":        resum(magic, primary, strings.ToUpper(line[:4])+line[4:]),
		"upper hex":         resum(magic, primary, "key "+strings.ToUpper(id)+" "+key),
		"not hex":           resum(magic, primary, "key "+id+" "+strings.Repeat("zz", keySize)),
		"two spaces":        resum(magic, primary, "key  "+id+" "+key),
		"trailing word":     resum(magic, primary, line+" x"),
		"late comment":      resum(magic, primary, "# hello", line),
		"blank line":        resum(magic, "", primary, line),
		"carriage returns":  resum(magic+"\r", primary+"\r", line+"\r"),
		"unknown line":      resum(magic, "scrypt 1", primary, line),
		"plain and sealed":  resum(magic, "argon2id 1 8192 1 "+salt, primary, line),
		"cost twice":        resum(magic, "argon2id 1 8192 1 "+salt, "argon2id 1 8192 1 "+salt, primary, line),
		"time 0":            resum(magic, "argon2id 0 8192 1 "+salt, primary, line),
		"time 17":           resum(magic, "argon2id 17 8192 1 "+salt, primary, line),
		"memory low":        resum(magic, "argon2id 1 8191 1 "+salt, primary, line),
		"memory high":       resum(magic, "argon2id 1 1048577 1 "+salt, primary, line),
		"threads 0":         resum(magic, "argon2id 1 8192 0 "+salt, primary, line),
		"threads 256":       resum(magic, "argon2id 1 8192 256 "+salt, primary, line),
		"leading zero":      resum(magic, "argon2id 01 8192 1 "+salt, primary, line),
		"short salt":        resum(magic, "argon2id 1 8192 1 00", primary, line),
		"empty":             {},
	} {
		if _, err := parse(text); !errors.Is(err, encrypt.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	id := strings.Repeat("0a", idSize)
	f.Add(magic + "\nprimary " + id + "\nkey " + id + " " + strings.Repeat("0b", keySize) + "\n")
	f.Fuzz(func(t *testing.T, body string) {
		c, err := parse(withSum(body))
		if err != nil && !errors.Is(err, encrypt.ErrCorrupt) {
			t.Fatal(err)
		}
		if err == nil {
			again, err := parse(c.text())
			if err != nil || len(again.ids) != len(c.ids) || again.primary != c.primary {
				t.Fatalf("what was read cannot be written and read: %v", err)
			}
		}
	})
}

// With several keys, wraps made under each open with it, new ones use the
// primary, and a key taken out is not replaced by another.
func TestSeveralKeys(t *testing.T) {
	for _, passphrase := range []string{"", "correct horse"} {
		file := contents{stored: map[keyID][]byte{}, sealed: passphrase != "", cost: quick}
		var sealing *[keySize]byte
		if file.sealed {
			s := quick.key([]byte(passphrase), file.salt[:])
			sealing = &s
		}
		for i := range 3 {
			file.add(keyID{byte(i + 1)}, [keySize]byte{byte(i + 1)}, sealing)
		}
		open := func(primary byte) *Keyring {
			file.primary = keyID{primary}
			path := filepath.Join(t.TempDir(), "k")
			if err := writeNew(path, file.text()); err != nil {
				t.Fatal(err)
			}
			k, err := Open(path, []byte(passphrase))
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		old, now := open(1), open(2)
		a, _ := old.Wrap(t.Context(), testContext, []byte("a seed as secret"))
		b, _ := now.Wrap(t.Context(), testContext, []byte("b seed as secret"))
		if a[1] != 1 || b[1] != 2 {
			t.Fatalf("key ids %d and %d", a[1], b[1])
		}
		if got, err := now.Unwrap(t.Context(), testContext, a); err != nil || string(got) != "a seed as secret" {
			t.Fatal(err)
		}
		swapped := bytes.Clone(a)
		swapped[1] = 2
		if _, err := now.Unwrap(t.Context(), testContext, swapped); !errors.Is(err, encrypt.ErrWrongKey) {
			t.Fatalf("another key id: %v", err)
		}
		delete(now.keys, keyID{1})
		if _, err := now.Unwrap(t.Context(), testContext, a); !errors.Is(err, encrypt.ErrKeyNotFound) {
			t.Fatalf("a key that is gone: %v", err)
		}
	}
}

// Two sealed keys of one file cannot stand in for one another.
func TestSealedKeysAreBoundToTheirIDs(t *testing.T) {
	file := contents{stored: map[keyID][]byte{}, sealed: true, cost: quick, primary: keyID{1}}
	sealing := quick.key([]byte("p"), file.salt[:])
	file.add(keyID{1}, [keySize]byte{1}, &sealing)
	file.add(keyID{2}, [keySize]byte{2}, &sealing)
	a, b := file.stored[keyID{1}], file.stored[keyID{2}]
	file.stored[keyID{1}], file.stored[keyID{2}] = b, a
	if _, err := file.open([]byte("p")); !errors.Is(err, encrypt.ErrWrongKey) {
		t.Fatal(err)
	}
}
