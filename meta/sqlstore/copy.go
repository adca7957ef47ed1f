package sqlstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

const (
	// copyRows and pageBytes bound one page, which is written in one transaction.
	copyRows  = 1000
	pageBytes = 4 << 20
)

// insertSizes are the numbers of rows that one statement inserts. They are few, so
// that few statements are parsed and cached. The last must be one.
var insertSizes = []int{64, 8, 1}

// Errors of Copy. None of them changes anything that a gateway serves.
var (
	// ErrTargetInUse: the target holds something that is not an unfinished copy
	// of the source.
	ErrTargetInUse = errors.New("sqlstore: the target of the copy is in use")
	// ErrSourceChanged: the source has changed since the copy was begun.
	ErrSourceChanged = errors.New("sqlstore: the source of the copy has changed since it was begun")
	// ErrCopyDiffers: target and source hold different rows.
	ErrCopyDiffers = errors.New("sqlstore: the copy differs from its source")
)

// CopyOptions are the options of Copy. The zero value is ready to use.
type CopyOptions struct {
	// Progress, if set, is called after every page with the number of rows of a
	// table that were copied in this run. It is called from the caller's goroutine.
	Progress func(table string, rows int64)
}

// Copied lists the rows that Copy found to be equal on both sides, without the
// deployment's row.
type Copied struct {
	Deployment meta.Deployment
	Rows       map[string]int64 // by table
}

// Copy copies a store into an empty one that Migrate has brought up to date, and
// makes the copy the store to serve. Until then, the target's Deployment returns
// meta.ErrUnfinished; afterwards, the source's Deployment returns meta.ErrMoved. No
// gateway may use either store meanwhile.
//
// To continue an interrupted copy, call Copy again with the same stores; rows that
// have arrived are not sent again. Before the copy takes over, all rows are read on
// both sides and compared, including those of earlier runs.
//
// Errors, beside those of either store: meta.ErrNotFound for a source without a
// deployment, meta.ErrUnfinished for a source that is itself an unfinished copy,
// meta.ErrMoved for one that was copied elsewhere; ErrTargetInUse,
// ErrSourceChanged, ErrCopyDiffers.
func Copy(ctx context.Context, from, to *Store, o CopyOptions) (Copied, error) {
	source, err := readDeployment(ctx, from.run)
	if err != nil {
		return Copied{}, fmt.Errorf("read the source: %w", err)
	}
	if source.state == deploymentArriving {
		return Copied{}, fmt.Errorf("read the source: %w", meta.ErrUnfinished)
	}
	// The target is marked before the first row arrives, so that no gateway can begin with half of
	// a store.
	if err := beginCopy(ctx, to.run, source); err != nil {
		return Copied{}, err
	}
	for _, t := range tables {
		if err := t.copyRows(ctx, from.run, to.run, o); err != nil {
			return Copied{}, fmt.Errorf("copy table %s: %w", t.name, err)
		}
	}
	done := Copied{Deployment: source.outward(), Rows: make(map[string]int64)}
	for _, t := range tables {
		if done.Rows[t.name], err = t.compare(ctx, from.run, to.run); err != nil {
			return Copied{}, err
		}
	}
	// The order matters: if the second call fails, no gateway serves either store,
	// and Copy can continue.
	if err := setState(ctx, from.run, deploymentMoved); err != nil {
		return Copied{}, fmt.Errorf("mark the source as moved: %w", err)
	}
	if err := setState(ctx, to.run, deploymentServing); err != nil {
		return Copied{}, fmt.Errorf("mark the copy as finished: %w", err)
	}
	return done, nil
}

// deploymentRow is the deployment's row without its state, and its state.
type deploymentRow struct {
	values row
	state  int64
}

func readDeployment(ctx context.Context, run Runner) (d deploymentRow, err error) {
	err = run.Read(ctx, func(tx Tx) (err error) {
		d, err = scanDeployment(tx)
		return err
	})
	return d, err
}

// scanDeployment returns meta.ErrNotFound for a store without a deployment.
func scanDeployment(tx Tx) (d deploymentRow, err error) {
	columns := len(deploymentTable.columns)
	values, err := scanRow(columns)(tx.QueryRow("SELECT " + deploymentTable.allColumns() + " FROM deployment"))
	if err != nil {
		return d, found(err, meta.ErrNotFound)
	}
	d.values = values[:columns-1]
	state, ok := values[columns-1].(int64)
	if !ok {
		return d, errors.New("the deployment's state is not a number")
	}
	d.state = state
	return d, nil
}

// outward returns the readable parts of the row as a meta.Deployment.
func (d deploymentRow) outward() (o meta.Deployment) {
	id, _ := d.values[1].([]byte)
	copy(o.ID[:], id)
	root, _ := d.values[2].([]byte)
	copy(o.Root[:], root)
	return o
}

// same reports whether both rows are of the same deployment, and whether nothing
// was written in between: a serving gateway counts its health checks in the row.
// The bytes of the whole row are compared, and not some columns that could be forgotten.
func (d deploymentRow) same(other deploymentRow) (deployment, unchanged bool) {
	id, ok := d.values[1].([]byte)
	theirs, also := other.values[1].([]byte)
	deployment = ok && also && bytes.Equal(id, theirs)
	return deployment, deployment && bytes.Equal(d.values.encode(nil), other.values.encode(nil))
}

