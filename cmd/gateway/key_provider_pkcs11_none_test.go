//go:build !pkcs11

package main

import (
	"log/slog"
	"strings"
	"testing"
)

// A build without PKCS#11 says so.
func TestBuiltWithoutPKCS11(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := load(t, "key_providers: {hsm: {type: pkcs11, module: /m.so, token_label: t, key: k, pin_path: /pin}}\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = "key_providers.hsm: type: this gateway was built without pkcs11"
	if _, err := openKeys(t.Context(), c, true, slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v; want %s", err, want)
	}
}
