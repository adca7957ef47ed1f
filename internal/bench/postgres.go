//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/meta/postgres"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// storeClients is how many clients the floors of a store in PostgreSQL count on.
const storeClients = 32

// Databases: of the gateway, and of what PostgreSQL does by itself.
const (
	gatewayDatabase = "gateway"
	pgbenchDatabase = "postgres"
)

var storePair = [2]string{onPostgres, onSQLite}

// postgres is small requests to a gateway whose store is in PostgreSQL, beside
// one whose store is SQLite. Both keep their blobs in a folder.
func (b *bench) postgres() group {
	s := stock{}
	var db *servers.Postgres
	rows := []work{
		s.put(putSmallRow, small, storeClients, false).beside(func() lane { return pgbenchLane(db, b.dir) }),
		s.head(storeClients),
		s.get(getSmallRow, small, smallClients),
	}
	return group{postgresGroup, storePair, rows, func(ctx context.Context, dir string) (pair []*server, err error) {
		if db, err = startPostgres(ctx, dir); err != nil {
			return nil, err
		}
		if err := preparePgbench(ctx, db, b.dir); err != nil {
			return nil, errors.Join(err, db.Stop())
		}
		if pair, err = b.startStores(ctx, dir, db); err != nil {
			return nil, err
		}
		return b.supply(ctx, pair, s, dir, small)
	}}
}

// postgresLists is listings by the same gateways, of objects and of versions.
func (b *bench) postgresLists() group {
	return group{postgresListsGroup, storePair, append(listRows(), versionsWork()...), func(ctx context.Context, dir string) ([]*server, error) {
		db, err := startPostgres(ctx, dir)
		if err != nil {
			return nil, err
		}
		if err := loadStores(ctx, dir, db); err != nil {
			return nil, errors.Join(err, db.Stop())
		}
		if err := b.flush(); err != nil {
			return nil, errors.Join(err, db.Stop())
		}
		return b.startStores(ctx, dir, db)
	}}
}

// Data folders of the two gateways.
func postgresData(dir string) string { return filepath.Join(dir, "data-postgres") }
func sqliteData(dir string) string   { return filepath.Join(dir, "data-sqlite") }

// startPostgres starts a server that flushes every commit, as PostgreSQL does
// when nobody tells it otherwise, with an empty database for the gateway.
func startPostgres(ctx context.Context, dir string) (*servers.Postgres, error) {
	folder := filepath.Join(dir, "postgres")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return nil, err
	}
	db, err := servers.StartPostgres(servers.Postgres15, folder, servers.PostgresOptions{Durable: true})
	if err != nil {
		return nil, err
	}
	if err := db.Exec(ctx, pgbenchDatabase, "CREATE DATABASE "+gatewayDatabase); err != nil {
		return nil, errors.Join(err, db.Stop())
	}
	return db, nil
}

// startStores starts both gateways. The database ends with the first of them,
// and at once when they cannot be started.
func (b *bench) startStores(ctx context.Context, dir string, db *servers.Postgres) ([]*server, error) {
	p, err := b.startGateway(ctx, onPostgres, postgresData(dir), "SANCTUM_STORE_URL="+db.URL(gatewayDatabase))
	if err != nil {
		return nil, errors.Join(err, db.Stop())
	}
	p.below = db.Stop
	s, err := b.startGateway(ctx, onSQLite, sqliteData(dir))
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return []*server{p, s}, nil
}

// loadStores fills both stores with the buckets that are listed: SQLite by the
// engine, and PostgreSQL with a copy of that.
func loadStores(ctx context.Context, dir string, db *servers.Postgres) (err error) {
	buckets := []filled{
		{name: someBucket, keys: someKeys},
		{name: keptBucket, keys: someKeys, versions: 1},
		{name: manyfoldBucket, keys: someKeys / versionsEach, versions: versionsEach},
	}
	progress("loading %d rows into SQLite", len(buckets)*someKeys)
	if err := loadSQLite(ctx, sqliteData(dir), buckets...); err != nil {
		return fmt.Errorf("load SQLite: %w", err)
	}
	progress("copying them to PostgreSQL")
	if out, err := exec.CommandContext(ctx, "cp", "-a", sqliteData(dir), postgresData(dir)).CombinedOutput(); err != nil {
		return fmt.Errorf("copy the data folder: %w\n%s", err, out)
	}
	from, err := sqlite.Open(sqliteFile(postgresData(dir)), sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := postgres.Open(ctx, db.URL(gatewayDatabase), postgres.Options{Migrate: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	_, err = sqlstore.Copy(ctx, from, to, sqlstore.CopyOptions{})
	return err
}
