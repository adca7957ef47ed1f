package sqlstore

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

const partColumns = "number, attempt, size, modified, blobs, record"

func scanPart(upload meta.ID) func(Row) (meta.Part, error) {
	return func(r Row) (p meta.Part, err error) {
		var blobs []byte
		p.Upload = upload
		err = r.Scan(&p.Number, (*idColumn)(&p.Attempt), &p.Size, (*timeColumn)(&p.Modified), &blobs, &p.Record)
		if err != nil {
			return p, err
		}
		p.Blobs, err = splitBlobs(blobs)
		return p, err
	}
}

// heldColumns are what the removal of a part goes by.
const heldColumns = "number, attempt, size, blobs, record"

// heldPart is a part whose row is removed or replaced.
type heldPart struct {
	meta.Part
	unreadable bool // an edit made it so
}

// scanHeld reads heldColumns, also of a row that an edit made unreadable.
func scanHeld(upload meta.ID) func(Row) (heldPart, error) {
	return func(r Row) (p heldPart, err error) {
		var attempt, blobs []byte
		p.Upload = upload
		if err := r.Scan(&p.Number, &attempt, &p.Size, &blobs, &p.Record); err != nil {
			return p, err
		}
		p.Blobs, err = splitBlobs(blobs)
		p.unreadable = err != nil || fixed(p.Attempt[:], attempt) != nil
		return p, nil
	}
}

// proven reports whether the row is believed.
func (p *heldPart) proven(prove meta.ProvePart) bool {
	return !p.unreadable && prove.Proves(&p.Part)
}

// Parts implements meta.Uploads.
func (s *Store) Parts(ctx context.Context, upload meta.ID, after, limit int) (ps []meta.Part, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		// A dying upload that was a body keeps its rows for readers until Sweep.
		ps, err = collect(tx, scanPart(upload), "SELECT "+partColumns+` FROM parts WHERE upload_id = ? AND number > ?
			AND EXISTS (SELECT 1 FROM uploads WHERE id = ? AND (state <> ? OR version_id IS NOT NULL))
			ORDER BY number LIMIT ?`, upload[:], after, upload[:], uploadDying, limit)
		return err
	})
	return ps, err
}

// scanLenient is scanPart that leaves unset what cannot be read.
func scanLenient(upload meta.ID) func(Row) (meta.Part, error) {
	return func(r Row) (meta.Part, error) {
		row := &lenientRow{Row: r}
		p, err := scanPart(upload)(row)
		if row.read {
			err = nil
		}
		return p, err
	}
}

// ScanParts implements meta.Uploads.
func (s *Store) ScanParts(ctx context.Context, upload meta.ID, after, limit int) (ps []meta.Part, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		ps, err = collect(tx, scanLenient(upload),
			"SELECT "+partColumns+" FROM parts WHERE upload_id = ? AND number > ? ORDER BY number LIMIT ?", upload[:], after, limit)
		return err
	})
	return ps, err
}
