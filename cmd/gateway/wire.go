package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	fsbackend "github.com/sanctum-storage/gateway/backends/fs"
	"github.com/sanctum-storage/gateway/backends/gcs"
	"github.com/sanctum-storage/gateway/backends/guard"
	"github.com/sanctum-storage/gateway/backends/late"
	"github.com/sanctum-storage/gateway/backends/s3"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/postgres"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
	"github.com/sanctum-storage/gateway/plainfile"
)

// minFree is the number of bytes that blobs leave free on the file system, so
// that the store beside them can still record deletions.
const minFree = 64 << 20

// storeMinFree is the number of bytes that new objects leave free in the
// store's file system, for deletions. It is less than minFree, so that blobs
// are refused first.
const storeMinFree = minFree / 2

// deployment is an engine with the adapters below it. close ends all of them.
type deployment struct {
	engine   *engine.Engine
	keys     *keySet
	backends []blobs.Backend
	guards   map[string]*guard.Guard // of remote backends, by name
	store    meta.Store
}

// openDeployment opens a deployment for serving, or begins one if there is
// none. The backends are opened before a new key and the store: the lock of a
// local one keeps out a second process before that has changed anything.
func openDeployment(ctx context.Context, c *configuration, log *slog.Logger, acceptStore bool) (_ *deployment, err error) {
	fresh, err := inspect(ctx, c)
	if err != nil {
		return nil, err
	}
	d := &deployment{guards: map[string]*guard.Guard{}}
	defer func() {
		if err != nil {
			err = errors.Join(explain(c, err), d.close())
		}
	}()
	if !fresh {
		// Wrong keys are found by reading alone, before anything is opened for writing.
		if err := d.openKeys(ctx, c, false, log); err != nil {
			return nil, err
		}
		if err := proveKeys(ctx, c, d.keys); err != nil {
			return nil, err
		}
	}
	if err := d.openBackends(ctx, c, log, false); err != nil {
		return nil, err
	}
	if fresh {
		if err := d.openKeys(ctx, c, true, log); err != nil {
			return nil, err
		}
	}
	store, err := openStore(ctx, c, log)
	if err != nil {
		return nil, err
	}
	d.store = store
	d.engine, err = engine.Open(ctx, engine.Config{
		Store: d.store, Backends: d.backends, Default: c.PlacementDefault, Keys: d.keys.Provider, Log: log,
		Sole: c.StoreURL == "", Region: c.region(), AcceptStore: acceptStore, MaxBuckets: c.LimitsBuckets,
		TransitionClasses: lifecycle.TransitionClasses, Grace: c.CollectorGrace, UploadExpiry: c.CollectorUploadExpiry,
		KeysCache: c.KeysCache,
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// inspect reports whether a new deployment must begin. It changes nothing.
func inspect(ctx context.Context, c *configuration) (fresh bool, err error) {
	if c.StoreURL == "" {
		return inspectFolder(c)
	}
	defer func() {
		if err != nil {
			err = explain(c, err)
		}
	}()
	has, _, err := postgres.Status(ctx, c.StoreURL, postgresOptions(c))
	if err != nil {
		return false, storeURL(err)
	}
	if has == 0 {
		return true, nil
	}
	store, err := openStoreReadOnly(ctx, c)
	// A schema that cannot be read before its migration belongs to a deployment.
	if errors.Is(err, sqlstore.ErrOlderSchema) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	// A schema without a deployment comes from db migrate, or from a first start
	// that was interrupted.
	_, err = store.Deployment(ctx)
	if errors.Is(err, meta.ErrNotFound) {
		fresh, err = true, nil
	}
	return fresh, errors.Join(err, store.Close())
}

// openStore opens the store for serving, and migrates it if that is wanted.
func openStore(ctx context.Context, c *configuration, log *slog.Logger) (*sqlstore.Store, error) {
	report := func(err error) { log.Warn("store upkeep failed", "error", err) }
	if c.StoreURL == "" {
		// Neither a backend nor a key file may have made the folder.
		if err := os.MkdirAll(c.Data, folderMode); err != nil {
			return nil, err
		}
		return sqlite.Open(filepath.Join(c.Data, storeName), sqlite.Options{Report: report, MinFree: storeMinFree})
	}
	o := postgresOptions(c)
	o.Migrate, o.Report = c.StoreAutoMigrate, report
	s, err := postgres.Open(ctx, c.StoreURL, o)
	return s, storeURL(err)
}

// openStoreReadOnly opens a store for reading. Its schema must be that of this
// release.
func openStoreReadOnly(ctx context.Context, c *configuration) (*sqlstore.Store, error) {
	if c.StoreURL == "" {
		return sqlite.OpenReadOnly(filepath.Join(c.Data, storeName))
	}
	s, err := postgres.Open(ctx, c.StoreURL, postgresOptions(c))
	return s, storeURL(err)
}

// storeURL adds the setting's name to an error of Postgres.
func storeURL(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store.url: %w", err)
}

// nameStore returns the engine and the name of the store, for people. The name
// contains no password.
func nameStore(c *configuration) (engine, name string, err error) {
	if c.StoreURL == "" {
		return "sqlite", filepath.Join(c.Data, storeName), nil
	}
	name, err = postgres.Name(c.StoreURL)
	return "postgres", name, storeURL(err)
}

// compactStore writes the file of a SQLite store anew.
func compactStore(ctx context.Context, path string) error { return sqlite.Compact(ctx, path) }

// schemaOf returns the version of the store's schema, 0 if there is none, and
// the version of this release. It changes nothing.
func schemaOf(ctx context.Context, c *configuration) (has, knows int64, err error) {
	if c.StoreURL == "" {
		return sqlite.Status(ctx, filepath.Join(c.Data, storeName))
	}
	has, knows, err = postgres.Status(ctx, c.StoreURL, postgresOptions(c))
	return has, knows, storeURL(err)
}

// releaseSchemas returns the version of the schema that this release brings a database
// to, by the names that nameStore gives the engines.
func releaseSchemas() map[string]int64 {
	return map[string]int64{"sqlite": sqlite.SchemaVersion, "postgres": postgres.SchemaVersion}
}

// migrateStore brings the schema of the store up to date.
func migrateStore(ctx context.Context, c *configuration) error {
	if c.StoreURL == "" {
		return sqlite.Migrate(filepath.Join(c.Data, storeName))
	}
	return storeURL(postgres.Migrate(ctx, c.StoreURL, postgresOptions(c)))
}

// openCopy opens the target of a copy, and creates or migrates its schema.
func openCopy(ctx context.Context, c *configuration, url string) (*sqlstore.Store, error) {
	o := postgresOptions(c)
	o.Migrate = true
	return postgres.Open(ctx, url, o)
}

// postgresOptions are the options that all uses of the database share.
func postgresOptions(c *configuration) postgres.Options {
	return postgres.Options{ExecMode: c.StoreExecMode, MaxConnections: c.StoreMaxConnections}
}

// openTimeout bounds the opening of each backend at the start.
const openTimeout = 15 * time.Second

// guardedCalls times the longer of a remote backend's time limits is above what a guard
// takes for all attempts of a call.
const guardedCalls = 6

// openBackends opens all configured backends at once, and puts a guard before
// each remote one. For serving, a remote backend that cannot be reached is
// opened later: a wrong setting is an error of the operator, but an absent
// provider is not.
func (d *deployment) openBackends(ctx context.Context, c *configuration, log *slog.Logger, readOnly bool) error {
	opened, errs := make([]backends.Backend, len(c.Backends)), make([]error, len(c.Backends))
	var opening sync.WaitGroup
	for i, b := range c.Backends {
		opening.Go(func() {
			within, cancel := context.WithTimeout(ctx, openTimeout)
			defer cancel()
			opened[i], errs[i] = openBackend(within, b, readOnly)
		})
	}
	opening.Wait()
	for i, b := range c.Backends {
		// After a signal ctx has ended, which says nothing about the backend.
		if !readOnly && b.Type != typeFS && ctx.Err() == nil && away(errs[i]) {
			log.Warn("a backend cannot be reached; it is tried again, and all else is served", "backend", b.Name, "error", errs[i])
			opened[i] = late.New(func(ctx context.Context) (backends.Backend, error) { return openBackend(ctx, b, false) }, errs[i])
			errs[i] = nil
		}
		if errs[i] != nil {
			// All errors are collected, so that an operator sees every wrong
			// setting at once.
			errs[i] = fmt.Errorf("%s.%s: %w", backendsSection, b.Name, errs[i])
			continue
		}
		timeout := blobs.DefaultCallTimeout
		if b.Type != typeFS {
			timeout = max(timeout, guardedCalls*max(b.Timeout, b.StallTimeout))
			g := guard.New(opened[i], guard.Options{
				MaxConcurrent: b.concurrency(c.LimitsRequests), Timeout: b.Timeout, StallTimeout: b.StallTimeout,
			})
			d.guards[b.Name], opened[i] = g, g
		}
		d.backends = append(d.backends, blobs.Backend{Name: b.Name, Backend: opened[i], Type: b.Type, Region: b.Region, Jurisdiction: b.Jurisdiction,
			CallTimeout: timeout})
	}
	return errors.Join(errs...)
}

// away reports whether a backend could not be opened because it cannot be
// reached. A certificate that is not trusted, or is for another name, does not
// count: then ca_file or endpoint is wrong.
func away(err error) bool {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	if errors.As(err, &authority) || errors.As(err, &host) {
		return false
	}
	return errors.Is(err, backends.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// openBackend opens one backend by its type.
func openBackend(ctx context.Context, b *BackendSettings, readOnly bool) (backends.Backend, error) {
	switch {
	case b.Type == typeS3:
		return s3.Open(ctx, s3.Options{
			Endpoint: b.Endpoint, Bucket: b.Bucket, Prefix: b.Prefix, Region: b.Region,
			Addressing: b.Addressing, Dialect: b.Dialect, Credentials: b.Credentials,
			AccessKey: b.AccessKey, SecretKey: b.SecretKey, SessionToken: b.SessionToken,
			CredentialsFile: b.CredentialsFile, Profile: b.Profile,
			CAFile: b.CAFile, StorageClass: b.StorageClass, ReadOnly: readOnly,
		})
	case b.Type == typeGCS:
		return gcs.Open(ctx, gcs.Options{
			Endpoint: b.Endpoint, Bucket: b.Bucket, Prefix: b.Prefix,
			CredentialsFile: b.CredentialsFile, Anonymous: b.Credentials == "none",
			CAFile: b.CAFile, StorageClass: b.StorageClass, ReadOnly: readOnly,
		})
	case readOnly:
		return openFolder(ctx, func() (backends.Backend, error) { return fsbackend.OpenReadOnly(b.Path) })
	}
	return openFolder(ctx, func() (backends.Backend, error) { return fsbackend.Open(b.Path, fsbackend.Options{MinFree: minFree}) })
}

// errFolderHangs: the server of a network file system is away, or a disk.
var errFolderHangs = errors.New("the folder does not answer: its file system hangs")

// openFolder opens a folder, and does not wait longer than ctx. A file system that hangs
// ends no call; what is opened after all is closed again.
func openFolder(ctx context.Context, open func() (backends.Backend, error)) (backends.Backend, error) {
	type result struct {
		b   backends.Backend
		err error
	}
	opened := make(chan result, 1)
	go func() {
		b, err := open()
		opened <- result{b, err}
	}()
	select {
	case r := <-opened:
		return r.b, r.err
	case <-ctx.Done():
	}
	go func() {
		if r := <-opened; r.err == nil {
			r.b.Close()
		}
	}()
	return nil, errFolderHangs
}

// openKeys opens the key providers and checks them.
func (d *deployment) openKeys(ctx context.Context, c *configuration, fresh bool, log *slog.Logger) error {
	keys, err := openKeys(ctx, c, fresh, log)
	if err != nil {
		return err
	}
	d.keys = keys
	return keys.check(ctx, c, log)
}

// proveKeys refuses key providers that do not open the store. It only reads,
// whereas opening for serving removes leftovers and migrates. After a first
// start that was interrupted, and before a migration, it can prove nothing and
// returns nil.
func proveKeys(ctx context.Context, c *configuration, keys *keySet) error {
	if c.StoreURL == "" {
		if _, err := os.Stat(filepath.Join(c.Data, storeName)); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	store, err := openStoreReadOnly(ctx, c)
	if errors.Is(err, sqlstore.ErrOlderSchema) {
		return nil
	} else if err != nil {
		return err
	}
	defer store.Close()
	_, err = engine.Open(ctx, engine.Config{Store: store, Keys: keys, ReadOnly: true})
	if errors.Is(err, meta.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	d, err := store.Deployment(ctx)
	if err != nil {
		return err
	}
	return keys.prove(ctx, engine.SystemContext(d.ID), d.Seed)
}

// openForReading opens the deployment of a stopped or running gateway. It takes
// no lock and changes nothing.
func openForReading(ctx context.Context, c *configuration, log *slog.Logger) (_ *deployment, err error) {
	if c.StoreURL == "" {
		if err := requireFolder(c); err != nil {
			return nil, err
		}
	}
	d := &deployment{guards: map[string]*guard.Guard{}}
	defer func() {
		if err != nil {
			err = errors.Join(explain(c, err), d.close())
		}
	}()
	if err := d.openKeys(ctx, c, false, log); err != nil {
		return nil, err
	}
	store, err := openStoreReadOnly(ctx, c)
	if err != nil {
		return nil, err
	}
	d.store = store
	if err := d.openBackends(ctx, c, log, true); err != nil {
		return nil, err
	}
	d.engine, err = engine.Open(ctx, engine.Config{
		Store: d.store, Backends: d.backends, Default: c.PlacementDefault, Keys: d.keys.Provider, Log: log, Region: c.region(), ReadOnly: true,
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// close closes everything, each thing before the things that it needs.
func (d *deployment) close() error {
	var errs []error
	if d.engine != nil {
		errs = append(errs, d.engine.Close())
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	for _, b := range d.backends {
		errs = append(errs, b.Close())
	}
	if d.keys != nil {
		errs = append(errs, d.keys.Close())
	}
	return errors.Join(errs...)
}

// explain adds the remedy to failures that an operator can mend. Errors name
// settings and contain no credential.
func explain(c *configuration, err error) error {
	bringUp := "start `gateway serve` of this release once"
	if c.StoreURL != "" {
		bringUp = "run `gateway db migrate`"
	}
	switch {
	case errors.Is(err, fsbackend.ErrInUse), errors.Is(err, sqlite.ErrInUse):
		return fmt.Errorf("data folder %s is served by another gateway: stop that one, or choose another folder with --data (%w)",
			c.Data, err)
	case errors.Is(err, sqlstore.ErrNewerSchema):
		return fmt.Errorf("%s was written by a newer release: start that release, or restore a backup made before the upgrade (%w)",
			storeOf(c), err)
	case errors.Is(err, sqlstore.ErrOlderSchema):
		return fmt.Errorf("%s was written by an older release: %s to bring it up to date (%w)", storeOf(c), bringUp, err)
	case errors.Is(err, meta.ErrMoved):
		return fmt.Errorf("%s was copied to a database, which has taken its place: set store.url to that one (%w)", storeOf(c), err)
	case errors.Is(err, meta.ErrUnfinished):
		return fmt.Errorf("%s is an unfinished copy: run `gateway db copy` again until it ends (%w)", storeOf(c), err)
	case ofKeyProvider(err):
		return err // the error names the setting
	case len(c.KeyProviders) > 0 && (errors.Is(err, encrypt.ErrKeyNotFound) || errors.Is(err, encrypt.ErrWrongKey)):
		return fmt.Errorf("%s do not open %s: list the providers under the names that they had, with the keys that they had (%w)",
			keyProvidersSection, storeOf(c), err)
	case errors.Is(err, encrypt.ErrKeyNotFound):
		return fmt.Errorf("key file %s does not open %s: restore the key file that belongs to it (%w)", c.KeyringPath, storeOf(c), err)
	case errors.Is(err, encrypt.ErrWrongKey) && c.KeyringPassphrase == "":
		return fmt.Errorf("key file %s does not open %s: restore the key file that belongs to it, "+
			"and set keyring.passphrase if that has one (%w)", c.KeyringPath, storeOf(c), err)
	case errors.Is(err, encrypt.ErrWrongKey):
		return fmt.Errorf("key file %s with this passphrase does not open %s: check the passphrase, "+
			"or restore the key file that belongs to it (%w)", c.KeyringPath, storeOf(c), err)
	case errors.Is(err, blobs.ErrFarApart):
		return fmt.Errorf("%w: find out which of the two was restored, and put its latest state back if there is one; "+
			"otherwise "+lastRemedy, err)
	case errors.Is(err, blobs.ErrStoreRolledBack):
		return fmt.Errorf("%w: put the latest store back if there is one; "+
			"if this one was restored on purpose, start once with --accept-restored-store", err)
	case errors.Is(err, blobs.ErrStorageRolledBack):
		return fmt.Errorf("%w: put the latest storage back if there is one; if it is gone, "+lastRemedy, err)
	case errors.Is(err, blobs.ErrUnknownStorage):
		return fmt.Errorf("%w: check where the settings of this backend lead; only if its storage is gone for good, "+lastRemedy, err)
	case errors.Is(err, plainfile.ErrExposed):
		return err
	case c.StoreURL != "" && len(c.KeyProviders) == 0 && errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("key file %s is missing, and nothing in %s can be opened without it: "+
			"give this gateway the same key file as the others (%w)", c.KeyringPath, storeOf(c), err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("data folder %s cannot be used: %w; start as its owner, or choose another with --data", c.Data, err)
	case c.configured():
		return err // the error names the setting
	}
	return fmt.Errorf("data folder %s: %w", c.Data, err)
}

// ofKeyProvider reports whether an error is about one provider of the list.
func ofKeyProvider(err error) bool {
	_, ok := errors.AsType[*keyProviderError](err)
	return ok
}

// lastRemedy is the last remedy for a store and storage that contradict each
// other.
const lastRemedy = "start once with --accept-restored-store, and run `gateway fsck` to see which objects are missing"

// storeOf names the store in messages.
func storeOf(c *configuration) string {
	if c.StoreURL != "" {
		return "the store of store.url"
	}
	return "the store in " + c.Data
}
