package sqlstore

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

var (
	objectQuery = "SELECT " + objectColumns + " FROM objects WHERE bucket_id = ? AND key = ?"
	findQuery   = "SELECT " + qualified("o", objectColumns) + ", " + qualified("b", bucketColumns) +
		" FROM buckets AS b LEFT JOIN objects AS o ON o.bucket_id = b.id AND o.key = ? WHERE b.name = ?"
	vacantQuery = "SELECT " + qualified("b", bucketColumns) +
		", CASE WHEN EXISTS (SELECT 1 FROM objects AS o WHERE o.bucket_id = b.id AND o.key = ?) THEN 0 ELSE 1 END" +
		" FROM buckets AS b WHERE b.name = ?"
)

// Object implements meta.Objects. The table objects has no markers, so one look at the primary
// key is enough.
func (s *Store) Object(ctx context.Context, bucket meta.ID, key string) (v meta.Version, err error) {
	err = s.run.Read(ctx, func(tx Tx) error {
		v = meta.Version{Bucket: bucket, Key: key, Latest: true}
		err := scanVersion(tx.QueryRow(objectQuery, bucket[:], text(key)), &v, secrets(&v)...)
		return found(err, meta.ErrNotFound)
	})
	if err != nil {
		return meta.Version{}, err
	}
	return v, nil
}

// Find uses one statement, because it is half of the cost of a small GET or HEAD.
func (s *Store) Find(ctx context.Context, bucket, key string) (b meta.Bucket, v meta.Version, err error) {
	err = s.run.Read(ctx, func(tx Tx) error {
		b, v = meta.Bucket{}, meta.Version{}
		err := scanVersion(tx.QueryRow(findQuery, text(key), text(bucket)), &v, append(secrets(&v), bucketTo(&b)...)...)
		v.Bucket, v.Key, v.Latest = b.ID, key, !v.ID.IsZero()
		return found(err, meta.ErrNoBucket)
	})
	if err != nil {
		return meta.Bucket{}, meta.Version{}, err
	}
	return b, v, nil
}

// Vacant uses one statement too, because it precedes every PUT.
func (s *Store) Vacant(ctx context.Context, bucket, key string) (b meta.Bucket, vacant bool, err error) {
	err = s.run.Read(ctx, func(tx Tx) error {
		b = meta.Bucket{}
		err := tx.QueryRow(vacantQuery, text(key), text(bucket)).Scan(append(bucketTo(&b), (*flagColumn)(&vacant))...)
		return found(err, meta.ErrNoBucket)
	})
	if err != nil {
		return meta.Bucket{}, false, err
	}
	return b, vacant, nil
}

var (
	versionOfObjects  = "SELECT rank, " + currentColumns + objectColumns + " FROM objects WHERE bucket_id = ? AND key = ?"
	versionOfVersions = "SELECT rank, " + placeColumns + objectColumns + " FROM versions WHERE bucket_id = ? AND key = ?"

	versionQuery = "SELECT " + objectColumns + ", marker, latest, displaced FROM ("
	newestQuery  = versionQuery + versionOfObjects + " UNION ALL SELECT * FROM (" + versionOfVersions +
		" AND NOT EXISTS (SELECT 1 FROM objects WHERE bucket_id = ? AND key = ?) ORDER BY bucket_id, key, rank LIMIT 1) AS newest) AS named"
	namedQuery = versionQuery + versionOfObjects + " AND version_id = ? AND null_version = 0 UNION ALL " +
		versionOfVersions + " AND public = ?) AS named"
	nullQuery = versionQuery + versionOfObjects + " AND null_version = 1 UNION ALL " + versionOfVersions + " AND public = ?) AS named"
)

// Version implements meta.Objects. One statement asks both tables, because a commit moves the
// current version from one to the other.
func (s *Store) Version(ctx context.Context, bucket meta.ID, key string, ref meta.VersionRef) (v meta.Version, err error) {
	query, args := namedQuery, []any{bucket[:], text(key), ref.ID[:], bucket[:], text(key), ref.ID[:]}
	switch {
	case ref.Null:
		query, args = nullQuery, []any{bucket[:], text(key), bucket[:], text(key), make([]byte, len(ref.ID))}
	case ref.IsZero():
		query, args = newestQuery, []any{bucket[:], text(key), bucket[:], text(key), bucket[:], text(key)}
	}
	err = s.run.Read(ctx, func(tx Tx) error {
		v = meta.Version{Bucket: bucket, Key: key}
		err := scanVersion(tx.QueryRow(query, args...), &v, append(secrets(&v), place(&v)...)...)
		return found(err, meta.ErrNotFound)
	})
	if err != nil {
		return meta.Version{}, err
	}
	return v, nil
}
