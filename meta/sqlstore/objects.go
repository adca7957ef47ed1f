package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

func (s *Store) Object(ctx context.Context, bucket meta.ID, key string) (v meta.Version, err error) {
	err = s.run.Read(ctx, func(tx Tx) error {
		var kind int64
		var body []byte
		v = meta.Version{Bucket: bucket, Key: key}
		err := tx.QueryRow(`SELECT version_id, owner, size, modified, generation, body_kind, body_id,
			list_record, wrapped_key, manifest FROM objects WHERE bucket_id = ? AND key = ?`, bucket[:], text(key)).
			Scan((*idColumn)(&v.ID), (*idColumn)(&v.Owner), &v.Size, (*timeColumn)(&v.Modified), &v.Generation,
				&kind, &body, &v.ListRecord, &v.WrappedKey, &v.Manifest)
		if err != nil {
			return found(err, meta.ErrNotFound)
		}
		v.Body, err = bodyOf(kind, body)
		return err
	})
	if err != nil {
		return meta.Version{}, err
	}
	return v, nil
}

// Find takes one statement, for it is half of every small GET and HEAD.
func (s *Store) Find(ctx context.Context, bucket, key string) (b meta.Bucket, v meta.Version, err error) {
	err = s.run.Read(ctx, func(tx Tx) error {
		b, v = meta.Bucket{}, meta.Version{}
		var size, modified, generation, kind *int64 // NULL without an object
		var body []byte
		err := tx.QueryRow(`SELECT b.id, b.name, b.owner, b.region, b.residency, b.backend, b.created,
			o.version_id, o.owner, o.size, o.modified, o.generation, o.body_kind, o.body_id, o.list_record, o.wrapped_key, o.manifest
			FROM buckets AS b LEFT JOIN objects AS o ON o.bucket_id = b.id AND o.key = ? WHERE b.name = ?`, text(key), text(bucket)).
			Scan((*idColumn)(&b.ID), (*textColumn)(&b.Name), (*idColumn)(&b.Owner), (*textColumn)(&b.Region),
				(*residencyColumn)(&b.Residency), &b.Backend, (*timeColumn)(&b.Created),
				(*idColumn)(&v.ID), (*idColumn)(&v.Owner), &size, &modified, &generation, &kind, &body,
				&v.ListRecord, &v.WrappedKey, &v.Manifest)
		if err != nil {
			return found(err, meta.ErrNoBucket)
		}
		v.Bucket, v.Key = b.ID, key
		if size == nil || modified == nil || generation == nil || kind == nil {
			return nil
		}
		v.Size, v.Modified, v.Generation = *size, time.UnixMicro(*modified).UTC(), uint32(*generation)
		v.Body, err = bodyOf(*kind, body)
		return err
	})
	if err != nil {
		return meta.Bucket{}, meta.Version{}, err
	}
	return b, v, nil
}

func (s *Store) CommitObject(ctx context.Context, c meta.Commit) error {
	if err := checkKey(c.Version.Key); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error {
		if err := holdBucket(tx, c.Version.Bucket); err != nil {
			return err
		}
		// The new body is counted before the old one is dropped: they may be
		// the same, when metadata is replaced by a copy onto itself.
		return replace(tx, c.Version, c.Expect, func() error { return addBody(tx, c) })
	})
}

// current is what a write needs to know of the version it displaces.
type current struct {
	exists  bool
	version meta.ID
	body    meta.Body
}

// lockCurrent reads the key's present version and keeps it from changing until
// the transaction ends.
func lockCurrent(tx Tx, bucket meta.ID, key string) (cur current, err error) {
	var kind int64
	var body []byte
	err = tx.QueryRow("SELECT version_id, body_kind, body_id FROM objects WHERE bucket_id = ? AND key = ?"+forUpdate,
		bucket[:], text(key)).Scan((*idColumn)(&cur.version), &kind, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return current{}, nil
	}
	if err != nil {
		return current{}, err
	}
	cur.exists = true
	cur.body, err = bodyOf(kind, body)
	return cur, err
}

