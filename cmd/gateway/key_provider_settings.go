package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/encrypt"
)

// keyProviderType is a type of key providers. Its settings, its check and its opening are
// in one file, key_provider_TYPE.go.
type keyProviderType struct {
	name string // value of key_providers.NAME.type
	doc  string // words for the help of that setting
	// settings lists the settings of the type, with their places in k. Types may share a
	// setting: each lists it, with the same place and default.
	settings func(k *KeyProviderSettings) []setting
	// check refuses settings that are missing or contradict each other. Its errors begin
	// with the setting's name.
	check func(k *KeyProviderSettings) error
	// open opens a provider, and asks no service: keySet.check does. Its errors begin with
	// the setting's name where one is wrong.
	open func(ctx context.Context, k *KeyProviderSettings, o keyOpening) (encrypt.Provider, error)
}

// keyOpening is the part of openKeys that providers need.
type keyOpening struct {
	fresh bool // whether the deployment is a new one, for which key files are created
	// login is told of each login and renewal, with the error of one that failed.
	login func(outcome string, err error)
}

// observe counts a request for a credential that is no renewal.
func (o keyOpening) observe(err error) {
	outcome := loginSucceeded
	if err != nil {
		outcome = loginFailed
	}
	o.login(outcome, err)
}

// keyProviderTypes are all types of key providers.
var keyProviderTypes = []*keyProviderType{&keyringType, &awskmsType, &gcpkmsType, &pkcs11Type, &vaultType}

// keyProviderTypeNames are the names of all types.
func keyProviderTypeNames() (names []string) {
	for _, t := range keyProviderTypes {
		names = append(names, t.name)
	}
	return names
}

const (
	keyProvidersSection = "key_providers"
	keysDefaultKey      = "keys.default"
	keysSecondKey       = "keys.second"
	// maxKeyProviders bounds the number of configured key providers.
	maxKeyProviders = 16
)

// KeyProviderSettings are the settings of one key provider.
type KeyProviderSettings struct {
	Name string
	Type string

	// Settings of several types.
	Key      string
	Endpoint string
	CAFile   string

	Keyring keyringSettings
	AWSKMS  awskmsSettings
	GCPKMS  gcpkmsSettings
	PKCS11  pkcs11Settings
	Vault   vaultSettings

	// bare says that this key file is that of keyring.path, or the only one: it opens
	// seeds that were wrapped while no key_providers were configured.
	bare bool
}

// rows lists the settings of a key provider, as table lists the others.
func (k *KeyProviderSettings) rows() []setting {
	names, docs := keyProviderTypeNames(), []string(nil)
	for _, t := range keyProviderTypes {
		docs = append(docs, fmt.Sprintf("%s (%s)", t.name, t.doc))
	}
	all := []setting{{key: "type", value: &choice{&k.Type, names}, doc: "kind of key provider: " + strings.Join(docs, ", ")}}
	for _, t := range keyProviderTypes {
		for _, s := range t.settings(k) {
			s.doc = t.name + ": " + s.doc
			if i := slices.IndexFunc(all, func(other setting) bool { return other.key == s.key }); i >= 0 {
				all[i].doc += "; " + s.doc
				continue
			}
			all = append(all, s)
		}
	}
	return ofNamed(keyProvidersSection, k.Name, all)
}

// addKeyProvider adds a key provider under a new name, for namedRows.
func (c *configuration) addKeyProvider(name string) ([]setting, error) {
	if len(c.KeyProviders) == maxKeyProviders {
		return nil, fmt.Errorf("more than %d key providers", maxKeyProviders)
	}
	k := &KeyProviderSettings{Name: name}
	c.KeyProviders = append(c.KeyProviders, k)
	slices.SortFunc(c.KeyProviders, func(a, b *KeyProviderSettings) int { return strings.Compare(a.Name, b.Name) })
	return k.rows(), nil
}

// settleKeyProviders completes and checks the settings of the key providers.
func (c *configuration) settleKeyProviders() error {
	if len(c.KeyProviders) == 0 {
		if c.KeysDefault != "" || c.KeysSecond != "" {
			return fmt.Errorf("%s and %s name key providers, and no %s are configured", keysDefaultKey, keysSecondKey, keyProvidersSection)
		}
		return nil
	}
	var names []string
	for _, k := range c.KeyProviders {
		if err := k.check(); err != nil {
			return fmt.Errorf("%s.%s.%w", keyProvidersSection, k.Name, err)
		}
		names = append(names, k.Name)
	}
	if c.KeysDefault == "" && len(names) == 1 {
		c.KeysDefault = names[0]
	}
	switch list := strings.Join(names, ", "); {
	case c.KeysDefault == "":
		return fmt.Errorf("%s must name one of the key providers: %s", keysDefaultKey, list)
	case !slices.Contains(names, c.KeysDefault):
		return fmt.Errorf("%s: no key provider is named %q; the key providers are %s", keysDefaultKey, c.KeysDefault, list)
	case c.KeysSecond != "" && !slices.Contains(names, c.KeysSecond):
		return fmt.Errorf("%s: no key provider is named %q; the key providers are %s", keysSecondKey, c.KeysSecond, list)
	case c.KeysSecond == c.KeysDefault:
		return fmt.Errorf("%s names the default, %q: name another one, or leave it empty", keysSecondKey, c.KeysDefault)
	}
	return c.settleKeyFiles()
}

// settleKeyFiles gives one key provider the key file of keyring.path, and finds the one
// that opens seeds of the time without key_providers.
func (c *configuration) settleKeyFiles() error {
	var files []*KeyProviderSettings
	var bare *KeyProviderSettings
	for _, k := range c.KeyProviders {
		if k.Type != keyringType.name {
			continue
		}
		files = append(files, k)
		if k.Keyring.Path != "" {
			continue
		}
		if bare != nil {
			return fmt.Errorf("%s.%s.path: %s has the key file of keyring.path already; name another file", keyProvidersSection, k.Name, bare.Name)
		}
		bare, k.Keyring = k, keyringSettings{c.KeyringPath, c.KeyringPassphrase}
	}
	if bare == nil && len(files) == 1 {
		bare = files[0]
	}
	if bare != nil {
		bare.bare = true
	}
	return nil
}

// typed returns the provider's type; nil: none is set.
func (k *KeyProviderSettings) typed() *keyProviderType {
	for _, t := range keyProviderTypes {
		if t.name == k.Type {
			return t
		}
	}
	return nil
}

// check refuses settings that do not apply to the provider's type or contradict each
// other. Errors begin with the setting's name.
func (k *KeyProviderSettings) check() error {
	own := k.typed()
	if own == nil {
		return fmt.Errorf("type is missing: want one of %s", strings.Join(keyProviderTypeNames(), ", "))
	}
	has := map[string]bool{}
	for _, s := range own.settings(k) {
		has[s.key] = true
	}
	for _, t := range keyProviderTypes {
		for _, s := range t.settings(k) {
			if !has[s.key] && s.value.String() != s.def {
				return fmt.Errorf("%s does not belong to type %s", s.key, k.Type)
			}
		}
	}
	return own.check(k)
}

// keyFiles are the key files of this configuration.
func (c *configuration) keyFiles() []*KeyProviderSettings {
	if len(c.KeyProviders) == 0 {
		return []*KeyProviderSettings{{Type: keyringType.name, Keyring: keyringSettings{c.KeyringPath, c.KeyringPassphrase}}}
	}
	var files []*KeyProviderSettings
	for _, k := range c.KeyProviders {
		if k.Type == keyringType.name {
			files = append(files, k)
		}
	}
	return files
}
