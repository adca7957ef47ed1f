//go:build linux

package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/internal/servers"
)

// A key of AWS KMS beside a key file: both are checked, both wrap, and either opens.
func TestKeyOfAWSKMS(t *testing.T) {
	k, err := servers.StartKMS(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Kill)
	arn, err := k.CreateKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	c, err := load(t, `
keyring: {path: main.key}
keys: {default: kms, second: main}
key_providers:
  main: {type: keyring}
  kms:
    type: awskms
    key: `+arn+`
    endpoint: `+k.URL+`
    access_key: AKIATEST
`, []string{"SANCTUM_KEY_PROVIDERS_KMS_SECRET_KEY=canary"})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	keys, err := openKeys(t.Context(), c, true, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	if err := keys.check(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	seed, of := encrypt.NewSeed(), encrypt.Context{Purpose: "bucket", Generation: 1}
	wrapped, err := keys.Wrap(t.Context(), of, seed[:])
	if err != nil {
		t.Fatal(err)
	}
	if id, err := keys.KeyID(wrapped); err != nil || !strings.HasPrefix(id, "kms:"+arn+",main:") {
		t.Errorf("wrapped under %q, %v", id, err)
	}
	k.Kill()
	if got, err := keys.Unwrap(t.Context(), of, wrapped); err != nil || !bytes.Equal(got, seed[:]) {
		t.Errorf("by the key file alone: %v", err)
	}
	if text := log.String(); !strings.Contains(text, "provider=kms") || strings.Contains(text, "canary") {
		t.Errorf("logged: %s", text)
	}
}
