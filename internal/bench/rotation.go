//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/jobs"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/postgres"
	"github.com/sanctum-storage/gateway/rotate"
)

const rotationGroup = "rotation"

// rotationRows are how many objects the rotated bucket has.
const rotationRows = 50_000

const rotationRow = "rotation of a bucket's keys without pauses: rows rewrapped, %s"

// rotation is the job that brings the rows of a bucket under new keys, on both stores. Its
// counts before and after are not in the numbers.
func (b *bench) rotation() group {
	speeds := map[string]float64{}
	var rows []work
	for _, store := range []string{onSQLite, onPostgres} {
		rows = append(rows, found(fmt.Sprintf(rotationRow, store), perSecond, func() float64 { return speeds[store] }))
	}
	return group{name: rotationGroup, rows: rows, start: func(ctx context.Context, dir string) (_ []*server, err error) {
		data := filepath.Join(dir, "data-sqlite")
		if speeds[onSQLite], err = rotated(ctx, data, openSQLite(data)); err != nil {
			return nil, fmt.Errorf("rotation on SQLite: %w", err)
		}
		db, err := startPostgres(ctx, dir)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, db.Stop()) }()
		if speeds[onPostgres], err = rotated(ctx, filepath.Join(dir, "data-postgres"), openPostgres(ctx, db)); err != nil {
			return nil, fmt.Errorf("rotation on PostgreSQL: %w", err)
		}
		return nil, nil
	}}
}

func openPostgres(ctx context.Context, db *servers.Postgres) func() (meta.Store, error) {
	return func() (meta.Store, error) {
		return postgres.Open(ctx, db.URL(gatewayDatabase), postgres.Options{Migrate: true})
	}
}

// rotated fills a bucket, rotates its keys, and returns how many rows a second were rewrapped.
func rotated(ctx context.Context, dir string, open func() (meta.Store, error)) (speed float64, err error) {
	progress("loading %d rows into %s", rotationRows, filepath.Base(dir))
	if err := load(ctx, dir, []filled{{name: someBucket, keys: rotationRows}}, open); err != nil {
		return 0, err
	}
	err = inEngine(ctx, dir, open, func(e *engine.Engine) error {
		bucket, err := e.Buckets().Get(ctx, someBucket)
		if err != nil {
			return err
		}
		if _, err := rotate.Bucket(ctx, e, bucket, time.Now()); err != nil {
			return err
		}
		progress("rotating its keys")
		steps := rotate.New(rotate.Config{Engine: e})
		rows, took := 0, time.Duration(0)
		for {
			began := time.Now()
			r, err := steps.Step(ctx)
			if err != nil {
				return err
			}
			if r.Rewrapped > 0 {
				rows, took = rows+r.Rewrapped, took+time.Since(began)
			}
			switch r.State {
			case jobs.Running:
			case jobs.Done:
				speed = float64(rows) / took.Seconds()
				return nil
			default:
				return fmt.Errorf("the job ended as %s", r.State)
			}
		}
	})
	return speed, err
}
