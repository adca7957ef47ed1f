package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	keyproviders "github.com/sanctum-storage/gateway/encrypt/providers"
)

const (
	// keyCheckTimeout bounds the check of each key provider at the start.
	keyCheckTimeout = 15 * time.Second
	// failedInterval is the pause between two log lines about one key provider that a
	// second one stands in for. Each cold bucket would make one.
	failedInterval = time.Minute
)

// keyProviderError is about one provider of the list. Its text names the setting.
type keyProviderError struct {
	name string
	err  error
}

func (e *keyProviderError) Error() string {
	return fmt.Sprintf("%s.%s: %v", keyProvidersSection, e.name, e.err)
}

func (e *keyProviderError) Unwrap() error { return e.err }

// keySet is the open key providers: a key file alone, or the set of a list.
type keySet struct {
	encrypt.Provider
	list   *keyproviders.Set // nil: a key file alone
	logins *keyLogins
	calls  *keyCalls
}

// openKeys opens the key providers. It creates key files only for a fresh deployment: a
// new key beside existing data could open none of it. All errors of a list are collected.
func openKeys(ctx context.Context, c *configuration, fresh bool, log *slog.Logger) (*keySet, error) {
	logins, calls := newKeyLogins(log), newKeyCalls()
	if !c.KeysDebuggable {
		if err := guardMemory(); err != nil {
			return nil, err
		}
	}
	if len(c.KeyProviders) == 0 {
		k, err := openKeyFile(keyringSettings{c.KeyringPath, c.KeyringPassphrase}, fresh)
		if err != nil {
			return nil, err
		}
		return &keySet{Provider: calls.of(k.Name(), k), logins: logins, calls: calls}, nil
	}
	o := keyproviders.Options{Providers: map[string]encrypt.Provider{}, Default: c.KeysDefault, Second: c.KeysSecond, Failed: standIns(log)}
	var errs []error
	for _, k := range c.KeyProviders {
		if k.Type != keyringType.name {
			logins.expect(k.Name)
		}
		p, err := k.typed().open(ctx, k, keyOpening{fresh, func(outcome string, err error) { logins.count(k.Name, outcome, err) }})
		if err != nil {
			errs = append(errs, &keyProviderError{k.Name, err})
			continue
		}
		o.Providers[k.Name] = calls.of(k.Name, p)
		if k.bare {
			o.Bare = k.Name
		}
	}
	set := (*keyproviders.Set)(nil)
	if len(errs) == 0 {
		var err error
		set, err = keyproviders.New(o)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		for _, p := range o.Providers {
			_ = p.Close() // the error to report is the first one
		}
		return nil, err
	}
	return &keySet{set, set, logins, calls}, nil
}

// openKeyFile opens a key file, and creates it for a fresh deployment.
func openKeyFile(file keyringSettings, fresh bool) (encrypt.Provider, error) {
	k, err := keyring.Open(file.Path, []byte(file.Passphrase))
	if fresh && errors.Is(err, fs.ErrNotExist) {
		// Only here is a key file created without a command of the operator.
		return createKeyFile(file)
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

// createKeyFile creates a key file, and its folder if that is missing. An
// existing file is fs.ErrExist and not changed.
func createKeyFile(file keyringSettings) (encrypt.Provider, error) {
	if err := os.MkdirAll(filepath.Dir(file.Path), folderMode); err != nil {
		return nil, err
	}
	k, err := keyring.Create(file.Path, []byte(file.Passphrase))
	if err != nil {
		return nil, err
	}
	return k, nil
}

// createKeys creates a key file. It does not replace one.
func createKeys(c *configuration) error {
	k, err := createKeyFile(keyringSettings{c.KeyringPath, c.KeyringPassphrase})
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("key file %s exists already and was not changed", c.KeyringPath)
	} else if err != nil {
		return err
	}
	return k.Close()
}

// listKeys lists the keys of a key file.
func listKeys(k *KeyProviderSettings) ([]keyring.Key, error) { return keyring.List(k.Keyring.Path) }

// addKey adds a key to a key file.
func addKey(k *KeyProviderSettings) (id string, err error) {
	return keyring.Add(k.Keyring.Path, []byte(k.Keyring.Passphrase))
}

// setPrimaryKey makes another key of a key file the primary one.
func setPrimaryKey(k *KeyProviderSettings, id string) error {
	return keyring.SetPrimary(k.Keyring.Path, []byte(k.Keyring.Passphrase), id)
}

// removeKey removes a key from a key file.
func removeKey(k *KeyProviderSettings, id string) error {
	return keyring.Remove(k.Keyring.Path, []byte(k.Keyring.Passphrase), id)
}

// keyIDIs reports whether a key of a key file wrapped a seed.
func keyIDIs(wrapped []byte, key string) bool {
	id, err := keyring.KeyID(wrapped)
	return err == nil && id == key
}

// standIns logs that a second provider opened what the first one did not.
func standIns(log *slog.Logger) func(string, error) {
	var mu sync.Mutex
	last := map[string]time.Time{}
	return func(provider string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.Sub(last[provider]) >= failedInterval {
			last[provider] = now
			log.Warn("a key provider does not open a seed; the other one does", "provider", provider, "error", err)
		}
	}
}

// checks asks every provider of a list whether it works, all at once, and returns their
// errors by name. A key file alone is checked by the deployment that it must open.
func (k *keySet) checks(ctx context.Context) map[string]error {
	var mu sync.Mutex
	errs := map[string]error{}
	var asking sync.WaitGroup
	for name, p := range k.list.Providers {
		asking.Go(func() {
			within, cancel := context.WithTimeout(ctx, keyCheckTimeout)
			defer cancel()
			err := p.Check(within)
			// The provider's own error would tell only that a context ended.
			if err != nil && within.Err() != nil && ctx.Err() == nil {
				err = fmt.Errorf("%w: no answer in %v", encrypt.ErrUnavailable, keyCheckTimeout)
			}
			mu.Lock()
			defer mu.Unlock()
			errs[name] = err
		})
	}
	asking.Wait()
	return errs
}

// check refuses to start with a provider that does not work. One that is only away is no
// reason, as long as another one wraps too: then everything opens, and buckets cannot be
// created until it is back.
func (k *keySet) check(ctx context.Context, c *configuration, log *slog.Logger) error {
	if k.list == nil {
		return nil
	}
	found := k.checks(ctx)
	works := found[c.KeysDefault] == nil || c.KeysSecond != "" && found[c.KeysSecond] == nil
	var errs []error
	for _, p := range c.KeyProviders {
		err := found[p.Name]
		switch {
		case err == nil:
		case works && errors.Is(err, encrypt.ErrUnavailable) && !errors.Is(err, encrypt.ErrDenied):
			log.Warn("a key provider cannot be reached", "setting", keyProvidersSection+"."+p.Name, "error", err)
		default:
			errs = append(errs, &keyProviderError{p.Name, err})
		}
	}
	return errors.Join(errs...)
}

// prove refuses a provider that works and does not open what it wrapped of the system's
// seed: it has another key under its name.
func (k *keySet) prove(ctx context.Context, c encrypt.Context, wrapped []byte) error {
	if k.list == nil {
		return nil
	}
	opened, err := k.list.OpenEach(ctx, c, wrapped)
	errs := []error{err}
	for name, err := range opened {
		if err != nil && !errors.Is(err, encrypt.ErrUnavailable) {
			errs = append(errs, &keyProviderError{name, fmt.Errorf("it does not open what it wrapped for this deployment: %w", err)})
		}
	}
	return errors.Join(errs...)
}
