//go:build pkcs11

package main

import (
	"bytes"
	"crypto/rand"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
)

// A token of SoftHSM, made by its own tool, wraps and opens.
func TestKeyOfPKCS11(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	key := make([]byte, 32)
	rand.Read(key)
	for name, text := range map[string]string{
		"softhsm2.conf": "directories.tokendir = " + dir + "/tokens\nlog.level = ERROR\n", "pin": "1234\n", "key": string(key),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("tokens", 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", filepath.Join(dir, "softhsm2.conf"))
	for _, args := range [][]string{
		{"--init-token", "--free", "--label", "gateway", "--pin", "1234", "--so-pin", "12345"},
		{"--import", "key", "--aes", "--token", "gateway", "--label", "seeds", "--id", "01", "--pin", "1234"},
	} {
		if out, err := exec.CommandContext(t.Context(), "softhsm2-util", args...).CombinedOutput(); err != nil {
			t.Fatalf("softhsm2-util %s: %v\n%s", args[0], err, out)
		}
	}
	c, err := load(t, `
key_providers:
  hsm: {type: pkcs11, module: /usr/lib/softhsm/libsofthsm2.so, token_label: gateway, key: seeds, pin_path: `+dir+`/pin}
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	keys, err := openKeys(t.Context(), c, true, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	if err := keys.check(t.Context(), c, log); err != nil {
		t.Fatal(err)
	}
	seed, of := encrypt.NewSeed(), encrypt.Context{Purpose: "bucket", Generation: 1}
	wrapped, err := keys.Wrap(t.Context(), of, seed[:])
	if err != nil {
		t.Fatal(err)
	}
	if id, err := keys.KeyID(wrapped); err != nil || id != "hsm:01" {
		t.Errorf("wrapped under %q, %v", id, err)
	}
	if got, err := keys.Unwrap(t.Context(), of, wrapped); err != nil || !bytes.Equal(got, seed[:]) {
		t.Errorf("%v", err)
	}
}
