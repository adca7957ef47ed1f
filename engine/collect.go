package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// Bounds of one pass of Collect.
const (
	collectRows  = 500 // rows swept, reservations condemned or uploads expired at a time
	collectBlobs = 500 // blobs deleted at one backend
	// deleteTimeout bounds the deletion at one backend. It is far below
	// DefaultGrace: a process that was paused in between does not go on deleting
	// when a blob may have been moved back to a backend that it once left.
	deleteTimeout = 2 * time.Minute
)

// CollectReport is what one pass did.
type CollectReport struct {
	Skipped   bool `json:"skipped"` // another gateway collects
	Expired   int  `json:"expired_uploads"`
	Condemned int  `json:"condemned_reservations"`
	Doubtful  int  `json:"doubtful_blobs"` // left by processes that are gone, and kept
	Swept     int  `json:"swept_rows"`
	Folded    int  `json:"folded_usage_changes"`
	Forgotten int  `json:"forgotten_rename_tokens"`
	Deleted   int  `json:"deleted_blobs"`
	More      bool `json:"more"` // another pass has work at once
}

// Collect does one bounded pass over what is left behind: uploads that are too
// old, reservations of processes that are gone, rows of ended uploads, and
// blobs that nobody refers to. Everything is condemned in the ledger before a
// byte of it is deleted. A store that is older than a backend knows it is left alone. One gateway at a time does it. A backend that fails, or a
// row that was edited, does not keep the rest from being collected; the error is returned.
// Concurrent calls wait for one another.
func (e *Engine) Collect(ctx context.Context) (r CollectReport, err error) {
	e.collecting.Lock()
	defer e.collecting.Unlock()
	e.countDoubtful(ctx)
	s, err := e.refresh(ctx)
	if err != nil {
		return r, fmt.Errorf("read the registered backends: %w", err)
	}
	if err := e.refuseDisagreement(ctx, s); err != nil {
		return r, err
	}
	_, mine, err := e.hold(ctx, collectorLease)
	if err != nil {
		return r, fmt.Errorf("take the collector's lease: %w", err)
	}
	if !mine {
		return CollectReport{Skipped: true}, nil
	}
	var errs []error
	now := e.now()
	if r.Expired, err = e.store.ExpireUploads(ctx, now.Add(-e.expiry), collectRows); err != nil {
		errs = append(errs, fmt.Errorf("expire uploads: %w", err))
	}
	errs = append(errs, e.inheritAbandoned(ctx, s, &r)...)
	if r.Swept, err = e.store.Sweep(ctx, collectRows, e.deletable(now), now); err != nil {
		errs = append(errs, fmt.Errorf("sweep: %w", err))
	}
	trimmed, more, err := e.trim(ctx, now)
	if err != nil {
		errs = append(errs, fmt.Errorf("remove surplus parts: %w", err))
	}
	if r.Folded, err = e.store.FoldUsage(ctx, foldRows); err != nil {
		errs = append(errs, fmt.Errorf("fold usage: %w", err))
	}
	if r.Forgotten, err = e.store.ForgetRenames(ctx, now.Add(-renameTokenLife), collectRows); err != nil {
		errs = append(errs, fmt.Errorf("forget renames: %w", err))
	}
	r.More = more || r.Folded == foldRows || r.Forgotten == collectRows || r.Expired == collectRows || r.Condemned+r.Doubtful >= collectRows || r.Swept == collectRows
	r.Swept += trimmed
	for _, row := range s.rows {
		if row.State == meta.BackendRetired {
			continue
		}
		n, err := e.deleteDead(ctx, s, row)
		if err != nil {
			errs = append(errs, fmt.Errorf("delete dead blobs at backend %s: %w", row.Name, err))
		}
		r.Deleted += n
		r.More = r.More || n == collectBlobs
	}
	e.sweepBackends(ctx, s)
	return r, errors.Join(errs...)
}

// deleteDead removes blobs whose grace is over from one backend, and then
// forgets them. If it is cut short between the two, the next pass deletes them
// again, which is no error.
func (e *Engine) deleteDead(ctx context.Context, s *places, row meta.Backend) (int, error) {
	ids, err := e.store.DeadBlobs(ctx, row.ID, e.deletable(e.now()), collectBlobs)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	p, err := s.at(row.ID)
	if err != nil {
		return 0, err
	}
	if err := e.advanceEpoch(ctx, p); errors.Is(err, meta.ErrConflict) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	d := deletion{at: p}
	ids = e.withoutNeeded(ctx, s, &d, ids)
	d.delete(ctx, ids)
	for rest := d.gone; len(rest) > 0; {
		n := min(len(rest), meta.MaxBatch)
		if err := e.store.Forget(ctx, p.id, rest[:n]); err != nil {
			return 0, errors.Join(append(d.errs, err)...)
		}
		rest = rest[n:]
	}
	if len(d.left) > 0 {
		if err := e.store.Defer(ctx, p.id, d.left, e.now()); err != nil {
			d.errs = append(d.errs, fmt.Errorf("let others be deleted before what cannot be: %w", err))
		}
	}
	return len(d.gone), errors.Join(d.errs...)
}

// withoutNeeded takes from the dead copies at a backend those that may still be
// needed: of a blob that lives elsewhere, the copy that was left is deleted only
// once the other has been seen. One that is not there is made again from it. A blob
// that is also live or reserved here was called dead by an edit alone, and stays.
func (e *Engine) withoutNeeded(ctx context.Context, s *places, d *deletion, ids []meta.BlobID) (dead []meta.BlobID) {
	err := e.eachPlace(ctx, ids, func(id meta.BlobID, at meta.BackendID) error {
		if at == d.at.id {
			d.errs = append(d.errs, e.notDead(ctx, d.at, id))
			return nil
		}
		if at != 0 {
			if err := e.ensureCopy(ctx, s, id, d.at, at); err != nil {
				d.leave(id, err)
				return nil
			}
		}
		dead = append(dead, id)
		return nil
	})
	if err != nil {
		d.errs = append(d.errs, err)
		return nil
	}
	return dead
}

// notDead ends what an edit has begun: the ledger calls a blob dead and says that it
// lives at the same backend. It goes on as one that lives. At worst nothing needs it,
// which fsck finds.
func (e *Engine) notDead(ctx context.Context, p *place, id meta.BlobID) error {
	err := fmt.Errorf("%w: blob %v was called dead where it lives, and is kept", records.ErrEdited, backends.BlobID(id))
	return errors.Join(err, e.store.Forget(ctx, p.id, []meta.BlobID{id}))
}

// ensureCopy returns nil when the blob is at the backend where it lives.
func (e *Engine) ensureCopy(ctx context.Context, s *places, id meta.BlobID, from *place, at meta.BackendID) error {
	to, err := s.at(at)
	if err != nil {
		return err
	}
	if err := e.prove(ctx, to); err != nil {
		return err
	}
	_, err = to.Stat(ctx, backends.BlobID(id))
	if errors.Is(err, backends.ErrNotFound) {
		if _, err = e.copyBlob(ctx, proof{id: id}, from, to); err == nil {
			err = errors.New("it was missing and was copied again")
		} else if errors.Is(err, errBadCopy) { // the next pass must not take it for the blob
			err = errors.Join(err, to.Delete(ctx, backends.BlobID(id)))
		}
	}
	if err != nil {
		return fmt.Errorf("blob %v, which was moved to backend %s: %w", backends.BlobID(id), to.Name, err)
	}
	return nil
}
