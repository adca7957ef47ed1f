package sqlstore

import (
	"context"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Untrimmed implements meta.Uploads, by an index over (state, since, id).
func (s *Store) Untrimmed(ctx context.Context, after meta.TrimPosition, limit int) (us []meta.Untrimmed, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		us, err = collect(tx, scanUntrimmed, "SELECT "+uploadColumns+`, since FROM uploads
			WHERE state = ? AND `+possibleID+` AND (since, id) > (?, ?) ORDER BY since, id LIMIT ?`, uploadTrimming, micros(after.Since), after.ID[:], limit)
		return err
	})
	return us, err
}

func scanUntrimmed(r Row) (u meta.Untrimmed, err error) {
	n := strings.Count(uploadColumns, ",") + 1
	raw, err := scanRow(n + 1)(r)
	if err != nil {
		return u, err
	}
	if u.Upload, err = scanUnreadable(raw[:n]); err != nil {
		return u, err
	}
	u.At.ID = u.ID
	return u, (*timeColumn)(&u.At.Since).Scan(raw[n])
}

// scanUnreadable is scanUpload, but for a row that an edit made unreadable it
// returns the id.
func scanUnreadable(r Row) (u meta.Upload, err error) {
	raw, err := scanRow(strings.Count(uploadColumns, ",") + 1)(r)
	if err != nil {
		return u, err
	}
	if u, err = scanUpload(raw); err != nil {
		u = meta.Upload{State: meta.UploadCompleted}
		id, _ := raw[0].([]byte)
		copy(u.ID[:], id)
	}
	return u, nil
}

// TrimUploads implements meta.Uploads.
func (s *Store) TrimUploads(ctx context.Context, uploads []meta.Trim, limit int, now time.Time) (done int, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return 0, err
	}
	if len(uploads) > meta.MaxBatch {
		return 0, checkCount("uploads", len(uploads), meta.MaxBatch)
	}
	for i := range uploads {
		if _, err := countChosen(uploads[i].Chosen); err != nil {
			return 0, err
		}
	}
	err = s.run.Write(ctx, func(tx Tx) error {
		w := &sweep{tx: tx, limit: limit, now: now}
		defer func() { done = w.done }()
		for i := range uploads {
			if err := w.trimUpload(&uploads[i]); err != nil || w.full || w.done >= limit {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return done, nil
}

// trimUpload removes the parts of one completed upload that the Trim does not keep.
func (w *sweep) trimUpload(t *meta.Trim) error {
	waits, err := exists(w.tx, "SELECT 1 FROM uploads WHERE id = ? AND state = ?"+forUpdate, t.Upload[:], uploadTrimming)
	if err != nil || !waits {
		return err
	}
	// With no runs all parts stay, and the upload only leaves the list.
	if len(t.Chosen) > 0 {
		left, err := w.dropParts(t.Upload, t.Chosen, t.Prove)
		if err != nil || left {
			return err
		}
	}
	w.done++
	return changed(w.tx, ErrRetry, "UPDATE uploads SET state = ? WHERE id = ?", uploadCompleted, t.Upload[:])
}
