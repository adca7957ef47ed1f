package sqlstore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Access to tables for Verify and Copy. Rows are read in pages by primary key,
// whose order is the same on every engine: numbers by value, bytes as bytes.

// relation is one table of the shared schema. Tables of one engine are not
// included.
type relation struct {
	name    string
	key     int // the number of columns, from the first, that are the primary key
	columns []string
}

func newRelation(name string, key int, columns string) relation {
	return relation{name, key, strings.Fields(columns)}
}

// deploymentTable has at most one row. Its state is not copied.
var deploymentTable = newRelation("deployment", 1, "one id root seed created checks demands sealing record resealed state")

// tables are all tables except the deployment's.
var tables = []relation{
	newRelation("backends", 1, "id name living state created epoch drain_target drain_round drain_after drain_left drain_blobs drain_bytes"),
	newRelation("leases", 1, "name holder fence"),
	newRelation("users", 1, "id name created residency limits record"),
	newRelation("access_keys", 1, "id user_id secret created inactive record"),
	newRelation("identities", 1, "id tenant kind folded name created revision document"),
	newRelation("buckets", 1, "id name owner region residency backend created settings versioning locks revision generation record"),
	newRelation("bucket_seeds", 2, "bucket_id generation wrapped key created state"),
	newRelation("bucket_settings", 2, "bucket_id name document"),
	newRelation("dying_buckets", 1, "id"),
	newRelation("objects", 2, "bucket_id key version_id owner size modified generation body_kind body_id list_record wrapped_key manifest null_version rank encryption class lock_mode lock_until lock_hold revision marks"),
	newRelation("versions", 3, "bucket_id key rank public version_id null_version marker displaced owner size modified generation body_kind body_id encryption class lock_mode lock_until lock_hold revision list_record marks wrapped_key manifest"),
	newRelation("usage", 1, "bucket_id bytes versions markers uploads parts part_bytes"),
	newRelation("usage_changes", 2, "bucket_id id bytes versions"),
	newRelation("entry_changes", 2, "bucket_id id markers uploads parts part_bytes"),
	newRelation("renames", 1, "token digest made"),
	newRelation("uploads", 1, "id bucket_id key owner created generation state since revision refs parts version_id wrapped_key settings chosen counted counted_parts counted_bytes"),
	newRelation("parts", 2, "upload_id number attempt size modified blobs record"),
	newRelation("jobs", 1, "name document"),
	newRelation("holders", 1, "id beat sealing"),
	newRelation("reservations", 1, "id holder backend changed"),
	newRelation("blobs", 1, "id refs backend"),
	newRelation("copies", 2, "id backend holder changed"),
	newRelation("condemned", 2, "id backend changed"),
}

// row is the values of a table's columns: int64, []byte or nil.
type row []any

func (t relation) keyColumns() string { return strings.Join(t.columns[:t.key], ", ") }

func (t relation) allColumns() string { return strings.Join(t.columns, ", ") }

// marks returns n placeholders in parentheses.
func marks(n int) string { return "(?" + strings.Repeat(", ?", n-1) + ")" }

// above returns a condition for the rows above a key; for nil, all rows.
func (t relation) above(after row) (condition string, args []any) {
	if after == nil {
		return "1 = 1", nil
	}
	return "(" + t.keyColumns() + ") > " + marks(t.key), append(args, after...)
}

// pageEnd returns the key of the n-th row above a key; nil if there are fewer.
func (t relation) pageEnd(tx Tx, after row, n int) (row, error) {
	where, args := t.above(after)
	rows, err := collect(tx, scanRow(t.key), "SELECT "+t.keyColumns()+" FROM "+t.name+" WHERE "+where+
		" ORDER BY "+t.keyColumns()+" LIMIT 1 OFFSET ?", append(args, n-1)...)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

// page returns at most limit rows above a key with the given columns, and stops
// after pageBytes. An empty page is the end.
func (t relation) page(ctx context.Context, run Runner, columns string, after row, limit int) (page []row, err error) {
	where, args := t.above(after)
	query := "SELECT " + columns + " FROM " + t.name + " WHERE " + where + " ORDER BY " + t.keyColumns() + " LIMIT ?"
	scan := scanRow(strings.Count(columns, ",") + 1)
	err = run.Read(ctx, func(tx Tx) error {
		page = nil
		rows, err := tx.Query(query, append(args, limit)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for size := 0; size < pageBytes && rows.Next(); {
			r, err := scan(rows)
			if err != nil {
				return fmt.Errorf("read table %s: %w", t.name, err)
			}
			page = append(page, r)
			size += r.size()
		}
		return rows.Err()
	})
	return page, err
}

// scanRow reads n columns of the types that a store has.
func scanRow(n int) func(Row) (row, error) {
	return func(from Row) (row, error) {
		r, dest := make(row, n), make([]any, n)
		for i := range r {
			dest[i] = &r[i]
		}
		if err := from.Scan(dest...); err != nil {
			return nil, err
		}
		for i, v := range r {
			switch v.(type) {
			case nil, int64, []byte:
			default:
				return nil, fmt.Errorf("column %d holds a %T", i+1, v)
			}
		}
		return r, nil
	}
}

// Scan implements Row for values that were already read.
func (r row) Scan(dest ...any) error {
	for i, d := range dest {
		var err error
		switch d := d.(type) {
		case sql.Scanner:
			err = d.Scan(r[i])
		case *any:
			*d = r[i]
		case *[]byte:
			*d, _ = r[i].([]byte)
		case *int64:
			*d, err = within(r[i], math.MinInt64, math.MaxInt64)
		case *uint32:
			var n int64
			n, err = within(r[i], 0, math.MaxUint32)
			*d = uint32(n)
		default:
			err = fmt.Errorf("it is read into a %T", d)
		}
		if err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return nil
}

// within returns v if it is a number from least to most.
func within(v any, least, most int64) (int64, error) {
	n, ok := v.(int64)
	if !ok || n < least || n > most {
		return 0, fmt.Errorf("%v is no number from %d to %d", v, least, most)
	}
	return n, nil
}

// size estimates the memory of the row.
func (r row) size() (n int) {
	for _, v := range r {
		b, _ := v.([]byte)
		n += len(b) + 16
	}
	return n
}

// String formats a key for people: ids as hexadecimal digits, names in quotes.
func (r row) String() string {
	var words []string
	for _, v := range r {
		switch v := v.(type) {
		case []byte:
			words = append(words, legible(v))
		default:
			words = append(words, fmt.Sprint(v))
		}
	}
	return strings.Join(words, " ")
}

func legible(b []byte) string {
	for _, c := range string(b) {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return hex.EncodeToString(b)
		}
	}
	return fmt.Sprintf("%q", b)
}
