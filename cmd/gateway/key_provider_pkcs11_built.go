//go:build pkcs11

package main

import (
	"context"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/pkcs11"
)

// openPKCS11 loads the library. It does not log in to the token.
func openPKCS11(_ context.Context, k *KeyProviderSettings, o keyOpening) (encrypt.Provider, error) {
	p, err := pkcs11.Open(pkcs11.Options{
		Module: k.PKCS11.Module, Token: k.PKCS11.TokenLabel, Key: k.Key, PINFile: k.PKCS11.PINPath, Observe: o.observe,
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}
