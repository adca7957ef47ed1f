package main

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/encrypt"
)

// keyringType is the type of key files.
var keyringType = keyProviderType{
	name: "keyring", doc: "a key file",
	settings: func(k *KeyProviderSettings) []setting { return k.Keyring.rows() },
	check:    func(k *KeyProviderSettings) error { return k.Keyring.check() },
	open: func(_ context.Context, k *KeyProviderSettings, o keyOpening) (encrypt.Provider, error) {
		return openKeyFile(k.Keyring, o.fresh)
	},
}

// keyringSettings are the settings of a key file.
type keyringSettings struct {
	Path       string
	Passphrase string
}

func (k *keyringSettings) rows() []setting {
	return []setting{
		{key: "path", value: (*text)(&k.Path),
			doc: "the key file; empty, for one of them: that of keyring.path, with keyring.passphrase"},
		{key: "passphrase", value: (*text)(&k.Passphrase), secret: true,
			doc: "passphrase that the key file is locked with; empty: none"},
	}
}

func (k *keyringSettings) check() error {
	if k.Path == "" && k.Passphrase != "" {
		return errors.New("passphrase needs path; without a path, keyring.passphrase applies")
	}
	return nil
}
