package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// CommitObject implements meta.Objects. The usual PUT, of a new key in a bucket without
// versions, needs no read, so that an engine can send its few statements together. If the key
// is taken after all, the whole commit runs again the other way.
// Vacant is a guess of the caller. If it is wrong, the commit costs one transaction more, and its
// outcome is the same.
func (s *Store) CommitObject(ctx context.Context, c meta.Commit) error {
	if err := checkCommit(&c.Version, c.Versioning); err != nil {
		return err
	}
	err := errTaken
	ctx = growing(ctx)
	// Only without versions: with them, a key without a row in objects may have others in
	// versions.
	if c.Vacant && c.Versioning == meta.VersioningOff && (c.Expect.Kind == meta.ExpectAny || c.Expect.Kind == meta.ExpectAbsent) {
		err = s.writeIn(ctx, func(tx Tx) error { return add(tx, c) })
	}
	if err == errTaken {
		err = s.commitOver(ctx, c)
	}
	return s.orNoBucket(ctx, c.Version.Bucket, err)
}

// errTaken: the key holds an object, although the caller expected it to be vacant.
var errTaken = fmt.Errorf("%w: the key holds an object", meta.ErrConflict)

// add makes c's version the first of a vacant key. An engine may send all its
// statements together.
func add(tx Tx, c meta.Commit) error {
	if err := holdVersioning(tx, c.Version.Bucket, c.Versioning, c.Newest); err != nil {
		return err
	}
	if err := addBody(tx, c); err != nil {
		return err
	}
	v := &c.Version
	// The conflict of this insert is the compare-and-swap: of two writers of a new key one gets
	// errTaken.
	if err := soon(tx, errTaken, insertObject, keyed(v.Bucket, v.Key, append(valuesOf(v), 0)...)...); err != nil {
		return err
	}
	used := &usageChange{}
	used.add(v)
	return used.write(tx, v.Bucket)
}

// commitOver commits to a key that may hold an object.
// Everything happens in one transaction. If the process dies before its end, the key holds what it
// held, and the new body is still reserved.
func (s *Store) commitOver(ctx context.Context, c meta.Commit) error {
	return s.writeIn(ctx, func(tx Tx) error {
		if err := holdVersioning(tx, c.Version.Bucket, c.Versioning, c.Newest); err != nil {
			return err
		}
		// The new body is counted before the old one is dropped, because both are
		// the same when an object is copied onto itself to replace its metadata.
		return replace(tx, c.Version, c.Versioning, c.Expect, c.Prove, func() error { return addBody(tx, c) })
	})
}

// checkCommit refuses versions that no key can have.
// Each is an error of the caller. It must not reach the database, where it would be stored.
func checkCommit(v *meta.Version, versioning meta.Versioning) error {
	if err := checkKey(v.Key); err != nil {
		return err
	}
	if v.ID.IsZero() || v.Marker {
		return errors.New("commit of a marker, or of a version without an id: no such intent")
	}
	if v.Null != (versioning != meta.VersioningEnabled) {
		return fmt.Errorf("commit of a version, null %t, under versioning %d: no such intent", v.Null, versioning)
	}
	return checkChangeable(v.Marks, v.Class)
}

// checkChangeable returns ErrLimit for marks or a class that are too long.
func checkChangeable(marks []byte, class string) error {
	if len(marks) > meta.MaxMarks {
		return fmt.Errorf("%w: marks of %d bytes", meta.ErrLimit, len(marks))
	}
	if len(class) > meta.MaxClass {
		return fmt.Errorf("%w: a storage class of %d bytes", meta.ErrLimit, len(class))
	}
	return nil
}

var (
	insertObject = "INSERT INTO objects (" + objectColumns + ", rank, bucket_id, key) VALUES " +
		marks(strings.Count(objectColumns, ",")+4) + " ON CONFLICT DO NOTHING" + InAnyOrder
	updateObject = "UPDATE objects SET " + strings.ReplaceAll(objectColumns, ", ", " = ?, ") +
		" = ?, rank = ? WHERE bucket_id = ? AND key = ?" + InAnyOrder
)

// replace makes v current if the expectation holds and addBody succeeds. The
// bucket's versioning decides whether the displaced version is kept or dropped, as
// of the time when v was made.
// prove is asked about the displaced version only when its body would lose a reference.
func replace(tx Tx, v meta.Version, versioning meta.Versioning, e meta.Expect, prove meta.Prove, addBody func() error) error {
	cur, err := lockCurrent(tx, v.Bucket, v.Key, versioning)
	if err != nil {
		return err
	}
	// The expectation is compared under the lock, and before anything is changed.
	if err := cur.meets(e); err != nil {
		return err
	}
	if err := addBody(); err != nil {
		return err
	}
	used := &usageChange{}
	used.add(&v)
	switch {
	// A null version replaces a null version in the same row, and its rank stays. This is every
	// overwrite in a bucket without versions.
	case cur.holds() && cur.version.Null && v.Null:
		used.remove(&cur.version)
		if err := write(tx, updateObject, &v, cur.rank); err != nil {
			return err
		}
		if err := used.write(tx, v.Bucket); err != nil {
			return err
		}
		return cur.dropBody(tx, prove, v.Modified)
	case cur.exists():
		err = succeed(tx, cur, &v, prove, used)
	default:
		err = write(tx, insertObject, &v, 0)
		if err == nil && versioning != meta.VersioningOff {
			// See claim: a delete marker may be written to the same empty key at this moment.
			err = claim(tx, "versions", v.Bucket, v.Key)
		}
	}
	if err != nil {
		return err
	}
	return used.write(tx, v.Bucket)
}

// write runs a query that writes v into objects.
func write(tx Tx, query string, v *meta.Version, rank int64) error {
	return soon(tx, ErrRetry, query, keyed(v.Bucket, v.Key, append(valuesOf(v), rank)...)...)
}

// succeed makes v current after a version that is kept, unless that one is a null
// marker and v is null too.
// A marker is not in objects, so its successor is inserted there. The row of an object is
// overwritten: displace has copied it to versions before.
func succeed(tx Tx, cur *current, v *meta.Version, prove meta.Prove, used *usageChange) error {
	if err := makeWay(tx, cur, v.Null, v.Modified, prove, used); err != nil {
		return err
	}
	query := updateObject
	if cur.version.Marker {
		query = insertObject
	}
	return write(tx, query, v, cur.rank-1)
}

// makeWay displaces the current version; null says whether its successor is a null
// version. A null successor removes the former null version for good, whether that
// is current or not. Its row in objects stays for the successor.
func makeWay(tx Tx, cur *current, null bool, now time.Time, prove meta.Prove, used *usageChange) error {
	if null && cur.version.Null {
		used.remove(&cur.version)
		if cur.version.Marker {
			return cur.dropRow(tx)
		}
		return cur.dropBody(tx, prove, now)
	}
	if err := cur.displace(tx, now); err != nil || !null {
		return err
	}
	return dropNull(tx, cur.version.Bucket, cur.version.Key, now, prove, used)
}
