//go:build linux

package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sanctum-storage/gateway/backends/fs"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlite"
)

// prefixes is into how many common prefixes the keys of a bucket fall.
const prefixes = 100

// loaders fill one of the store's commit groups, so that a flush is shared as
// widely as it can be.
const loaders = 128

// loadTimeout bounds the filling of one bucket.
const loadTimeout = 5 * time.Minute

// localBackend is what the gateway calls the folder that it keeps blobs in when
// no backend is configured.
const localBackend = "local"

// emptyETag is the MD5 of nothing.
const emptyETag = "d41d8cd98f00b204e9800998ecf8427e"

// listKey is key i of n, which lie in order in their prefixes.
func listKey(i, n int) string {
	per := max(n/prefixes, 1)
	return fmt.Sprintf("p%03d/k%07d", i/per, i)
}

// filled is a bucket of empty objects.
type filled struct {
	name     string
	keys     int
	versions int // of each key; 0: one, and the bucket was never versioned
}

// place is which key the i-th object gets. Buckets that keep versions are written in
// as many passes, whether these go over all keys or each over other ones: rows that
// are next to one another in a listing are equally far apart in the store.
func (f filled) place(i int) int {
	if f.versions == 1 {
		return i*versionsEach%f.keys + i*versionsEach/f.keys
	}
	return i % f.keys
}

// loadThree makes a data folder for the gateway with three buckets of empty
// objects, the largest of which holds many.
//
// The two smaller ones go through the engine, so every row is sealed as a
// client's PUT would leave it; only HTTP is left out. The largest would take
// minutes of waiting for the disk. Its rows are copies of one, which have its
// size but cannot be opened under another name. A page by delimiter opens none.
func loadThree(ctx context.Context, dir string, many int) (err error) {
	if err := loadSQLite(ctx, dir, filled{name: fewBucket, keys: fewKeys}, filled{name: someBucket, keys: someKeys}, filled{name: manyBucket, keys: 1}); err != nil {
		return err
	}
	return inSQLite(dir, func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, copyRows, []byte(manyBucket), many, max(many/prefixes, 1))
		return err
	})
}

// inSQLite does something to a data folder's store behind the gateway's back.
func inSQLite(dir string, do func(*sql.DB) error) (err error) {
	db, err := sql.Open("sqlite", sqliteFile(dir))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := do(db); err != nil {
		return fmt.Errorf("change rows: %w", err)
	}
	return nil
}

// copyRows makes objects of a bucket that holds one, with keys as of listKey.
const copyRows = `WITH RECURSIVE
	one AS (SELECT * FROM objects WHERE bucket_id = (SELECT id FROM buckets WHERE name = ?1)),
	n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
	INSERT OR REPLACE INTO objects
		(bucket_id, key, version_id, owner, size, modified, generation, body_kind, body_id, list_record, wrapped_key, manifest)
	SELECT bucket_id, CAST(printf('p%03d/k%07d', i / ?3, i) AS BLOB), randomblob(16),
		owner, size, modified, generation, body_kind, body_id, list_record, wrapped_key, manifest
	FROM n, one`

func sqliteFile(dir string) string { return filepath.Join(dir, "meta.db") }

// loadSQLite makes a data folder with a SQLite store that holds the buckets.
func loadSQLite(ctx context.Context, dir string, buckets ...filled) error {
	return load(ctx, dir, buckets, openSQLite(dir))
}

func openSQLite(dir string) func() (meta.Store, error) {
	return func() (meta.Store, error) { return sqlite.Open(sqliteFile(dir), sqlite.Options{}) }
}

// load makes a data folder, and the buckets in the store.
func load(ctx context.Context, dir string, buckets []filled, open func() (meta.Store, error)) (err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	keys, err := keyring.Create(keyringFile(dir), nil)
	if err != nil {
		return err
	}
	if err := keys.Close(); err != nil {
		return err
	}
	return inEngine(ctx, dir, open, func(e *engine.Engine) error {
		for _, b := range buckets {
			if err := loadBucket(ctx, e, b); err != nil {
				return fmt.Errorf("load bucket %s: %w", b.name, err)
			}
		}
		return nil
	})
}

func keyringFile(dir string) string { return filepath.Join(dir, "keyring") }

// inEngine opens a data folder as the gateway does, and closes it afterwards.
func inEngine(ctx context.Context, dir string, open func() (meta.Store, error), do func(*engine.Engine) error) (err error) {
	keys, err := keyring.Open(keyringFile(dir), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	store, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	// An empty body has no blob, so all that the backend keeps is its marker.
	backend, err := fs.Open(filepath.Join(dir, "blobs"), fs.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	e, err := engine.Open(ctx, engine.Config{
		Store: store, Backends: []blobs.Backend{{Name: localBackend, Backend: backend}}, Keys: keys, Sole: true,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	return do(e)
}

func loadBucket(ctx context.Context, e *engine.Engine, f filled) error {
	owner := e.Accounts().Root().ID
	b, err := e.Buckets().Create(ctx, f.name, region, owner)
	if err != nil {
		return err
	}
	if f.versions > 0 {
		if err := e.Buckets().SetVersioning(ctx, b, meta.VersioningEnabled); err != nil {
			return err
		}
		if b, err = e.Buckets().Get(ctx, f.name); err != nil {
			return err
		}
	}
	put := lane{do: func(ctx context.Context, i int64) error {
		_, err := e.PutObject(ctx, engine.PutObject{
			Bucket: b, Key: listKey(f.place(int(i)), f.keys), Owner: owner,
			Body: engine.Body{Reader: bytes.NewReader(nil)},
		})
		return err
	}}
	var made laneResult
	_, err = put.work(ctx, row{clients: loaders, most: int64(f.keys * max(f.versions, 1))}, &made, time.Now().Add(loadTimeout))
	return err
}

// loadFolder makes the same bucket as versitygw keeps one: a folder with a file
// for each key, and the attributes that it would have set.
func loadFolder(ctx context.Context, dir string, n int) error {
	for i := range n {
		path := filepath.Join(dir, listKey(i, n))
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, os.ErrNotExist) {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		}
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		for name, value := range map[string]string{"user.etag": `"` + emptyETag + `"`, "user.content-type": "binary/octet-stream"} {
			if err := syscall.Setxattr(path, name, []byte(value), 0); err != nil {
				return fmt.Errorf("extended attributes of %s: %w", path, err)
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}
