package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Types of key providers.
const (
	typeKeyring = "keyring"
	typeGCPKMS  = "gcpkms"
)

// keyProviderTypes are all of them.
var keyProviderTypes = []string{typeKeyring, typeGCPKMS}

const (
	keyProvidersSection = "key_providers"
	keysDefaultKey      = "keys.default"
	keysSecondKey       = "keys.second"
	// maxKeyProviders bounds the number of configured key providers.
	maxKeyProviders = 16
)

// KeyProviderSettings are the settings of one key provider. A comment in the list names
// the types that the settings below it apply to.
type KeyProviderSettings struct {
	Name string
	Type string

	Path       string // keyring
	Passphrase string

	Key             string // gcpkms
	Endpoint        string
	CredentialsFile string
	CAFile          string

	// bare says that this key file is that of keyring.path, or the only one: it opens
	// seeds that were wrapped while no key_providers were configured.
	bare bool
}

// rows lists the settings of a key provider, as table lists the others.
func (k *KeyProviderSettings) rows() []setting {
	return ofNamed(keyProvidersSection, k.Name, []setting{
		{key: "type", value: &choice{&k.Type, keyProviderTypes},
			doc: "kind of key provider: keyring (a key file) or gcpkms (Google Cloud KMS)"},
		{key: "path", value: (*text)(&k.Path),
			doc: "keyring: the key file; empty, for one of them: that of keyring.path, with keyring.passphrase"},
		{key: "passphrase", value: (*text)(&k.Passphrase), secret: true,
			doc: "keyring: passphrase that the key file is locked with; empty: none"},
		{key: "key", value: (*text)(&k.Key),
			doc: "gcpkms: resource name of the key, projects/P/locations/L/keyRings/R/cryptoKeys/K, whose primary version wraps new seeds; or of one version"},
		{key: "endpoint", value: (*text)(&k.Endpoint),
			doc: "gcpkms: URL of the service; empty: Google's"},
		{key: "credentials_file", value: (*text)(&k.CredentialsFile),
			doc: "gcpkms: service account, workload identity federation or other credentials in JSON; empty: application default credentials"},
		{key: "ca_file", value: (*text)(&k.CAFile),
			doc: "gcpkms: PEM file of certificates to trust in addition to the system's"},
	})
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
		if k.Type != typeKeyring {
			continue
		}
		files = append(files, k)
		if k.Path != "" {
			continue
		}
		if bare != nil {
			return fmt.Errorf("%s.%s.path: %s has the key file of keyring.path already; name another file", keyProvidersSection, k.Name, bare.Name)
		}
		bare, k.Path, k.Passphrase = k, c.KeyringPath, c.KeyringPassphrase
	}
	if bare == nil && len(files) == 1 {
		bare = files[0]
	}
	if bare != nil {
		bare.bare = true
	}
	return nil
}

// check refuses settings that do not apply to the provider's type or contradict each
// other. Errors begin with the setting's name.
func (k *KeyProviderSettings) check() error {
	service := map[string]string{"key": k.Key, "endpoint": k.Endpoint, "credentials_file": k.CredentialsFile, "ca_file": k.CAFile}
	switch k.Type {
	case "":
		return errors.New("type is missing: want " + strings.Join(keyProviderTypes, " or "))
	case typeKeyring:
		if k.Path == "" && k.Passphrase != "" {
			return errors.New("passphrase needs path; without a path, keyring.passphrase applies")
		}
		return foreign(k.Type, service)
	}
	if k.Key == "" {
		return errors.New("key must name the key of Google Cloud KMS")
	}
	return foreign(k.Type, map[string]string{"path": k.Path, "passphrase": k.Passphrase})
}

// keyFiles are the key files of this configuration.
func (c *configuration) keyFiles() []*KeyProviderSettings {
	if len(c.KeyProviders) == 0 {
		return []*KeyProviderSettings{{Type: typeKeyring, Path: c.KeyringPath, Passphrase: c.KeyringPassphrase}}
	}
	var files []*KeyProviderSettings
	for _, k := range c.KeyProviders {
		if k.Type == typeKeyring {
			files = append(files, k)
		}
	}
	return files
}
