package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNewerSchema: a later release migrated the database. Going back is not
// supported, because the older release does not know which data it would lose.
var ErrNewerSchema = errors.New("sqlstore: the database has a newer schema than this release knows")

// ErrOlderSchema: a database that was opened read-only needs a migration, which the
// serving process runs when it starts.
var ErrOlderSchema = errors.New("sqlstore: the database has an older schema than this release reads")

// Schema is an engine's part of the migrations.
type Schema struct {
	Dialect goose.Dialect
	// Translate turns a migration's text into the engine's dialect.
	Translate func(string) string
	// Own are migrations for this engine only, numbered in the same sequence as the
	// shared ones. Nil: none.
	Own fs.FS
	// Options are the engine's own, such as a lock against concurrent migrations.
	Options []goose.ProviderOption
}

// Migrate brings the database up to date. Each migration is one transaction, so an
// interrupted run continues where it stopped.
func (s Schema) Migrate(ctx context.Context, db *sql.DB) error {
	p, err := s.provider(db)
	if err != nil {
		return err
	}
	// Before Up, so that nothing is changed in a database with a newer schema.
	if _, err := compare(ctx, p); err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the store: %w", err)
	}
	// Another process may have installed a newer schema while Up waited for it.
	_, err = compare(ctx, p)
	return err
}

// Current returns nil when the database has exactly this release's schema.
func (s Schema) Current(ctx context.Context, db *sql.DB) error {
	p, err := s.provider(db)
	if err != nil {
		return err
	}
	older, err := compare(ctx, p)
	if err == nil && older {
		return ErrOlderSchema
	}
	return err
}

// Versions returns the version of the database, 0 before the first migration, and
// the version of this release. It changes nothing. table is the engine's table of
// versions.
func (s Schema) Versions(ctx context.Context, db *sql.DB, table database.StoreExtender) (has, knows int64, err error) {
	p, err := s.provider(db)
	if err != nil {
		return 0, 0, err
	}
	sources := p.ListSources() // never empty
	knows = sources[len(sources)-1].Version
	c, err := db.Conn(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	there, err := table.TableExists(ctx, c)
	if err != nil || !there {
		return 0, knows, err
	}
	has, err = table.GetLatestVersion(ctx, c)
	return has, knows, err
}

// Each call makes a new one, because it keeps the database handle.
func (s Schema) provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if s.Own != nil {
		files = joined{shared: files, own: s.Own}
	}
	options := append([]goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true), // two stores in one process share nothing
		goose.WithLogger(goose.NopLogger()),
	}, s.Options...)
	p, err := goose.NewProvider(s.Dialect, db, translated{files, s.Translate}, options...)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return p, nil
}

// compare returns ErrNewerSchema, or whether migrations are pending.
func compare(ctx context.Context, p *goose.Provider) (older bool, err error) {
	has, knows, err := p.GetVersions(ctx)
	if err != nil {
		return false, fmt.Errorf("read the schema's version: %w", err)
	}
	if has > knows {
		return false, fmt.Errorf("%w: it has version %d, this release knows %d; run a newer release", ErrNewerSchema, has, knows)
	}
	return has < knows, nil
}
