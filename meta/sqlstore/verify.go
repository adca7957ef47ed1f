package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

const (
	// MaxFaults is the most faults in a report; further ones are only counted.
	MaxFaults = 10_000
	// verifyRows is the number of rows that one statement judges.
	verifyRows = 1000
	// verifyBodies is the number of blobs, and of uploads, that are counted in
	// memory at once, at about 100 bytes each. More are counted in several rounds.
	verifyBodies = 1_000_000
)

// damagedRow is the kind of an unreadable row.
const damagedRow = "damaged-row"

// Fault is one contradiction within a store.
type Fault struct {
	Kind   string `json:"kind"`
	Table  string `json:"table"`
	Row    string `json:"row,omitempty"` // its primary key
	Detail string `json:"detail"`
}

// VerifyReport is the result of Verify.
type VerifyReport struct {
	Rows   map[string]int64 `json:"rows"`   // by table
	Found  int64            `json:"found"`  // all faults, also those beyond MaxFaults
	Faults []Fault          `json:"faults"` // never nil
}

// Clean reports whether there are no faults.
func (r *VerifyReport) Clean() bool { return r.Found == 0 }

// Verify reads the whole store and reports missing parts of the schema, and rows
// that contradict one another. It opens no sealed data, asks no backend and changes
// nothing. Memory is bounded. It may run beside gateways. Each statement sees one
// state, but the next one sees a later state; so Verify looks twice, and reports
// only faults that were the same both times.
func (s *Store) Verify(ctx context.Context) (VerifyReport, error) {
	return s.verify(ctx, verifyBodies)
}

func (s *Store) verify(ctx context.Context, bodies int) (VerifyReport, error) {
	first := newVerification(s, bodies)
	if err := first.pass(ctx); err != nil || first.Clean() {
		return first.VerifyReport, err
	}
	second := newVerification(s, bodies)
	if err := second.pass(ctx); err != nil {
		return VerifyReport{}, err
	}
	if second.Found > MaxFaults || first.Found > MaxFaults { // too many to compare, so all are reported
		return second.VerifyReport, nil
	}
	both := VerifyReport{Rows: second.Rows, Faults: []Fault{}}
	for _, f := range second.Faults {
		if first.seen[f] {
			both.Faults = append(both.Faults, f)
		}
	}
	both.Found = int64(len(both.Faults))
	return both, nil
}

// verification is one pass over the store.
type verification struct {
	VerifyReport
	store  *Store
	run    Runner
	bodies int
	seen   map[Fault]bool
	// damaged: an unreadable row was found.
	damaged bool
}

func newVerification(s *Store, bodies int) *verification {
	return &verification{store: s, run: s.run, bodies: bodies, seen: make(map[Fault]bool),
		VerifyReport: VerifyReport{Rows: make(map[string]int64), Faults: []Fault{}}}
}

// fault reports a contradiction once.
func (v *verification) fault(f Fault) {
	if v.seen[f] {
		return
	}
	v.Found++
	v.damaged = v.damaged || f.Kind == damagedRow
	if len(v.Faults) < MaxFaults {
		v.seen[f] = true
		v.Faults = append(v.Faults, f)
	}
}

// pass checks everything. It skips the rows when the schema is not this release's.
func (v *verification) pass(ctx context.Context) error {
	all := append([]relation{deploymentTable}, tables...)
	for _, t := range all {
		if err := v.columns(ctx, t); err != nil {
			return err
		}
	}
	if !v.Clean() {
		return nil
	}
	rows := int64(0)
	for _, t := range all {
		if err := v.judge(ctx, t); err != nil {
			return fmt.Errorf("verify table %s: %w", t.name, err)
		}
		rows += v.Rows[t.name]
	}
	if rows > 0 && v.Rows[deploymentTable.name] == 0 {
		v.fault(Fault{Kind: "deployment-missing", Table: deploymentTable.name, Detail: "the store has rows, but not the deployment's row"})
	}
	if v.damaged {
		return nil // the other checks need rows that they can read
	}
	if err := v.uploads(ctx); err != nil {
		return fmt.Errorf("verify parts of uploads: %w", err)
	}
	if err := v.usage(ctx); err != nil {
		return fmt.Errorf("verify usage of buckets: %w", err)
	}
	return v.references(ctx)
}

