package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Who changes which versions a key has locks its current one, an object in the
// table objects or a marker in the table versions, so that the versions of a key
// change in one order. A key without a current version has none at all, and who
// gives it the first claims it in both tables: see claim.

// current is what a write needs to know of the version that it displaces.
type current struct {
	version meta.Version // without sealed parts; its ID is zero where there is none
	rank    int64
}

// holds reports whether the key holds an object.
func (c *current) holds() bool { return c.exists() && !c.version.Marker }

func (c *current) exists() bool { return !c.version.ID.IsZero() }

// lockCurrent reads the key's present version and keeps the key's versions from
// changing until the transaction ends.
func lockCurrent(tx Tx, bucket meta.ID, key string, versioning meta.Versioning) (*current, error) {
	cur := &current{version: meta.Version{Bucket: bucket, Key: key, Latest: true}}
	err := scanVersion(tx.QueryRow("SELECT "+headColumns+", rank FROM objects WHERE bucket_id = ? AND key = ?"+forUpdate,
		bucket[:], text(key)), &cur.version, &cur.rank)
	switch {
	case err == nil && versioning == meta.VersioningOff && !cur.version.Null:
		return nil, ErrRetry // the bucket's row has yet to say so
	case err == nil:
		return cur, nil
	case !errors.Is(err, sql.ErrNoRows):
		return nil, err
	case versioning == meta.VersioningOff:
		return &current{}, nil // it has no other version, for it never had
	}
	newest, err := lockNewest(tx, bucket, key)
	switch {
	case err != nil:
		return nil, err
	case newest.exists() && !(newest.version.Marker && newest.version.Latest):
		return nil, ErrRetry // it came or went between the two looks
	case !newest.exists():
		return newest, stayEmpty(tx, bucket, key)
	}
	return newest, nil
}

// stayEmpty returns ErrRetry if the key has a version after all: its marker may have
// been removed between the two looks, so that its last version went from one
// table to the other. Here both are looked at as of one moment.
func stayEmpty(tx Tx, bucket meta.ID, key string) error {
	there, err := exists(tx, "SELECT 1 FROM objects WHERE bucket_id = ? AND key = ? UNION ALL SELECT 1 FROM versions WHERE bucket_id = ? AND key = ? LIMIT 1",
		bucket[:], text(key), bucket[:], text(key))
	if err == nil && there {
		err = ErrRetry
	}
	return err
}

// lockNewest reads and locks the newest row that versions has of the key.
func lockNewest(tx Tx, bucket meta.ID, key string) (*current, error) {
	return lockVersion(tx, "", bucket, key)
}

// lockPublic reads and locks the version that clients name so, unless it is in
// objects. A row that was edited must not have another version removed than the one
// that was named.
func lockPublic(tx Tx, bucket meta.ID, key string, ref meta.VersionRef) (*current, error) {
	c, err := lockVersion(tx, " AND public = ?", bucket, key, ref.ID[:])
	if err == nil && c.exists() && c.version.Ref() != ref {
		return nil, fmt.Errorf("the row that is named as version %s of a key is that of version %s", ref, c.version.Ref())
	}
	return c, err
}

func lockVersion(tx Tx, condition string, bucket meta.ID, key string, args ...any) (*current, error) {
	c := &current{version: meta.Version{Bucket: bucket, Key: key}}
	row := tx.QueryRow("SELECT "+headColumns+", rank, "+placeColumns+"bucket_id FROM versions WHERE bucket_id = ? AND key = ?"+condition+
		" ORDER BY bucket_id, key, rank LIMIT 1"+forUpdate, append([]any{bucket[:], text(key)}, args...)...)
	err := scanVersion(row, &c.version, append(append([]any{&c.rank}, place(&c.version)...), (*idColumn)(&c.version.Bucket))...)
	if errors.Is(err, sql.ErrNoRows) {
		return &current{}, nil
	}
	return c, err
}

// meets returns ErrConflict unless the expectation holds.
func (c *current) meets(e meta.Expect) error {
	ok := false
	switch e.Kind {
	case meta.ExpectAny:
		ok = true
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

// isNamed returns ErrConflict unless the expectation of a version that was named holds:
// there a marker is a version as others are.
func (c *current) isNamed(e meta.Expect) error {
	if e.Kind == meta.ExpectAbsent && c.exists() {
		return meta.ErrConflict
	}
	return c.meets(e)
}

// keyed are arguments that end with the key.
func keyed(bucket meta.ID, key string, args ...any) []any {
	return append(args, bucket[:], text(key))
}

// claim makes two writers meet of which one gives an empty key an object and the
// other a marker. Neither sees what the other adds, and the rows are in different
// tables; so each also adds, and takes away again, the row that would be the
// other's. All do so in objects first.
func claim(tx Tx, table string, bucket meta.ID, key string) error {
	columns, values := "bucket_id, key, version_id, owner, size, modified, generation, body_kind", "?, ?, ?, ?, 0, 0, 0, 0"
	zero := meta.ID{}
	args := []any{bucket[:], text(key), zero[:], zero[:]}
	if table == "versions" {
		columns += ", rank, public, null_version, marker, encryption, lock_mode, lock_hold, revision"
		values += ", 0, ?, 0, 1, 0, 0, 0, 0"
		args = append(args, zero[:])
	}
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

// displace keeps the current version, or what it is and what it holds, as one that
// is no longer current. An object's row in objects stays, for another to take.
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

// dropRow removes a version's row; its body is another matter.
func (c *current) dropRow(tx Tx) error {
	if c.version.Latest && !c.version.Marker {
		return soon(tx, ErrRetry, "DELETE FROM objects WHERE bucket_id = ? AND key = ?", keyed(c.version.Bucket, c.version.Key)...)
	}
	return soon(tx, ErrRetry, "DELETE FROM versions WHERE bucket_id = ? AND key = ? AND rank = ?",
		append(keyed(c.version.Bucket, c.version.Key), c.rank)...)
}

// drop removes a version for good.
func (c *current) drop(tx Tx, now time.Time, used *usageChange) error {
	if err := c.dropRow(tx); err != nil {
		return err
	}
	used.remove(&c.version)
	return dropBody(tx, c.version.Body, now)
}

// dropNull removes the null version that a new one makes way for, if the key has
// one that is not current.
func dropNull(tx Tx, bucket meta.ID, key string, now time.Time, used *usageChange) error {
	null, err := lockPublic(tx, bucket, key, meta.VersionRef{Null: true})
	if err != nil || !null.exists() {
		return err
	}
	return null.drop(tx, now, used)
}
