package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// sweepBatch is the number of parts that one statement of a sweep reads.
const sweepBatch = 100

// Sweep counts every row that it removes, ends or dates, and every reference that
// it removes. A part is removed with all its blobs or not at all, so the first part
// of a call may exceed a limit below 1+MaxPartBlobs.
func (s *Store) Sweep(ctx context.Context, limit int, ended, now time.Time, judge meta.JudgeParts) (done int, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return 0, err
	}
	err = s.run.Write(ctx, func(tx Tx) error {
		w := &sweep{tx: tx, limit: limit, ended: ended, now: now, judge: judge}
		defer func() { done = w.done }()
		// Dates come first, so that an upload that has just ended, or has an impossible date,
		// is dated even if the rest of the limit is used up by removals.
		for _, step := range []func() (bool, error){w.dateEnded, w.redateUploads, w.redateBlobs, w.dyingUpload, w.dyingBucket} {
			for more := true; more; {
				var err error
				if more, err = step(); err != nil {
					return err
				}
				if w.done >= limit || w.full {
					return nil
				}
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return done, nil
}

// sweep is one call of Sweep. Each step reports whether it may find more.
type sweep struct {
	tx    Tx
	limit int
	done  int
	full  bool // the next part does not fit within limit, or its upload cannot be judged
	judge meta.JudgeParts
	ended time.Time
	now   time.Time
}

// dateEnded dates uploads that ended without a time.
func (w *sweep) dateEnded() (more bool, err error) {
	ids, err := collect(w.tx, scanID, "SELECT id FROM uploads WHERE state = ? AND since IS NULL AND "+possibleID+" LIMIT ?", uploadDying, w.limit-w.done)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if err := changed(w.tx, ErrRetry, "UPDATE uploads SET since = ? WHERE id = ?", micros(w.now), id[:]); err != nil {
			return false, err
		}
		w.done++
	}
	return false, nil
}

// ahead is the latest possible time of an end or a condemnation. A later one is the
// work of a wrong clock, and would keep the row until then.
func (w *sweep) ahead() int64 { return micros(w.now.Add(meta.MaxClockSkew)) }

// redateUploads gives the current time to uploads that ended in the future.
func (w *sweep) redateUploads() (more bool, err error) {
	ids, err := collect(w.tx, scanID, "SELECT id FROM uploads WHERE state = ? AND since > ? AND "+possibleID+" LIMIT ?", uploadDying, w.ahead(), w.limit-w.done)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if err := changed(w.tx, ErrRetry, "UPDATE uploads SET since = ? WHERE id = ?", micros(w.now), id[:]); err != nil {
			return false, err
		}
		w.done++
	}
	return false, nil
}

// redateBlobs does the same for blobs that were condemned in the future. It goes
// through the few backends first, because the index orders a backend's blobs by
// that time.
func (w *sweep) redateBlobs() (more bool, err error) {
	dead, err := collect(w.tx, scanPlaced, "SELECT condemned.id, backend FROM backends CROSS JOIN condemned WHERE backend = backends.id AND changed > ? AND LENGTH(condemned.id) = 20 LIMIT ?",
		w.ahead(), w.limit-w.done)
	if err != nil {
		return false, err
	}
	for _, b := range dead {
		err := w.tx.Later(anyRows, "UPDATE condemned SET changed = ? WHERE id = ? AND backend = ?", micros(w.now), b.id[:], b.backend)
		if err != nil {
			return false, err
		}
		w.done++
	}
	return false, nil
}

// placed is a blob at a backend.
type placed struct {
	id      meta.BlobID
	backend int64
}

func scanPlaced(r Row) (p placed, err error) {
	err = r.Scan((*blobIDColumn)(&p.id), &p.backend)
	return p, err
}

// dyingUpload removes parts of one dying upload, and then the upload. An upload
// that versions still refer to is dying only because of an edit, and keeps its
// parts, whether it counts references or not.
func (w *sweep) dyingUpload() (more bool, err error) {
	u, err := scanUnreadable(w.tx.QueryRow("SELECT "+uploadColumns+` FROM uploads WHERE state = ? AND since < ? AND refs = 0
		AND `+unreferred+` ORDER BY since LIMIT 1`+forUpdate, uploadDying, micros(w.ended)))
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	id := u.ID
	var prove meta.ProvePart
	if w.judge != nil {
		switch prove, err = w.judge(&u); {
		case errors.Is(err, meta.ErrUnjudged):
			w.full = true
			return false, nil
		case err != nil:
			w.done++
			return true, changed(w.tx, ErrRetry, "UPDATE uploads SET since = ? WHERE id = ?", micros(w.now), id[:])
		}
	}
	// The parts go before the upload: its row is what Sweep finds them by.
	left, err := w.dropParts(id, nil, prove)
	if err != nil || left {
		return false, err
	}
	w.done++
	if err := w.takeBack(id); err != nil {
		return false, err
	}
	return true, changed(w.tx, ErrRetry, "DELETE FROM uploads WHERE id = ?", id[:])
}

// takeBack corrects the usage for an upload that a release ended which does not
// count uploads.
func (w *sweep) takeBack(id meta.ID) error {
	var bucket meta.ID
	var counted usageChange
	err := w.tx.QueryRow("SELECT bucket_id, counted, counted_parts, counted_bytes FROM uploads WHERE id = ?", id[:]).
		Scan(bucketToTakeBackFrom{&bucket}, &counted.Uploads, &counted.Parts, &counted.PartBytes)
	if err != nil {
		return err
	}
	return counted.takeBack(w.tx, bucket)
}

// dropParts removes the upload's parts outside the runs, and reports whether some
// are left. Of an upload that is not removed, unproven parts stay: the row may be that
// of a part in the runs.
func (w *sweep) dropParts(upload meta.ID, keep []meta.PartRun, prove meta.ProvePart) (left bool, err error) {
	for after := 0; ; {
		parts, err := collect(w.tx, scanHeld(upload), "SELECT "+heldColumns+" FROM parts WHERE upload_id = ? AND number > ? ORDER BY number LIMIT ?",
			upload[:], after, sweepBatch)
		if err != nil {
			return false, err
		}
		for _, p := range parts {
			after = p.Number
			proven := !isChosen(keep, p.Number) && p.proven(prove)
			if !proven && len(keep) > 0 {
				continue
			}
			if w.done > 0 && w.done+1+len(p.Blobs) > w.limit {
				w.full = true
				return true, nil
			}
			if err := w.dropPart(p, proven); err != nil {
				return false, err
			}
		}
		if len(parts) < sweepBatch {
			w.full = w.done >= w.limit
			return w.full, nil
		}
	}
}

func (w *sweep) dropPart(p heldPart, proven bool) error {
	err := changed(w.tx, ErrRetry, "DELETE FROM parts WHERE upload_id = ? AND number = ?", p.Upload[:], p.Number)
	if err != nil {
		return err
	}
	w.done += 1 + len(p.Blobs)
	if !proven {
		return nil
	}
	return dropBlobs(w.tx, p.Blobs, w.now)
}

// dyingBucket ends the open uploads of one deleted bucket, or, if it has none,
// removes its settings, its seeds and its own row. An upload that an edit has
// reopened while versions refer to it does not end, and does not keep the bucket. A
// bucket that exists or holds versions was marked deleted by an edit: its keys
// stay. They also stay until its ended uploads are gone, whose parts they prove.
func (w *sweep) dyingBucket() (more bool, err error) {
	var id meta.ID
	err = w.tx.QueryRow(`SELECT id FROM dying_buckets
		WHERE `+possibleID+` AND NOT EXISTS (SELECT 1 FROM buckets WHERE buckets.id = dying_buckets.id)
		AND NOT EXISTS (SELECT 1 FROM objects WHERE bucket_id = dying_buckets.id)
		AND NOT EXISTS (SELECT 1 FROM versions WHERE bucket_id = dying_buckets.id)
		AND (EXISTS (SELECT 1 FROM uploads WHERE bucket_id = dying_buckets.id AND state = ? AND `+neverCompleted+`)
			OR NOT EXISTS (SELECT 1 FROM uploads WHERE bucket_id = dying_buckets.id AND state = ? AND refs = 0 AND `+unreferred+`))
		ORDER BY id LIMIT 1`+forUpdate, uploadOpen, uploadDying).Scan((*idColumn)(&id))
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	uploads, err := collect(w.tx, scanID, "SELECT id FROM uploads WHERE bucket_id = ? AND state = ? AND "+neverCompleted+" ORDER BY key LIMIT ?",
		id[:], uploadOpen, w.limit-w.done)
	if err != nil {
		return false, err
	}
	for _, upload := range uploads {
		if err := endUpload(w.tx, upload); err != nil && !errors.Is(err, meta.ErrNotFound) { // not found: it ended meanwhile
			return false, err
		}
		w.done++
	}
	if len(uploads) > 0 {
		return true, nil
	}
	return true, w.forgetBucket(id)
}

// forgetUsage removes the usage rows of the bucket within the limit, and reports
// whether none is left.
// The changes are removed first, because a fold would make the row of the bucket again from them.
func (w *sweep) forgetUsage(id meta.ID) (gone bool, err error) {
	for _, t := range changesTables {
		changes, err := collect(w.tx, scanID, "SELECT id FROM "+t.name+" WHERE bucket_id = ? AND "+possibleID+" ORDER BY bucket_id, id LIMIT ?", id[:], w.limit-w.done)
		if err != nil {
			return false, err
		}
		for _, c := range changes {
			if err := soon(w.tx, ErrRetry, "DELETE FROM "+t.name+" WHERE bucket_id = ? AND id = ?", id[:], c[:]); err != nil {
				return false, err
			}
			w.done++
		}
		if w.done >= w.limit {
			return false, nil
		}
	}
	n, err := w.tx.Exec("DELETE FROM usage WHERE bucket_id = ?", id[:])
	w.done += int(n)
	return w.done < w.limit, err
}

// forgetBucket removes usage, settings and seeds within the limit, and the row in
// dying_buckets last.
// The seeds go after everything that they open. Whatever is left then stays sealed for ever.
func (w *sweep) forgetBucket(id meta.ID) error {
	if gone, err := w.forgetUsage(id); err != nil || !gone {
		return err
	}
	settings, err := collect(w.tx, scanText, "SELECT name FROM bucket_settings WHERE bucket_id = ? ORDER BY name LIMIT ?", id[:], w.limit-w.done)
	if err != nil {
		return err
	}
	for _, name := range settings {
		if _, err := w.tx.Exec("DELETE FROM bucket_settings WHERE bucket_id = ? AND name = ?", id[:], text(name)); err != nil {
			return err
		}
		w.done++
	}
	if w.done >= w.limit {
		return nil
	}
	generations, err := collect(w.tx, func(r Row) (g int64, err error) {
		err = r.Scan(&g)
		return g, err
	}, "SELECT generation FROM bucket_seeds WHERE bucket_id = ? ORDER BY generation LIMIT ?", id[:], w.limit-w.done)
	if err != nil {
		return err
	}
	for _, g := range generations {
		if _, err := w.tx.Exec("DELETE FROM bucket_seeds WHERE bucket_id = ? AND generation = ?", id[:], g); err != nil {
			return err
		}
		w.done++
	}
	if w.done >= w.limit {
		return nil
	}
	w.done++
	return changed(w.tx, ErrRetry, "DELETE FROM dying_buckets WHERE id = ?", id[:])
}
