package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/sanctum-storage/gateway/backends"
	fsbackend "github.com/sanctum-storage/gateway/backends/fs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// minFree is what blobs leave of the file system, in bytes, so that the store
// beside them can still record deletions.
const minFree = 64 << 20

// deployment is an engine with the adapters below it.
type deployment struct {
	engine  *engine.Engine
	keys    encrypt.Provider
	backend backends.Backend
	store   meta.Store
}

// openDeployment opens the data folder for serving, and begins a deployment in
// one that is new. The backend comes first: its lock keeps a second process out
// before that has looked at anything else.
func openDeployment(ctx context.Context, c *configuration, log *slog.Logger) (_ *deployment, err error) {
	fresh, err := inspectFolder(c)
	if err != nil {
		return nil, err
	}
	d := &deployment{}
	defer func() {
		if err != nil {
			err = errors.Join(explain(c, err), d.close())
		}
	}()
	if !fresh {
		if err := proveKey(ctx, c); err != nil {
			return nil, err
		}
	}
	backend, err := fsbackend.Open(filepath.Join(c.Data, blobsName), fsbackend.Options{MinFree: minFree})
	if err != nil {
		return nil, err
	}
	d.backend = backend
	if err := d.openKeys(c, fresh); err != nil {
		return nil, err
	}
	store, err := sqlite.Open(filepath.Join(c.Data, storeName), sqlite.Options{
		Report: func(err error) { log.Warn("store upkeep failed", "error", err) },
	})
	if err != nil {
		return nil, err
	}
	d.store = store
	d.engine, err = engine.Open(ctx, engine.Config{
		Store: d.store, Backend: d.backend, Keys: d.keys, Log: log, Sole: true,
		Grace: c.CollectorGrace, UploadExpiry: c.CollectorUploadExpiry,
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// proveKey refuses a key file that does not open the store, by reading alone:
// opening for serving clears leftovers and migrates. A first start that was cut
// short, and a store that needs a migration to be read, prove nothing yet.
func proveKey(ctx context.Context, c *configuration) error {
	keys, err := keyring.Open(c.KeyringPath, []byte(c.KeyringPassphrase))
	if err != nil {
		return err
	}
	defer keys.Close()
	path := filepath.Join(c.Data, storeName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	store, err := sqlite.OpenReadOnly(path)
	if errors.Is(err, sqlstore.ErrOlderSchema) {
		return nil
	} else if err != nil {
		return err
	}
	defer store.Close()
	_, err = engine.Open(ctx, engine.Config{Store: store, Keys: keys, ReadOnly: true})
	if errors.Is(err, meta.ErrNotFound) {
		return nil
	}
	return err
}

// openForReading opens the data folder of a stopped or running gateway without
// a lock and without changing anything.
func openForReading(ctx context.Context, c *configuration, log *slog.Logger) (_ *deployment, err error) {
	if err := requireFolder(c); err != nil {
		return nil, err
	}
	d := &deployment{}
	defer func() {
		if err != nil {
			err = errors.Join(explain(c, err), d.close())
		}
	}()
	if err := d.openKeys(c, false); err != nil {
		return nil, err
	}
	store, err := sqlite.OpenReadOnly(filepath.Join(c.Data, storeName))
	if err != nil {
		return nil, err
	}
	d.store = store
	backend, err := fsbackend.OpenReadOnly(filepath.Join(c.Data, blobsName))
	if err != nil {
		return nil, err
	}
	d.backend = backend
	d.engine, err = engine.Open(ctx, engine.Config{Store: d.store, Backend: d.backend, Keys: d.keys, Log: log, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// openKeys opens the key file. It makes one only where there is none and nothing
// that an earlier one has sealed.
func (d *deployment) openKeys(c *configuration, fresh bool) error {
	passphrase := []byte(c.KeyringPassphrase)
	k, err := keyring.Open(c.KeyringPath, passphrase)
	if fresh && errors.Is(err, fs.ErrNotExist) {
		k, err = keyring.Create(c.KeyringPath, passphrase)
	}
	if err != nil {
		return err
	}
	d.keys = k
	return nil
}

// close closes what is open, the engine first, in the order of dependence.
func (d *deployment) close() error {
	var errs []error
	if d.engine != nil {
		errs = append(errs, d.engine.Close())
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if d.backend != nil {
		errs = append(errs, d.backend.Close())
	}
	if d.keys != nil {
		errs = append(errs, d.keys.Close())
	}
	return errors.Join(errs...)
}

// checks are what /readyz asks.
func (d *deployment) checks() []check {
	return []check{
		{"store", d.store.Check},
		{"backend", d.backend.Check},
	}
}

// explain says what to do about the failures that an operator can mend.
func explain(c *configuration, err error) error {
	switch {
	case errors.Is(err, fsbackend.ErrInUse), errors.Is(err, sqlite.ErrInUse):
		return fmt.Errorf("data folder %s is served by another gateway: stop that one, or choose another folder with --data (%w)", c.Data, err)
	case errors.Is(err, sqlstore.ErrNewerSchema):
		return fmt.Errorf("store %s was written by a newer release: start that release, or restore a backup made before the upgrade (%w)", filepath.Join(c.Data, storeName), err)
	case errors.Is(err, sqlstore.ErrOlderSchema):
		return fmt.Errorf("store %s was written by an older release: start `gateway serve` of this release once to bring it up to date (%w)", filepath.Join(c.Data, storeName), err)
	case errors.Is(err, encrypt.ErrWrongKey) && c.KeyringPassphrase == "":
		return fmt.Errorf("key file %s does not open the store in %s: bring back the key file that belongs to it, and set keyring.passphrase if it has one (%w)", c.KeyringPath, c.Data, err)
	case errors.Is(err, encrypt.ErrWrongKey):
		return fmt.Errorf("key file %s with this passphrase does not open the store in %s: check the passphrase, or bring back the key file that belongs to it (%w)", c.KeyringPath, c.Data, err)
	case errors.Is(err, keyring.ErrExposed):
		return err
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("data folder %s cannot be used: %w; start as its owner, or choose another with --data", c.Data, err)
	}
	return fmt.Errorf("data folder %s: %w", c.Data, err)
}