// beginCopy writes the deployment's row into an empty target, so that no gateway
// begins another deployment there, or finds the row of an earlier run.
func beginCopy(ctx context.Context, to Runner, source deploymentRow) error {
	return to.Write(ctx, func(tx Tx) error {
		target, err := scanDeployment(tx)
		switch {
		case errors.Is(err, meta.ErrNotFound) && source.state == deploymentMoved:
			return fmt.Errorf("read the source: %w", meta.ErrMoved)
		case errors.Is(err, meta.ErrNotFound):
			return emptyTarget(tx, source)
		case err != nil:
			return err
		}
		same, unchanged := source.same(target)
		switch {
		case !same:
			return fmt.Errorf("%w: it holds deployment %s", ErrTargetInUse, target.outward().ID)
		case target.state != deploymentArriving:
			return fmt.Errorf("%w: it holds this deployment already", ErrTargetInUse)
		case !unchanged:
			return ErrSourceChanged
		}
		return nil
	})
}

func emptyTarget(tx Tx, source deploymentRow) error {
	for _, t := range tables {
		full, err := exists(tx, "SELECT 1 FROM "+t.name+" LIMIT 1")
		if err != nil {
			return err
		}
		if full {
			return fmt.Errorf("%w: table %s is not empty", ErrTargetInUse, t.name)
		}
	}
	values := append(append(row{}, source.values...), int64(deploymentArriving))
	return inserted(tx, ErrRetry, "INSERT INTO deployment ("+deploymentTable.allColumns()+") VALUES "+
		marks(len(values))+" ON CONFLICT DO NOTHING", values...)
}

func setState(ctx context.Context, run Runner, state int64) error {
	return run.Write(ctx, func(tx Tx) error {
		return changed(tx, meta.ErrNotFound, "UPDATE deployment SET state = ?", state)
	})
}

// copyRows copies the rows above the target's highest key. They are written in key
// order, a page in one transaction.
// A page has at most copyRows rows and about pageBytes bytes, and is in memory as a whole.
func (t relation) copyRows(ctx context.Context, from, to Runner, o CopyOptions) error {
	// Rows are written in the order of the key, so the highest key is where an interrupted run
	// stopped. compare finds a gap that an edit has made below it.
	after, err := t.last(ctx, to)
	if err != nil {
		return err
	}
	for copied := int64(0); ; {
		page, err := t.page(ctx, from, t.allColumns(), after, copyRows)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := to.Write(ctx, func(tx Tx) error { return t.insert(tx, page) }); err != nil {
			return err
		}
		after = page[len(page)-1][:t.key]
		copied += int64(len(page))
		if o.Progress != nil {
			o.Progress(t.name, copied)
		}
	}
}

// last returns the highest key; nil if there is none.
func (t relation) last(ctx context.Context, run Runner) (key row, err error) {
	query := "SELECT " + t.keyColumns() + " FROM " + t.name + " ORDER BY " + strings.Join(t.columns[:t.key], " DESC, ") + " DESC LIMIT 1"
	err = run.Read(ctx, func(tx Tx) error {
		rows, err := collect(tx, scanRow(t.key), query)
		key = nil
		if len(rows) > 0 {
			key = rows[0]
		}
		return err
	})
	return key, err
}

// insert adds rows, several with one statement.
func (t relation) insert(tx Tx, page []row) error {
	// Largest first: what one size leaves over, the next one takes. The last is one.
	for _, size := range insertSizes {
		query := "INSERT INTO " + t.name + " (" + t.allColumns() + ") VALUES " + marks(len(t.columns)) +
			strings.Repeat(", "+marks(len(t.columns)), size-1)
		for ; len(page) >= size; page = page[size:] {
			var values []any
			for _, r := range page[:size] {
				values = append(values, r...)
			}
			if err := tx.Later(anyRows, query, values...); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare reads the table on both sides and returns its number of rows, or
// ErrCopyDiffers.
// The rows are hashed on both sides and not sent again, so the memory is that of one page.
func (t relation) compare(ctx context.Context, from, to Runner) (rows int64, err error) {
	rows, want, err := t.digest(ctx, from)
	if err != nil {
		return 0, err
	}
	arrived, got, err := t.digest(ctx, to)
	if err != nil {
		return 0, err
	}
	if arrived != rows || !bytes.Equal(got, want) {
		return 0, fmt.Errorf("%w: table %s has %d rows, the source %d", ErrCopyDiffers, t.name, arrived, rows)
	}
	return rows, nil
}

// digest hashes all rows in key order.
// The order is that of the primary key, which is the same on every engine.
func (t relation) digest(ctx context.Context, run Runner) (rows int64, sum []byte, err error) {
	h := sha256.New()
	var after row
	for {
		page, err := t.page(ctx, run, t.allColumns(), after, copyRows)
		if err != nil {
			return 0, nil, err
		}
		if len(page) == 0 {
			return rows, h.Sum(nil), nil
		}
		var b []byte
		for _, r := range page {
			b = r.encode(b[:0])
			h.Write(b)
		}
		rows += int64(len(page))
		after = page[len(page)-1][:t.key]
	}
}

// encode appends the row. Different rows with the same number of columns have
// different encodings, except that empty bytes equal NULL, as everywhere in the
// store.
func (r row) encode(b []byte) []byte {
	for _, v := range r {
		switch v := v.(type) {
		case int64:
			b = binary.AppendVarint(append(b, 'n'), v)
		case []byte:
			b = binary.AppendUvarint(append(b, 'b'), uint64(len(v)))
			b = append(b, v...)
		default:
			b = append(b, 'b', 0)
		}
	}
	return b
}
