package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// A writer locks the key's current version before it changes the key's versions: an
// object in the table objects, or a marker in the table versions. So the versions
// of a key change in one order. A key without a current version has no version at
// all. The writer of its first version claims the key in both tables: see claim.

// current is the part of the displaced version that a write needs.
type current struct {
	version meta.Version // without WrappedKey and Manifest; its ID is zero if there is none
	rank    int64
}

// holds reports whether the key holds an object.
func (c *current) holds() bool { return c.exists() && !c.version.Marker }

// A marker exists too.
func (c *current) exists() bool { return !c.version.ID.IsZero() }

// lockCurrent reads the key's current version and keeps the key's versions
// unchanged until the transaction ends.
// Readers are not held up by the lock.
func lockCurrent(tx Tx, bucket meta.ID, key string, versioning meta.Versioning) (*current, error) {
	cur := &current{version: meta.Version{Bucket: bucket, Key: key, Latest: true}}
	err := scanVersion(tx.QueryRow("SELECT "+lockedColumns+", rank FROM objects WHERE bucket_id = ? AND key = ?"+forUpdate,
		bucket[:], text(key)), &cur.version, append(listed(&cur.version), &cur.rank)...)
	switch {
	case err == nil:
		return cur.under(versioning)
	case !errors.Is(err, sql.ErrNoRows):
		return nil, err
	case versioning == meta.VersioningOff:
		return &current{}, nil // the bucket never had versioning, so the key has no other versions
	}
	newest, err := lockNewest(tx, bucket, key)
	switch {
	case err != nil:
		return nil, err
	case newest.exists() && !(newest.version.Marker && newest.version.Latest):
		return nil, ErrRetry // it appeared or disappeared between the two statements
	case !newest.exists():
		return newest, stayEmpty(tx, bucket, key)
	}
	return newest, nil
}

// under returns the current object of a key, or ErrRetry: the bucket's versioning has
// changed, and its row is not visible yet.
func (c *current) under(versioning meta.Versioning) (*current, error) {
	if versioning == meta.VersioningOff && !c.version.Null {
		return nil, ErrRetry
	}
	return c, nil
}

// stayEmpty returns ErrRetry if the key has a version after all. When its marker is
// removed between the two statements, the last version moves from one table to the
// other. This statement reads both tables at the same moment.
func stayEmpty(tx Tx, bucket meta.ID, key string) error {
	there, err := exists(tx, "SELECT 1 FROM objects WHERE bucket_id = ? AND key = ? UNION ALL SELECT 1 FROM versions WHERE bucket_id = ? AND key = ? LIMIT 1",
		bucket[:], text(key), bucket[:], text(key))
	if err == nil && there {
		err = ErrRetry
	}
	return err
}

// lockNewest reads and locks the key's newest row in versions.
// Ranks count down, so the newest row has the lowest.
func lockNewest(tx Tx, bucket meta.ID, key string) (*current, error) {
	return lockVersion(tx, "", bucket, key)
}

// lockPublic reads and locks the version that clients name so, unless it is in
// objects. It refuses a row that was edited to carry the name of another version,
// so that the named version is the one that is removed.
func lockPublic(tx Tx, bucket meta.ID, key string, ref meta.VersionRef) (*current, error) {
	c, err := lockVersion(tx, " AND public = ?", bucket, key, ref.ID[:])
	if err == nil && c.exists() && c.version.Ref() != ref {
		return nil, fmt.Errorf("the row that is named as version %s of a key is that of version %s", ref, c.version.Ref())
	}
	return c, err
}

// The row's own bucket is read back, because a scan through the index of an edited database may
// return another.
func lockVersion(tx Tx, condition string, bucket meta.ID, key string, args ...any) (*current, error) {
	c := &current{version: meta.Version{Bucket: bucket, Key: key}}
	row := tx.QueryRow("SELECT "+lockedColumns+", rank, "+placeColumns+"bucket_id FROM versions WHERE bucket_id = ? AND key = ?"+condition+
		" ORDER BY bucket_id, key, rank LIMIT 1"+forUpdate, append([]any{bucket[:], text(key)}, args...)...)
	more := append(listed(&c.version), &c.rank)
	err := scanVersion(row, &c.version, append(append(more, place(&c.version)...), (*idColumn)(&c.version.Bucket))...)
	if errors.Is(err, sql.ErrNoRows) {
		return &current{}, nil
	}
	return c, err
}

// meets returns ErrConflict unless the expectation holds.
// ExpectVersion compares the id alone. Tags or a lock may have changed since.
func (c *current) meets(e meta.Expect) error {
	ok := false
	switch e.Kind {
	case meta.ExpectAny:
		ok = true
	// A delete marker is nothing to a writer: the key holds no object.
	case meta.ExpectAbsent:
		ok = !c.holds()
	case meta.ExpectVersion:
		ok = c.exists() && c.version.ID == e.Version
	case meta.ExpectRow:
		ok = c.exists() && c.version.ID == e.Version && c.version.Revision == e.Revision
	default:
		return fmt.Errorf("expectation of unknown kind %d", e.Kind)
	}
	if !ok {
		return meta.ErrConflict
	}
	return nil
}