// columns reads a row with all columns. An engine refuses this if one is missing.
func (v *verification) columns(ctx context.Context, t relation) error {
	err := v.probe(ctx, t.allColumns(), t.name)
	if err == nil || environment(ctx, err) {
		return err
	}
	if err := v.probe(ctx, "1", t.name); err != nil {
		if environment(ctx, err) {
			return err
		}
		v.fault(Fault{Kind: "table-missing", Table: t.name, Detail: "this release's schema has it"})
		return nil
	}
	for _, c := range t.columns {
		if err := v.probe(ctx, c, t.name); err == nil {
			continue
		} else if environment(ctx, err) {
			return err
		}
		v.fault(Fault{Kind: "column-missing", Table: t.name, Row: c, Detail: "this release's schema has it"})
	}
	return nil
}

func (v *verification) probe(ctx context.Context, columns, table string) error {
	return v.run.Read(ctx, func(tx Tx) error {
		rows, err := tx.Query("SELECT " + columns + " FROM " + table + " LIMIT 1")
		if err != nil {
			return err
		}
		// The row is read, because a driver may report an error of the statement only then.
		for rows.Next() {
		}
		return errors.Join(rows.Err(), rows.Close())
	})
}

// environment reports whether the statement failed for another reason than the
// schema.
func environment(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, meta.ErrUnavailable)
}

// judge counts the rows of a table and checks each against its rules.
func (v *verification) judge(ctx context.Context, t relation) error {
	var mine []rule
	for _, r := range rules {
		if r.table == t.name {
			mine = append(mine, r)
		}
	}
	v.Rows[t.name] = 0
	for after := row(nil); ; {
		end, err := v.judgePage(ctx, t, mine, after)
		if err != nil || end == nil {
			return err
		}
		after = end
	}
}

// judgePage judges a page of rows above a key, and returns the last key; nil after
// the last page. A page ends by a number of rows and not by a key, because Postgres
// uses an index of several columns efficiently for a LIMIT but not for an upper
// bound.
func (v *verification) judgePage(ctx context.Context, t relation, mine []rule, after row) (end row, err error) {
	where, args := t.above(after)
	page := "(SELECT " + t.allColumns() + " FROM " + t.name + " WHERE " + where + " ORDER BY " + t.keyColumns() + " LIMIT ?) AS " + t.name
	args = append(args, verifyRows)
	var n int64
	var bad []row
	err = v.run.Snapshot(ctx, func(tx Tx) (err error) {
		if end, err = t.pageEnd(tx, after, verifyRows); err != nil {
			return err
		}
		if err = tx.QueryRow("SELECT COUNT(*) FROM "+page, args...).Scan(&n); err != nil {
			return err
		}
		bad, err = broken(tx, t, mine, page, args)
		return err
	})
	if err != nil {
		return nil, err
	}
	v.Rows[t.name] += n
	for _, b := range bad {
		for i, r := range mine {
			if b[t.key+i] == int64(1) {
				v.fault(Fault{Kind: r.kind, Table: t.name, Row: b[:t.key].String(), Detail: r.detail})
			}
		}
	}
	return end, nil
}

// broken returns the keys of rows that break a rule, each with flags for the broken
// rules.
func broken(tx Tx, t relation, mine []rule, page string, args []any) ([]row, error) {
	if len(mine) == 0 {
		return nil, nil
	}
	query := "SELECT " + t.keyColumns()
	var conditions []string
	for _, r := range mine {
		query += ", CASE WHEN " + r.broken + " THEN 1 ELSE 0 END"
		conditions = append(conditions, r.broken)
	}
	query += " FROM " + page + " WHERE " + strings.Join(conditions, " OR ")
	return collect(tx, scanVerdict(t.key, len(mine)), query, args...)
}

// scanVerdict reads a key and one flag for each rule.
func scanVerdict(key, rules int) func(Row) (row, error) {
	return func(from Row) (row, error) {
		r, flags := make(row, key+rules), make([]int64, rules)
		dest := make([]any, 0, key+rules)
		for i := range key {
			dest = append(dest, &r[i])
		}
		for i := range flags {
			dest = append(dest, &flags[i])
		}
		err := from.Scan(dest...)
		for i, f := range flags {
			r[key+i] = f
		}
		return r, err
	}
}
