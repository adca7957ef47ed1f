package blobs

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
	collectRows  = 500 // rows swept or reservations condemned at a time
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
func (bs *Blobs) Collect(ctx context.Context) (r CollectReport, err error) {
	bs.collecting.Lock()
	defer bs.collecting.Unlock()
	// Before the lease: every gateway reports the number in its metrics, also one that never
	// collects.
	bs.countDoubtful(ctx)
	s, err := bs.refresh(ctx)
	if err != nil {
		return r, fmt.Errorf("read the registered backends: %w", err)
	}
	// Before anything is condemned: rows of an older store call reserved what was committed
	// later, and a condemned blob cannot be brought back.
	if err := bs.refuseDisagreement(ctx, s); err != nil {
		return r, err
	}
	_, mine, err := bs.Hold(ctx, collectorLease)
	if err != nil {
		return r, fmt.Errorf("take the collector's lease: %w", err)
	}
	if !mine {
		return CollectReport{Skipped: true}, nil
	}
	var errs []error
	now := bs.c.Now()
	// From here on a failed step does not end the pass. Each step is safe alone, and one
	// damaged row must not stop all deletion.
	errs = append(errs, take(ctx, bs.c.Before, now, &r)...)
	errs = append(errs, bs.reclaimAbandoned(ctx, s, &r)...)
	r.Swept, err = bs.c.Prover.Judged(ctx, func(judge meta.JudgeParts) (int, error) {
		return bs.c.Store.Sweep(ctx, collectRows, bs.deletable(now), now, judge)
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("sweep: %w", err))
	}
	r.More = r.More || r.Condemned+r.Doubtful >= collectRows || r.Swept >= collectRows
	errs = append(errs, take(ctx, bs.c.After, now, &r)...)
	// Deletion comes last and takes from the ledger only what was condemned a whole grace ago,
	// never what this pass condemned.
	for _, row := range s.rows {
		if row.State == meta.BackendRetired {
			continue
		}
		n, err := bs.deleteDead(ctx, s, row)
		if err != nil {
			errs = append(errs, fmt.Errorf("delete dead blobs at backend %s: %w", row.Name, err))
		}
		r.Deleted += n
		r.More = r.More || n == collectBlobs
	}
	bs.sweepBackends(ctx, s)
	return r, errors.Join(errs...)
}

// Step is a bounded part of Collect that concerns no blob. One is done at a time.
type Step struct {
	Doing string // what it does, for its error
	// Do does it, and returns for how many rows, also with an error, and whether another
	// pass has work at once.
	Do func(ctx context.Context, now time.Time) (n int, more bool, err error)
	// Note puts their number into the report.
	Note func(r *CollectReport, n int)
}

// take takes steps, each whether those before it failed or not.
func take(ctx context.Context, steps []Step, now time.Time, r *CollectReport) (errs []error) {
	for _, s := range steps {
		n, more, err := s.Do(ctx, now)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.Doing, err))
		}
		s.Note(r, n)
		r.More = r.More || more
	}
	return errs
}

// deleteDead removes blobs whose grace is over from one backend, and then
// forgets them. If it is cut short between the two, the next pass deletes them
// again, which is no error.
func (bs *Blobs) deleteDead(ctx context.Context, s *places, row meta.Backend) (int, error) {
	ids, err := bs.c.Store.DeadBlobs(ctx, row.ID, bs.deletable(bs.c.Now()), collectBlobs)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	p, err := s.at(row.ID)
	if err != nil {
		return 0, err
	}
	// The epoch advances before the first byte is deleted. If a copy of the store made before
	// this moment is restored, it refers to blobs that are gone, and only the missing marker of
	// its epoch tells.
	if err := bs.advanceEpoch(ctx, p); errors.Is(err, meta.ErrConflict) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	d := deletion{at: p}
	ids = bs.withoutNeeded(ctx, s, &d, ids)
	d.delete(ctx, ids)
	// Bytes first, row second. The other order would leave bytes that no row names, which
	// nothing but fsck would find.
	for rest := d.gone; len(rest) > 0; {
		n := min(len(rest), meta.MaxBatch)
		if err := bs.c.Store.Forget(ctx, p.id, rest[:n]); err != nil {
			return 0, errors.Join(append(d.errs, err)...)
		}
		rest = rest[n:]
	}
	if len(d.left) > 0 {
		if err := bs.c.Store.Defer(ctx, p.id, d.left, bs.c.Now()); err != nil {
			d.errs = append(d.errs, fmt.Errorf("let others be deleted before what cannot be: %w", err))
		}
	}
	return len(d.gone), errors.Join(d.errs...)
}

// withoutNeeded takes from the dead copies at a backend those that may still be
// needed: of a blob that lives elsewhere, the copy that was left is deleted only
// once the other has been seen. One that is not there is made again from it. A blob
// that is also live or reserved here was called dead by an edit alone, and stays.
func (bs *Blobs) withoutNeeded(ctx context.Context, s *places, d *deletion, ids []meta.BlobID) (dead []meta.BlobID) {
	looked := make(map[meta.BackendID]error)
	open := make(map[meta.BlobID]openCopy)
	err := bs.EachPlace(ctx, ids, func(id meta.BlobID, at meta.BackendID) error {
		if at == d.at.id {
			d.errs = append(d.errs, bs.notDead(ctx, d.at, id))
			return nil
		}
		if at != 0 {
			if _, ok := looked[at]; !ok {
				looked[at] = bs.other(ctx, s, d.at, at)
			}
			err := looked[at]
			if err == nil {
				err = bs.seeCopy(ctx, id, d.at, s.configured[at])
			}
			if errors.Is(err, errNoCopy) || errors.Is(err, errLengths) {
				open[id] = openCopy{s.configured[at], err}
				return nil
			}
			if err != nil {
				d.leave(id, err)
				return nil
			}
		}
		dead = append(dead, id)
		return nil
	})
	if err != nil {
		// The ledger could not be read, so nothing is known to be unneeded.
		d.errs = append(d.errs, err)
		return nil
	}
	return append(dead, bs.settleCopies(ctx, d, open)...)
}

// notDead ends what an edit has begun: the ledger calls a blob dead and says that it
// lives at the same backend. It goes on as one that lives. At worst nothing needs it,
// which fsck finds.
func (bs *Blobs) notDead(ctx context.Context, p *place, id meta.BlobID) error {
	err := fmt.Errorf("%w: blob %v was called dead where it lives, and is kept", records.ErrEdited, backends.BlobID(id))
	return errors.Join(err, bs.c.Store.Forget(ctx, p.id, []meta.BlobID{id}))
}

// other returns nil when a blob that lives at one backend does not go with the copy that
// is deleted at another, whose epoch has just moved on. A storage that follows the other
// slowly has its incarnation, or an earlier one, or the marker of an epoch before.
func (bs *Blobs) other(ctx context.Context, s *places, deleted *place, lives meta.BackendID) error {
	at, err := s.at(lives)
	if err != nil {
		return err
	}
	err = bs.apart(ctx, deleted, at, true)
	switch {
	case err == nil:
		return bs.refuseFollower(ctx, deleted, at)
	case errors.Is(err, ErrWrongBackend):
		return errors.Join(err, bs.tellApart(ctx, deleted))
	}
	return err
}