// isNamed returns ErrConflict unless the named version meets the expectation. Here,
// a marker counts as a version.
func (c *current) isNamed(e meta.Expect) error {
	if e.Kind == meta.ExpectAbsent && c.exists() {
		return meta.ErrConflict
	}
	return c.meets(e)
}

// keyed appends bucket and key to the arguments.
func keyed(bucket meta.ID, key string, args ...any) []any {
	return append(args, bucket[:], text(key))
}

// claim makes two writers collide when one gives an empty key an object and the
// other a marker. Neither sees the other's row, and the rows are in different
// tables. So each also adds, and removes again, the row that would be the other's.
// All begin with objects.
func claim(tx Tx, table string, bucket meta.ID, key string) error {
	columns, values := "bucket_id, key, version_id, owner, size, modified, generation, body_kind", "?, ?, ?, ?, 0, 0, 0, 0"
	zero := meta.ID{}
	args := []any{bucket[:], text(key), zero[:], zero[:]}
	if table == "versions" {
		columns += ", rank, public, null_version, marker, encryption, lock_mode, lock_hold, revision"
		values += ", 0, ?, 0, 1, 0, 0, 0, 0"
		args = append(args, zero[:])
	}
	// The row never becomes visible: it is removed in the same transaction. Only its uniqueness
	// matters, on which the other writer waits.
	err := soon(tx, ErrRetry, "INSERT INTO "+table+" ("+columns+") VALUES ("+values+") ON CONFLICT DO NOTHING", args...)
	if err != nil {
		return err
	}
	condition := ""
	if table == "versions" {
		condition = " AND rank = 0"
	}
	return soon(tx, ErrRetry, "DELETE FROM "+table+" WHERE bucket_id = ? AND key = ?"+condition, keyed(bucket, key)...)
}

// displace keeps the current version as a noncurrent one. The row of an object in
// objects stays for its successor.
// The version keeps its id, rank and body. Only the time since when it is not current is added.
func (c *current) displace(tx Tx, now time.Time) error {
	v := &c.version
	if v.Marker {
		return soon(tx, ErrRetry, "UPDATE versions SET displaced = ? WHERE bucket_id = ? AND key = ? AND rank = ? AND displaced IS NULL",
			append(keyed(v.Bucket, v.Key, micros(now)), c.rank)...)
	}
	ref := v.Ref()
	return soon(tx, ErrRetry, "INSERT INTO versions (bucket_id, key, rank, public, marker, displaced, "+objectColumns+
		") SELECT bucket_id, key, rank, ?, 0, ?, "+objectColumns+" FROM objects WHERE bucket_id = ? AND key = ?",
		keyed(v.Bucket, v.Key, ref.ID[:], micros(now))...)
}

// dropRow removes a version's row, but not the reference to its body.
// ErrRetry if the row has gone, which cannot be while it is locked.
func (c *current) dropRow(tx Tx) error {
	if c.version.Latest && !c.version.Marker {
		return soon(tx, ErrRetry, "DELETE FROM objects WHERE bucket_id = ? AND key = ?", keyed(c.version.Bucket, c.version.Key)...)
	}
	return soon(tx, ErrRetry, "DELETE FROM versions WHERE bucket_id = ? AND key = ? AND rank = ?",
		append(keyed(c.version.Bucket, c.version.Key), c.rank)...)
}

// dropBody removes the reference to the version's body. An edited row may name the
// body of another version, so one that is not proven removes nothing: the bytes stay
// without use, and the caller still drops its row.
func (c *current) dropBody(tx Tx, prove meta.Prove, now time.Time) error {
	return c.dropBodyAhead(tx, &ahead{}, prove, now)
}

func (c *current) dropBodyAhead(tx Tx, a *ahead, prove meta.Prove, now time.Time) error {
	if c.version.Body.Kind == meta.BodyInline || !prove.Proves(&c.version) {
		return nil
	}
	return a.dropBody(tx, c.version.Body, now)
}

// found returns the version without its sealed parts.
func (c *current) found() meta.Version {
	v := c.version
	v.ListRecord, v.Marks = nil, nil
	return v
}

// drop removes a version for good.
// It does not look at locks. The caller does before.
func (c *current) drop(tx Tx, a *ahead, prove meta.Prove, now time.Time, used *usageChange) error {
	if err := c.dropRow(tx); err != nil {
		return err
	}
	used.remove(&c.version)
	return c.dropBodyAhead(tx, a, prove, now)
}

// dropNull removes the noncurrent null version of a key, if there is one, because a
// new null version replaces it.
// A current null version is not its business: that one is overwritten or displaced by the caller.
func dropNull(tx Tx, bucket meta.ID, key string, now time.Time, prove meta.Prove, used *usageChange) error {
	null, err := lockPublic(tx, bucket, key, meta.VersionRef{Null: true})
	if err != nil || !null.exists() {
		return err
	}
	return null.drop(tx, &ahead{}, prove, now, used)
}
