package edits

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// DB is a store's database, edited by hand.
type DB struct {
	*sql.DB
	Tables   []Table
	numbered bool // placeholders are $1, $2, …
}

// words turns a statement into the engine's.
func (d *DB) words(statement string) string {
	for n := 1; d.numbered && strings.Contains(statement, "?"); n++ {
		statement = strings.Replace(statement, "?", fmt.Sprint("$", n), 1)
	}
	return statement
}

// Table is one table as the database itself says it is.
type Table struct {
	Name    string
	Columns []string
	Key     []int // columns of the primary key
}

// Row is the values of a table's columns: int64, []byte or nil.
type Row []any

// ReadTables reads the schema, without the tables of the engine and of migrations.
func ReadTables(ctx context.Context, db *sql.DB) (*DB, error) {
	d := &DB{DB: db}
	return d, d.read(ctx, "SELECT name, pk FROM pragma_table_info(?) ORDER BY cid",
		"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%' ORDER BY name")
}

// ReadPostgres is ReadTables of PostgreSQL.
func ReadPostgres(ctx context.Context, db *sql.DB) (*DB, error) {
	d := &DB{DB: db, numbered: true}
	return d, d.read(ctx, `SELECT c.column_name, (SELECT COUNT(*) FROM information_schema.key_column_usage AS k
			JOIN information_schema.table_constraints AS p ON p.constraint_name = k.constraint_name AND p.constraint_type = 'PRIMARY KEY'
			WHERE k.table_name = c.table_name AND k.column_name = c.column_name)
		FROM information_schema.columns AS c WHERE c.table_schema = 'public' AND c.table_name = ? ORDER BY c.ordinal_position`,
		"SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name NOT LIKE 'goose_%' ORDER BY table_name")
}

