package keyring

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
)

// wrapBy wraps with an open keyring, and checks the key that it used.
func wrapBy(t *testing.T, k *Keyring, id string) []byte {
	t.Helper()
	wrapped, err := k.Wrap(t.Context(), testContext, []byte("a seed as secret"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.KeyID(wrapped); err != nil || got != id {
		t.Fatalf("wrapped under %s, %v, want %s", got, err, id)
	}
	return wrapped
}

func opensBy(t *testing.T, k *Keyring, wrapped []byte) {
	t.Helper()
	if got, err := k.Unwrap(t.Context(), testContext, wrapped); err != nil || string(got) != "a seed as secret" {
		t.Fatalf("%q, %v", got, err)
	}
}

// A key is added, made primary and removed while a gateway has the file open, and the
// gateway follows without a restart.
func TestChanges(t *testing.T) {
	for _, passphrase := range []string{"", "correct horse"} {
		secret := []byte(passphrase)
		k, path := newKeyring(t, passphrase)
		keys, err := List(path)
		if err != nil || len(keys) != 1 || !keys[0].Primary {
			t.Fatalf("%v, %v", keys, err)
		}
		first := keys[0].ID
		old := wrapBy(t, k, first)
		second, err := Add(path, secret)
		if err != nil {
			t.Fatal(err)
		}
		wrapBy(t, k, first)
		if err := Remove(path, secret, first); !errors.Is(err, ErrIsPrimary) {
			t.Errorf("the primary key: %v", err)
		}
		if err := SetPrimary(path, secret, second); err != nil {
			t.Fatal(err)
		}
		now := wrapBy(t, k, second)
		opensBy(t, k, old)
		if err := Remove(path, secret, first); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Unwrap(t.Context(), testContext, old); !errors.Is(err, encrypt.ErrKeyNotFound) {
			t.Errorf("a removed key: %v", err)
		}
		opensBy(t, k, now)
		again, err := Open(path, secret)
		if err != nil {
			t.Fatal(err)
		}
		opensBy(t, again, now)
		if keys, err := List(path); err != nil || len(keys) != 1 || keys[0] != (Key{second, true}) {
			t.Errorf("%v, %v", keys, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
}

// Whatever cannot be done changes nothing, and leaves no file behind.
func TestRefusedChanges(t *testing.T) {
	_, path := newKeyring(t, "correct horse")
	unknown := strings.Repeat("0a", idSize)
	second, err := Add(path, []byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	right := []byte("correct horse")
	for what, err := range map[string]error{
		"a wrong passphrase": func() error { _, err := Add(path, []byte("battery")); return err }(),
		"no passphrase":      func() error { _, err := Add(path, nil); return err }(),
		"an unknown key":     SetPrimary(path, right, unknown),
		"no id":              SetPrimary(path, right, "zz"),
		"a short id":         Remove(path, right, unknown[2:]),
		"another form of it": Remove(path, right, "0X"+strings.ToUpper(second)),
		"upper case":         Remove(path, right, strings.ToUpper(second)),
		"unknown to remove":  Remove(path, right, unknown),
		"no file":            SetPrimary(path+"x", right, unknown),
	} {
		if err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
	if err := os.WriteFile(path+changeSuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Add(path, right); !errors.Is(err, ErrChanging) || !strings.Contains(err.Error(), path+changeSuffix) {
		t.Errorf("beside another change: %v", err)
	}
	os.Remove(path + changeSuffix)
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
	if files, _ := filepath.Glob(path + "*"); len(files) != 1 {
		t.Errorf("files %v", files)
	}
}

func TestFullFile(t *testing.T) {
	_, path := newKeyring(t, "")
	for range maxKeys - 1 {
		if _, err := Add(path, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Add(path, nil); !errors.Is(err, ErrFull) {
		t.Errorf("%v", err)
	}
}

// A link to the file, and its mode, stay what they were.
func TestChangeThroughALink(t *testing.T) {
	_, path := newKeyring(t, "")
	link := filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Symlink(path, link), os.Chmod(path, 0o400)); err != nil {
		t.Fatal(err)
	}
	if _, err := Add(link, nil); err != nil {
		t.Fatal(err)
	}
	to, err := os.Readlink(link)
	info, _ := os.Stat(path)
	if err != nil || to != path || info.Mode().Perm() != 0o400 {
		t.Errorf("%s, %v, %v", to, info.Mode(), err)
	}
}

// A gateway whose file is gone, damaged or another one wraps nothing with the keys in its
// memory, which may be lost for ever, and still opens what it could open.
func TestFileIsGone(t *testing.T) {
	_, other := newKeyring(t, "")
	foreign, _ := os.ReadFile(other)
	for what, spoil := range map[string]func(path string) error{
		"gone":    os.Remove,
		"damaged": func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) },
		"another": func(path string) error { return os.WriteFile(path, foreign, 0o600) },
		"exposed": func(path string) error { os.Remove(path); return os.WriteFile(path, foreign, 0o644) },
	} {
		k, path := newKeyring(t, "")
		wrapped, err := k.Wrap(t.Context(), testContext, []byte("a seed as secret"))
		if err != nil {
			t.Fatal(err)
		}
		right, _ := os.ReadFile(path)
		if err := spoil(path); err != nil {
			t.Fatal(err)
		}
		if got, err := k.Wrap(t.Context(), testContext, []byte("a seed as secret")); got != nil || !errors.Is(err, encrypt.ErrUnavailable) {
			t.Errorf("%s: wrapped %d bytes, %v", what, len(got), err)
		}
		opensBy(t, k, wrapped)
		os.Remove(path)
		if err := os.WriteFile(path, right, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Wrap(t.Context(), testContext, []byte("a seed as secret")); err != nil {
			t.Errorf("%s, and back: %v", what, err)
		}
	}
}
