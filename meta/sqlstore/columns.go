package sqlstore

import (
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Columns as they are read and bound. An empty []byte is bound as nil, because
// drivers differ in how they tell an empty blob from NULL.

func blob(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// text binds a name as bytes: a text column would compare under the collation of the database.
func text(s string) []byte { return blob([]byte(s)) }

// micros is the unit of all times in the store. Both engines hold it exactly in 64 bits.
func micros(t time.Time) int64 { return t.UnixMicro() }

// idColumn reads an id; NULL is the zero id.
type idColumn meta.ID

func (c *idColumn) Scan(src any) error { return fixed(c[:], src) }

// blobIDColumn reads a blob's id; NULL is the zero id.
type blobIDColumn meta.BlobID

func (c *blobIDColumn) Scan(src any) error { return fixed(c[:], src) }

// fixed copies a blob of exactly len(dest) bytes. An edited row of another length
// is an error and does not become another id.
func fixed(dest []byte, src any) error {
	switch b := src.(type) {
	case nil:
		clear(dest)
		return nil
	case []byte:
		if len(b) == len(dest) {
			copy(dest, b)
			return nil
		}
		return fmt.Errorf("id column of %d bytes, want %d", len(b), len(dest))
	}
	return fmt.Errorf("id column of type %T", src)
}

// timeColumn reads microseconds.
type timeColumn time.Time

// NULL is an error here. A column that may be NULL is read as instantColumn.
func (c *timeColumn) Scan(src any) error {
	us, ok := src.(int64)
	if !ok {
		return fmt.Errorf("time column of type %T", src)
	}
	*c = timeColumn(time.UnixMicro(us).UTC())
	return nil
}

// textColumn reads bytes into a string; NULL is the empty string.
type textColumn string

func (c *textColumn) Scan(src any) error {
	switch b := src.(type) {
	case nil:
		*c = ""
	case []byte:
		*c = textColumn(b)
	default:
		return fmt.Errorf("text column of type %T", src)
	}
	return nil
}

func scanText(r Row) (s string, err error) {
	err = r.Scan((*textColumn)(&s))
	return s, err
}

// bodyColumns returns body_kind and body_id.
func bodyColumns(b meta.Body) (kind int64, id []byte) {
	switch b.Kind {
	case meta.BodyBlob:
		return int64(b.Kind), b.Blob[:]
	case meta.BodyUpload:
		return int64(b.Kind), b.Upload[:]
	}
	return int64(b.Kind), nil
}

// bodyOf refuses what it does not know: a body of a later release must not be taken for an
// empty one.
func bodyOf(kind int64, id []byte) (b meta.Body, err error) {
	b.Kind = meta.BodyKind(kind)
	switch b.Kind {
	case meta.BodyInline:
		return b, nil
	case meta.BodyBlob:
		return b, fixed(b.Blob[:], id)
	case meta.BodyUpload:
		return b, fixed(b.Upload[:], id)
	}
	return b, fmt.Errorf("body of unknown kind %d", kind)
}

// joinBlobs and splitBlobs convert the column parts.blobs.
// The ids have one length, so they need no separator.
func joinBlobs(ids []meta.BlobID) []byte {
	var b []byte
	for i := range ids {
		b = append(b, ids[i][:]...)
	}
	return b
}

// Another length is the work of an edit, and an error: a shifted cut would name other blobs.
func splitBlobs(b []byte) ([]meta.BlobID, error) {
	const size = len(meta.BlobID{})
	if len(b)%size != 0 {
		return nil, fmt.Errorf("blobs column of %d bytes", len(b))
	}
	var ids []meta.BlobID
	for ; len(b) > 0; b = b[size:] {
		ids = append(ids, meta.BlobID(b))
	}
	return ids, nil
}