func (d *DB) read(ctx context.Context, columns, tables string) error {
	names, err := strs(ctx, d.DB, tables)
	if err != nil {
		return err
	}
	for _, name := range names {
		t := Table{Name: name}
		rows, err := d.QueryContext(ctx, d.words(columns), name)
		if err != nil {
			return err
		}
		for i := 0; rows.Next(); i++ {
			var column string
			var key int
			if err := rows.Scan(&column, &key); err != nil {
				return err
			}
			t.Columns = append(t.Columns, column)
			if key > 0 {
				t.Key = append(t.Key, i)
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		d.Tables = append(d.Tables, t)
	}
	return nil
}

// openDB opens a store's file beside the store.
func openDB(ctx context.Context, path string) (*DB, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=synchronous(OFF)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return ReadTables(ctx, db)
}

func strs(ctx context.Context, db *sql.DB, query string) (all []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// Rows reads a whole table in the order of its key.
func (d *DB) Rows(ctx context.Context, t Table) (all []Row, err error) {
	var order []string
	for _, i := range t.Key {
		order = append(order, t.Columns[i])
	}
	rows, err := d.QueryContext(ctx, "SELECT "+strings.Join(t.Columns, ", ")+" FROM "+t.Name+" ORDER BY "+strings.Join(order, ", "))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r, dest := make(Row, len(t.Columns)), make([]any, len(t.Columns))
		for i := range r {
			dest[i] = &r[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// All reads every table.
func (d *DB) All(ctx context.Context) (map[string][]Row, error) {
	all := make(map[string][]Row, len(d.Tables))
	for _, t := range d.Tables {
		rows, err := d.Rows(ctx, t)
		if err != nil {
			return nil, err
		}
		all[t.Name] = rows
	}
	return all, nil
}

// Replace puts rows in the place of others. An error is one of the schema's, which
// admits no such row.
func (d *DB) Replace(ctx context.Context, t Table, old, now []Row) error {
	tx, err := d.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, r := range old {
		var where []string
		var args []any
		for _, i := range t.Key {
			where, args = append(where, t.Columns[i]+" = ?"), append(args, r[i])
		}
		if _, err := tx.ExecContext(ctx, d.words("DELETE FROM "+t.Name+" WHERE "+strings.Join(where, " AND ")), args...); err != nil {
			return err
		}
	}
	for _, r := range now {
		if _, err := tx.ExecContext(ctx, d.words("INSERT INTO "+t.Name+" ("+strings.Join(t.Columns, ", ")+") VALUES (?"+strings.Repeat(", ?", len(r)-1)+")"), r...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Restore makes every table what it was.
func (d *DB) Restore(ctx context.Context, was map[string][]Row) error {
	for _, t := range d.Tables {
		now, err := d.Rows(ctx, t)
		if err != nil {
			return err
		}
		if sameRows(now, was[t.Name]) {
			continue
		}
		if err := d.Replace(ctx, t, now, was[t.Name]); err != nil {
			return fmt.Errorf("restore %s: %w", t.Name, err)
		}
	}
	return nil
}

func sameRows(a, b []Row) bool { return slices.EqualFunc(a, b, sameRow) }

func sameRow(a, b Row) bool { return slices.EqualFunc(a, b, sameValue) }

func sameValue(a, b any) bool {
	x, ok := a.([]byte)
	y, and := b.([]byte)
	if ok && and {
		return bytes.Equal(x, y)
	}
	return ok == and && a == b
}

func (t Table) sameKey(a, b Row) bool {
	for _, i := range t.Key {
		if !sameValue(a[i], b[i]) {
			return false
		}
	}
	return true
}

// Edit is one edit of a table: rows put in the place of others.
type Edit struct {
	Table  Table
	Column string // empty: of whole rows
	Kind   Kind
	Old    []Row
	New    []Row
}

func (e Edit) String() string {
	if e.Column == "" {
		return fmt.Sprintf("%s: %s", e.Table.Name, e.Kind)
	}
	return fmt.Sprintf("%s.%s: %s", e.Table.Name, e.Column, e.Kind)
}

// Kind is what is done to a cell or a row.
type Kind string

const (
	Null     Kind = "NULL"
	Zero     Kind = "zero"
	Another  Kind = "another row's value"
	Flipped  Kind = "a flipped bit"
	More     Kind = "one more"
	Swapped  Kind = "swapped with another row's"
	Exchange Kind = "two rows change places"
	Removed  Kind = "the row is removed"
	Forged   Kind = "a row is forged"
	Rolled   Kind = "the row is put back to what it was"
)

// Edits are all of a table with these rows; before are the rows at an earlier time.
func Edits(t Table, rows, before []Row) (all []Edit) {
	add := func(column string, kind Kind, old, now []Row) {
		if !sameRows(old, now) {
			all = append(all, Edit{t, column, kind, old, now})
		}
	}
	with := func(r Row, i int, v any) []Row {
		now := slices.Clone(r)
		now[i] = v
		return []Row{now}
	}
	for n, r := range rows {
		other := rows[(n+1)%len(rows)]
		for i, column := range t.Columns {
			add(column, Null, []Row{r}, with(r, i, nil))
			switch v := r[i].(type) {
			case int64:
				add(column, Zero, []Row{r}, with(r, i, int64(0)))
				add(column, More, []Row{r}, with(r, i, v+1))
			case []byte:
				add(column, Zero, []Row{r}, with(r, i, make([]byte, len(v))))
				flipped := slices.Clone(v)
				if len(flipped) > 0 {
					flipped[len(flipped)-1] ^= 1
				}
				add(column, Flipped, []Row{r}, with(r, i, flipped))
			}
			if n == len(rows)-1 && n > 0 || len(rows) == 1 {
				continue
			}
			add(column, Another, []Row{r}, with(r, i, other[i]))
			if !slices.Contains(t.Key, i) || len(t.Key) > 1 {
				a, b := slices.Clone(r), slices.Clone(other)
				a[i], b[i] = b[i], a[i]
				add(column, Swapped, []Row{r, other}, []Row{a, b})
			}
		}
		add("", Removed, []Row{r}, nil)
		forged := slices.Clone(r)
		last := t.Key[len(t.Key)-1]
		switch v := forged[last].(type) {
		case int64:
			forged[last] = v + 1000
		case []byte:
			name := slices.Clone(v)
			name[len(name)-1] ^= 3
			forged[last] = name
		}
		for i, column := range t.Columns { // what is unique beside the key
			if v, ok := forged[i].([]byte); ok && (column == "name" || column == "folded" || column == "public") && !slices.Contains(t.Key, i) {
				name := slices.Clone(v)
				name[len(name)-1] ^= 3
				forged[i] = name
			}
		}
		all = append(all, Edit{t, "", Forged, nil, []Row{forged}})
		for _, other := range rows[n+1:] {
			a, b := slices.Clone(r), slices.Clone(other)
			for i := range a {
				if !slices.Contains(t.Key, i) {
					a[i], b[i] = b[i], a[i]
				}
			}
			add("", Exchange, []Row{r, other}, []Row{a, b})
		}
		for _, was := range before {
			if t.sameKey(was, r) {
				add("", Rolled, []Row{r}, []Row{was})
			}
		}
	}
	return all
}
