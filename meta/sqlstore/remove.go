package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// RemoveObjects implements meta.Objects.
func (s *Store) RemoveObjects(ctx context.Context, bucket meta.ID, versioning meta.Versioning, rs []meta.Removal, now time.Time) ([]meta.Removed, error) {
	if len(rs) > meta.MaxBatch {
		return nil, checkCount("removals", len(rs), meta.MaxBatch)
	}
	if len(rs) == 0 {
		return nil, ctx.Err()
	}
	for _, r := range rs {
		if versioning != meta.VersioningOff && r.Version.IsZero() && (r.Marker.ID.IsZero() || checkKey(r.Key) != nil) {
			return nil, errors.New("removal without a marker or with no possible key: no such intent")
		}
		if r.Newest != rs[0].Newest {
			return nil, errors.New("removals that go by different generations: no such intent")
		}
	}
	var done []meta.Removed
	err := s.writeIn(ctx, func(tx Tx) error {
		done = make([]meta.Removed, len(rs))
		if err := holdVersioning(tx, bucket, versioning, rs[0].Newest); err != nil {
			return err
		}
		a, err := lookAhead(tx, bucket, versioning, rs)
		if err != nil {
			return err
		}
		used := &usageChange{}
		for i, r := range rs {
			var err error
			done[i], err = remove(tx, a, bucket, versioning, r, now, used)
			if errors.Is(err, meta.ErrConflict) || errors.Is(err, meta.ErrLocked) {
				done[i] = meta.Removed{Err: err} // the error came before any change to this key
			} else if err != nil {
				return err
			}
		}
		return used.write(tx, bucket)
	})
	if err != nil {
		return nil, s.orNoBucket(ctx, bucket, err)
	}
	return done, nil
}

// The key is locked before anything is compared. An error of the expectation or of a lock leaves
// the key as it was.
func remove(tx Tx, a *ahead, bucket meta.ID, versioning meta.Versioning, r meta.Removal, now time.Time, used *usageChange) (meta.Removed, error) {
	cur, err := a.lockCurrent(tx, bucket, r.Key, versioning)
	if err != nil {
		return meta.Removed{}, err
	}
	if err := cur.meets(r.Expect); err != nil {
		return meta.Removed{}, err
	}
	switch {
	case !r.Version.IsZero():
		return purge(tx, a, cur, bucket, versioning, r, now, used)
	case versioning == meta.VersioningOff:
		return dropFree(tx, a, cur, r, now, used)
	}
	return mark(tx, cur, bucket, versioning, r, now, used)
}

// dropFree removes a version for good if no lock forbids it.
func dropFree(tx Tx, a *ahead, c *current, r meta.Removal, now time.Time, used *usageChange) (meta.Removed, error) {
	if !c.exists() {
		return meta.Removed{}, nil
	}
	if c.version.Lock.Forbids(now, r.Bypass) {
		return meta.Removed{}, meta.ErrLocked
	}
	return meta.Removed{Found: c.found()}, c.drop(tx, a, r.Prove, now, used)
}

// purge removes the named version. If that was current, the newest remaining
// version becomes current.
func purge(tx Tx, a *ahead, cur *current, bucket meta.ID, versioning meta.Versioning, r meta.Removal, now time.Time, used *usageChange) (meta.Removed, error) {
	// The current version is compared first: its row is locked already, and lockPublic does not
	// look into objects.
	if cur.exists() && cur.version.Ref() == r.Version {
		if err := cur.isNamed(r.Named); err != nil {
			return meta.Removed{}, err
		}
		done, err := dropFree(tx, a, cur, r, now, used)
		if err != nil || versioning == meta.VersioningOff {
			return done, err
		}
		return done, promote(tx, bucket, r.Key)
	}
	// The key has no other version, so nothing has the name.
	if !cur.exists() || versioning == meta.VersioningOff {
		return meta.Removed{}, (&current{}).isNamed(r.Named)
	}
	named, err := lockPublic(tx, bucket, r.Key, r.Version)
	if err == nil {
		err = named.isNamed(r.Named)
	}
	if err != nil {
		return meta.Removed{}, err
	}
	return dropFree(tx, a, named, r, now, used)
}

// promote makes the newest remaining version current, after the row of the current
// one was removed.
func promote(tx Tx, bucket meta.ID, key string) error {
	next, err := lockNewest(tx, bucket, key)
	if err != nil || !next.exists() {
		return err
	}
	if next.version.Marker {
		return soon(tx, ErrRetry, "UPDATE versions SET displaced = NULL WHERE bucket_id = ? AND key = ? AND rank = ?",
			append(keyed(bucket, key), next.rank)...)
	}
	err = soon(tx, ErrRetry, "INSERT INTO objects (bucket_id, key, rank, "+objectColumns+") SELECT bucket_id, key, rank, "+objectColumns+
		" FROM versions WHERE bucket_id = ? AND key = ? AND rank = ? ON CONFLICT DO NOTHING", append(keyed(bucket, key), next.rank)...)
	if err != nil {
		return err
	}
	return next.dropRow(tx)
}

// mark makes the removal's marker current.
func mark(tx Tx, cur *current, bucket meta.ID, versioning meta.Versioning, r meta.Removal, now time.Time, used *usageChange) (done meta.Removed, err error) {
	done.Marked = true
	m := meta.Version{Bucket: bucket, Key: r.Key, ID: r.Marker.ID, Owner: r.Marker.Owner, Modified: r.Marker.Modified,
		Generation: r.Marker.Generation, ListRecord: r.Marker.ListRecord, Null: versioning != meta.VersioningEnabled, Marker: true}
	if !cur.exists() {
		if err := claim(tx, "objects", bucket, r.Key); err != nil {
			return done, err
		}
		return done, insertMarker(tx, &m, 0, used)
	}
	if m.Null {
		// A null marker removes the null version for good, which a lock may forbid. So the lock
		// is looked at before makeWay changes anything.
		if done.Found, err = removedFor(tx, cur, now, r.Bypass); err != nil {
			return done, err
		}
	}
	if err := makeWay(tx, cur, m.Null, m.Modified, r.Prove, used); err != nil {
		return done, err
	}
	if cur.holds() {
		if err := cur.dropRow(tx); err != nil {
			return done, err
		}
	}
	return done, insertMarker(tx, &m, cur.rank-1, used)
}

// removedFor returns the null version that a null marker replaces.
// A key may have no null version. Then nothing is removed.
func removedFor(tx Tx, cur *current, now time.Time, bypass bool) (meta.Version, error) {
	null := cur
	if !cur.version.Null {
		var err error
		if null, err = lockPublic(tx, cur.version.Bucket, cur.version.Key, meta.VersionRef{Null: true}); err != nil {
			return meta.Version{}, err
		}
	}
	if null.version.Lock.Forbids(now, bypass) {
		return meta.Version{}, meta.ErrLocked
	}
	return null.found(), nil
}

var insertVersion = "INSERT INTO versions (" + headColumns + ", list_record, rank, public, marker, bucket_id, key) VALUES " + marks(20) + " ON CONFLICT DO NOTHING"

// insertMarker adds m as the current marker.
func insertMarker(tx Tx, m *meta.Version, rank int64, used *usageChange) error {
	ref := m.Ref()
	used.add(m)
	return soon(tx, ErrRetry, insertVersion, keyed(m.Bucket, m.Key, append(headOf(m), blob(m.ListRecord), rank, ref.ID[:], int64(1))...)...)
}