// meets returns ErrConflict unless the expectation holds.
func (cur current) meets(e meta.Expect) error {
	ok := false
	switch e.Kind {
	case meta.ExpectAny:
		ok = true
	case meta.ExpectAbsent:
		ok = !cur.exists
	case meta.ExpectVersion:
		ok = cur.exists && cur.version == e.Version
	default:
		return fmt.Errorf("expectation of unknown kind %d", e.Kind)
	}
	if !ok {
		return meta.ErrConflict
	}
	return nil
}

// replace makes v current if the expectation holds and addBody succeeds, and
// drops the body that it displaces, as of the time when v was made.
func replace(tx Tx, v meta.Version, e meta.Expect, addBody func() error) error {
	cur, err := lockCurrent(tx, v.Bucket, v.Key)
	if err != nil {
		return err
	}
	if err := cur.meets(e); err != nil {
		return err
	}
	if err := addBody(); err != nil {
		return err
	}
	kind, body := bodyColumns(v.Body)
	values := []any{v.ID[:], v.Owner[:], v.Size, micros(v.Modified), int64(v.Generation), kind, body,
		blob(v.ListRecord), blob(v.WrappedKey), blob(v.Manifest), v.Bucket[:], text(v.Key)}
	if !cur.exists {
		return soon(tx, ErrRetry, `INSERT INTO objects (version_id, owner, size, modified, generation,
			body_kind, body_id, list_record, wrapped_key, manifest, bucket_id, key)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, values...)
	}
	if err := soon(tx, ErrRetry, `UPDATE objects SET version_id = ?, owner = ?, size = ?, modified = ?,
		generation = ?, body_kind = ?, body_id = ?, list_record = ?, wrapped_key = ?, manifest = ?
		WHERE bucket_id = ? AND key = ?`, values...); err != nil {
		return err
	}
	return dropBody(tx, cur.body, v.Modified)
}

func (s *Store) RemoveObjects(ctx context.Context, bucket meta.ID, versioning meta.Versioning, rs []meta.Removal, now time.Time) ([]meta.Removed, error) {
	if len(rs) > meta.MaxBatch {
		return nil, checkCount("removals", len(rs), meta.MaxBatch)
	}
	if len(rs) == 0 {
		return nil, ctx.Err()
	}
	var done []meta.Removed
	err := s.run.Write(ctx, func(tx Tx) error {
		done = make([]meta.Removed, len(rs))
		for i, r := range rs {
			err := remove(tx, bucket, r, now)
			if errors.Is(err, meta.ErrConflict) {
				done[i].Err = err // found before anything of this key was changed
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return done, nil
}

func remove(tx Tx, bucket meta.ID, r meta.Removal, now time.Time) error {
	cur, err := lockCurrent(tx, bucket, r.Key)
	if err != nil {
		return err
	}
	if err := cur.meets(r.Expect); err != nil || !cur.exists {
		return err
	}
	err = soon(tx, ErrRetry, "DELETE FROM objects WHERE bucket_id = ? AND key = ?", bucket[:], text(r.Key))
	if err != nil {
		return err
	}
	return dropBody(tx, cur.body, now)
}

func (s *Store) ScanObjects(ctx context.Context, after meta.ObjectPosition, limit int) (refs []meta.ObjectRef, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		refs, err = collect(tx, func(r Row) (o meta.ObjectRef, err error) {
			var kind int64
			var body []byte
			err = r.Scan((*idColumn)(&o.Bucket), (*textColumn)(&o.Key), (*idColumn)(&o.Version), &o.Size, &kind, &body)
			if err != nil {
				return o, err
			}
			o.Body, err = bodyOf(kind, body)
			return o, err
		}, `SELECT bucket_id, key, version_id, size, body_kind, body_id FROM objects
			WHERE (bucket_id, key) >= (?, ?) ORDER BY bucket_id, key LIMIT ?`, after.Bucket[:], keyAfter(after.Key), limit)
		return err
	})
	return refs, err
}
