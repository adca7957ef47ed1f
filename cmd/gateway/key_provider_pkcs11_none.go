//go:build !pkcs11

package main

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/encrypt"
)

// openPKCS11 refuses the type: it needs cgo, which other builds do without.
func openPKCS11(context.Context, *KeyProviderSettings, keyOpening) (encrypt.Provider, error) {
	return nil, errors.New("type: this gateway was built without pkcs11: build it with CGO_ENABLED=1 and -tags pkcs11")
}
