package sqlstore

import (
	"fmt"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Columns of both objects and versions. Those of the head are short and in the
// clear.
const (
	headColumns   = "version_id, null_version, owner, size, modified, generation, body_kind, body_id, encryption, class, lock_mode, lock_until, lock_hold, revision"
	listedColumns = "list_record, marks"
	secretColumns = "wrapped_key, manifest"
	lockedColumns = headColumns + ", " + listedColumns
	objectColumns = headColumns + ", " + listedColumns + ", " + secretColumns
)

// Columns that only versions has, and their substitutes for a row of objects.
const (
	placeColumns   = "marker, CASE WHEN displaced IS NULL THEN 1 ELSE 0 END AS latest, displaced, "
	currentColumns = "0 AS marker, 1 AS latest, CAST(NULL AS BIGINT) AS displaced, "
)

// qualified puts the table's name before every column.
// A listing of columns has its parts separated by a comma and one space.
func qualified(table, columns string) string {
	return table + "." + strings.ReplaceAll(columns, ", ", ", "+table+".")
}

// headOf returns the values of headColumns.
func headOf(v *meta.Version) []any {
	kind, body := bodyColumns(v.Body)
	return []any{v.ID[:], number(v.Null), v.Owner[:], v.Size, micros(v.Modified), int64(v.Generation), kind, body,
		int64(v.Encryption), text(v.Class), int64(v.Lock.Mode), lockUntil(v.Lock), number(v.Lock.Hold), v.Revision}
}

// valuesOf returns the values of objectColumns.
func valuesOf(v *meta.Version) []any {
	return append(headOf(v), blob(v.ListRecord), blob(v.Marks), blob(v.WrappedKey), blob(v.Manifest))
}

// lockUntil is NULL without a retention.
func lockUntil(l meta.Lock) any {
	if l.Mode == meta.LockNone {
		return nil
	}
	return micros(l.Until)
}

// number returns the stored value of a flag.
func number(flag bool) int64 {
	if flag {
		return 1
	}
	return 0
}

// scanVersion reads headColumns and further columns of the query. All are NULL if
// an outer join found no version.
func scanVersion(r Row, v *meta.Version, more ...any) error {
	var kind int64
	var body []byte
	dest := append(make([]any, 0, 14+len(more)), (*idColumn)(&v.ID), (*flagColumn)(&v.Null), (*idColumn)(&v.Owner),
		orZero(&v.Size), (*instantColumn)(&v.Modified), orZero(&v.Generation), orZero(&kind), &body,
		orZero(&v.Encryption), (*textColumn)(&v.Class), orZero(&v.Lock.Mode), (*instantColumn)(&v.Lock.Until),
		(*flagColumn)(&v.Lock.Hold), orZero(&v.Revision))
	err := r.Scan(append(dest, more...)...)
	if err != nil {
		return err
	}
	v.Body, err = bodyOf(kind, body)
	return err
}

// place returns the destinations of placeColumns.
func place(v *meta.Version) []any {
	return []any{(*flagColumn)(&v.Marker), (*flagColumn)(&v.Latest), (*instantColumn)(&v.Displaced)}
}

// listed returns the destinations of listedColumns.
func listed(v *meta.Version) []any { return []any{&v.ListRecord, &v.Marks} }

// secrets returns the destinations of listedColumns and secretColumns.
func secrets(v *meta.Version) []any {
	return []any{&v.ListRecord, &v.Marks, &v.WrappedKey, &v.Manifest}
}

// flagColumn reads 0 or 1; NULL is false.
type flagColumn bool

func (c *flagColumn) Scan(src any) error {
	n, ok := src.(int64)
	if src != nil && (!ok || n != 0 && n != 1) {
		return fmt.Errorf("flag column holds %v", src)
	}
	*c = n == 1
	return nil
}

// instantColumn reads microseconds; NULL is the zero time.
type instantColumn time.Time

func (c *instantColumn) Scan(src any) error {
	if src == nil {
		*c = instantColumn{}
		return nil
	}
	return (*timeColumn)(c).Scan(src)
}

// numberColumn reads a number within the range of its type; NULL is zero.
type numberColumn[T ~uint8 | ~uint32 | ~int64] struct{ to *T }

func orZero[T ~uint8 | ~uint32 | ~int64](to *T) numberColumn[T] { return numberColumn[T]{to} }

// A number that does not fit is the work of an edit, and an error: cut to the type it would be
// another one.
func (c numberColumn[T]) Scan(src any) error {
	n, ok := src.(int64)
	if src != nil && !ok || int64(T(n)) != n {
		return fmt.Errorf("number column holds %v", src)
	}
	*c.to = T(n)
	return nil
}
