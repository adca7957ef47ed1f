package sqlstore

import (
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// ahead holds the rows that the removals of one transaction look at. They are read and
// locked in one statement for each table: with a network in between, each look is a wait,
// and a batch would wait twice for each key. A row is handed out once, because its taker
// may change it: the next look is at the database.
type ahead struct {
	objects map[string]*current // by key; nil: there was none
	blobs   map[meta.BlobID]blobRow
}

// lookAhead reads the keys' current objects and, where the bucket never had versions and
// so removes them for good, their blobs.
func lookAhead(tx Tx, bucket meta.ID, versioning meta.Versioning, rs []meta.Removal) (*ahead, error) {
	a := &ahead{objects: make(map[string]*current)}
	// A single removal gains nothing, and its statements are those that are prepared already.
	if len(rs) < 2 {
		return a, nil
	}
	found, err := lockObjects(tx, bucket, rs)
	if err != nil {
		return nil, err
	}
	for _, r := range rs {
		a.objects[r.Key] = nil
	}
	var ids []meta.BlobID
	for _, c := range found {
		a.objects[c.version.Key] = c
		if b := c.version.Body; b.Kind == meta.BodyBlob {
			ids = append(ids, b.Blob)
		}
	}
	if versioning == meta.VersioningOff && len(ids) > 0 {
		a.blobs, err = lockBlobs(tx, ids)
	}
	return a, err
}

// lockCurrent is the function of that name.
func (a *ahead) lockCurrent(tx Tx, bucket meta.ID, key string, versioning meta.Versioning) (*current, error) {
	c, known := a.objects[key]
	delete(a.objects, key)
	switch {
	case c != nil:
		return c.under(versioning)
	case known && versioning == meta.VersioningOff:
		return &current{}, nil
	}
	return lockCurrent(tx, bucket, key, versioning)
}

// dropBody is the function of that name.
func (a *ahead) dropBody(tx Tx, b meta.Body, now time.Time) error {
	row, known := a.blobs[b.Blob]
	if b.Kind != meta.BodyBlob || !known {
		return dropBody(tx, b, now)
	}
	delete(a.blobs, b.Blob)
	return row.drop(tx, now)
}

// lockObjects reads and locks the keys' current objects in the order of the keys.
func lockObjects(tx Tx, bucket meta.ID, rs []meta.Removal) ([]*current, error) {
	keys := make([][]byte, len(rs))
	for i, r := range rs {
		keys[i] = text(r.Key)
	}
	n, args := together(keys)
	return collect(tx, func(r Row) (*current, error) {
		c := &current{version: meta.Version{Bucket: bucket, Latest: true}}
		err := scanVersion(r, &c.version, append(listed(&c.version), &c.rank, (*textColumn)(&c.version.Key))...)
		return c, err
	}, "SELECT "+lockedColumns+", rank, key FROM objects WHERE bucket_id = ? AND key IN ("+repeated("?", n)+") ORDER BY key"+forUpdate,
		append([]any{bucket[:]}, args...)...)
}

// lockBlobs reads and locks blobs in the order of their ids.
func lockBlobs(tx Tx, ids []meta.BlobID) (map[meta.BlobID]blobRow, error) {
	names := make([][]byte, len(ids))
	for i := range ids {
		names[i] = ids[i][:]
	}
	n, args := together(names)
	rows, err := collect(tx, func(r Row) (b blobRow, err error) {
		err = r.Scan((*blobIDColumn)(&b.id), &b.refs, &b.at)
		return b, err
	}, "SELECT id, refs, backend FROM blobs WHERE id IN ("+repeated("?", n)+") ORDER BY id"+forUpdate, args...)
	all := make(map[meta.BlobID]blobRow, len(rows))
	for _, b := range rows {
		all[b.id] = b
	}
	return all, err
}

// fewTogether is the smaller of two sizes of statements with a list of values. Engines
// keep each text that they have prepared, so lists of other lengths repeat a value.
const fewTogether = 10

// together are at most MaxBatch values as arguments of a list of one of the two sizes.
func together(values [][]byte) (n int, args []any) {
	n = fewTogether
	if len(values) > n {
		n = meta.MaxBatch
	}
	for i := range n {
		args = append(args, values[min(i, len(values)-1)])
	}
	return n, args
}
