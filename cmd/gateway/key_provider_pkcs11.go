package main

import (
	"errors"
)

// pkcs11Type is the type of keys in a hardware security module.
var pkcs11Type = keyProviderType{
	name: "pkcs11", doc: "a hardware security module, in builds with the tag pkcs11",
	settings: func(k *KeyProviderSettings) []setting {
		h := &k.PKCS11
		return []setting{
			{key: "module", value: (*text)(&h.Module), doc: "absolute path of the vendor's PKCS#11 library"},
			{key: "token_label", value: (*text)(&h.TokenLabel), doc: "label of the token"},
			{key: "key", value: (*text)(&k.Key), doc: "label of the AES keys, of which the one with the highest id wraps new seeds"},
			{key: "pin_path", value: (*text)(&h.PINPath), doc: "file with the user's PIN, read again at each login"},
		}
	},
	check: func(k *KeyProviderSettings) error {
		switch h := &k.PKCS11; {
		case h.Module == "":
			return errors.New("module must be the path of a PKCS#11 library")
		case h.TokenLabel == "":
			return errors.New("token_label must name a token")
		case k.Key == "":
			return errors.New("key must be the label of AES keys")
		case h.PINPath == "":
			return errors.New("pin_path must name the file with the PIN")
		}
		return nil
	},
	open: openPKCS11,
}

// pkcs11Settings are the settings that PKCS#11 alone has.
type pkcs11Settings struct {
	Module     string
	TokenLabel string
	PINPath    string
}
