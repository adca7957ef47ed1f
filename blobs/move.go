package blobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// Bounds of one step of Move.
const (
	// A step is what is repeated after a kill, and how long the lease's holder works before it
	// notes its progress.
	moveBytes   = 256 << 20 // sealed bytes; the blob that exceeds them is the last
	moveBlobs   = 5_000     // moved
	moveRows    = 50_000    // rows of the ledger looked at
	moveBuckets = 100       // placed elsewhere by one call of the store
	// maxStuckErrors blobs that could not be moved are named in an error.
	maxStuckErrors = 5
)

// MoveReport is what one step did.
type MoveReport struct {
	Skipped bool  `json:"skipped"` // another gateway moves
	Buckets int   `json:"buckets"` // that have another home now
	Blobs   int   `json:"moved_blobs"`
	Bytes   int64 `json:"moved_bytes"` // sealed
	Stuck   int   `json:"stuck_blobs"` // could not be moved, and why is in the error
	Retired int   `json:"retired_backends"`
	More    bool  `json:"more"` // another step has work at once
}

// Move does one bounded step of draining: for each draining backend it gives the
// buckets another home, moves blobs in the order of the ledger, and retires the
// backend once a whole pass over the ledger has met none there. It takes up
// where the last step ended, on whichever gateway that was. One gateway at a
// time does it. Concurrent calls wait for one another.
//
// Blobs are copied as they are, sealed, under the same id, and opened at the target where
// keys of versions prove what they are. The ledger reserves the
// place of a copy before it is there, a blob is at the target before the ledger says
// that it lives there, and the copy that is left is deleted by Collect after that
// has seen the other.
func (bs *Blobs) Move(ctx context.Context) (r MoveReport, err error) {
	bs.moving.Lock()
	defer bs.moving.Unlock()
	s, err := bs.refresh(ctx)
	if err != nil {
		return r, fmt.Errorf("read the registered backends: %w", err)
	}
	var errs []error
	for _, row := range s.rows {
		if row.State != meta.BackendDraining {
			continue
		}
		l, mine, err := bs.Hold(ctx, moverLease)
		if err != nil {
			return r, fmt.Errorf("take the mover's lease: %w", err)
		}
		if !mine {
			r.Skipped = true
			return r, nil
		}
		if err := bs.moveFrom(ctx, s, l, row, &r); err != nil {
			errs = append(errs, fmt.Errorf("drain backend %s: %w", row.Name, err))
		}
	}
	return r, errors.Join(errs...)
}

// mover moves what one backend holds to another.
type mover struct {
	bs       *Blobs
	s        *places
	lease    meta.Lease
	row      meta.Backend // draining
	from, to *place
	demands  int64      // when all buckets were last found to permit the draining
	d        meta.Drain // progress
	r        *MoveReport
	bytes    int64 // in this step
	blobs    int
	rows     int
	stuck    []error
	unproven map[meta.BlobID]error // by this pass over versions
	later    bool                  // some of them wait for another pass
}

func (bs *Blobs) moveFrom(ctx context.Context, s *places, l meta.Lease, row meta.Backend, r *MoveReport) error {
	m := &mover{bs: bs, s: s, lease: l, row: row, d: row.Drain, r: r}
	var err error
	if m.from, err = s.at(row.ID); err != nil {
		return err
	}
	if m.to, err = s.at(row.Drain.Target); err != nil {
		return err
	}
	// Both are asked anew: an older store would move blobs by rows that are out of date, and
	// its last step condemns a source.
	if err := errors.Join(bs.agree(ctx, m.from), bs.agree(ctx, m.to)); err != nil {
		return err
	}
	if err := bs.refuseUnited(ctx, m.from, m.to); err != nil {
		return err
	}
	// Reservations at the draining backend would keep it from ever being empty.
	if err := bs.releaseUnused(ctx, s); err != nil {
		return err
	}
	if _, err := m.judge(ctx, true); err != nil {
		return err
	}
	// Buckets before blobs: they are few, and the backend cannot be retired while one is placed
	// there.
	if err := m.moveBuckets(ctx); err != nil {
		return err
	}
	// Versions before the ledger: a copy that keys prove is opened. The ledger's scan takes the
	// rest, and can only compare the copy with a second reading.
	done, err := m.versions(ctx)
	if err == nil && done {
		done, err = m.scan(ctx)
	}
	if err == nil && done {
		return errors.Join(m.endPass(ctx), errors.Join(m.stuck...))
	}
	m.r.More = m.r.More || err == nil
	return errors.Join(err, m.note(ctx), errors.Join(m.stuck...))
}

// judge is the step's judge: a bucket that speaks against the draining ends it.
func (m *mover) judge(ctx context.Context, anew bool) (verdict, error) {
	if anew {
		demands, err := m.bs.c.Store.Demands(ctx)
		if err == nil {
			err = m.bs.refuseResidents(ctx, m.from, m.to)
		}
		if err != nil {
			return verdict{}, err
		}
		m.demands = demands
	}
	return verdict{demands: m.demands}, nil
}

func (m *mover) moveBuckets(ctx context.Context) error {
	for {
		n, err := m.bs.c.Store.MoveBuckets(ctx, m.row.ID, m.to.id, moveBuckets)
		if err != nil {
			return fmt.Errorf("place buckets elsewhere: %w", err)
		}
		if m.r.Buckets += n; n < moveBuckets {
			return nil
		}
	}
}

// scan moves blobs until the step's bounds are reached or, done, the ledger's
// end.
func (m *mover) scan(ctx context.Context) (done bool, err error) {
	seen := &m.bs.proven[m.row.ID].scanned
	seen.resume(&m.d)
	defer func() { seen.note(&m.d) }()
	for rows, err := range m.bs.ledger(ctx, m.d.After) {
		if err != nil {
			return false, err
		}
		if err := m.move(ctx, rows); err != nil {
			return false, err
		}
		m.d.After = rows[0].ID
		if m.rows += len(rows); m.full() {
			return false, nil
		}
	}
	return true, nil
}

// full reports whether the step's bounds are reached.
func (m *mover) full() bool {
	return m.rows >= moveRows || m.blobs >= moveBlobs || m.bytes >= moveBytes
}

// move moves one blob if its rows say that it is at the backend. An error ends
// the step; what ails this blob alone does not.
func (m *mover) move(ctx context.Context, rows []meta.Blob) error {
	var live, leaving bool
	for _, row := range rows {
		here := row.Backend == m.row.ID
		m.d.Left = m.d.Left || here
		live = live || here && row.State == meta.BlobLive
		leaving = leaving || row.Backend == m.to.id && row.State == meta.BlobDead
	}
	if !live || leaving { // leaving: its dead copy at the target has to go first
		return nil
	}
	id := rows[0].ID
	if err := m.unproven[id]; errors.Is(err, errLater) {
		m.later = true
		return nil
	} else if err != nil {
		return m.stick(id, err)
	}
	return m.stick(id, m.moveBlob(ctx, Proof{ID: id}))
}

// stick notes that a blob could not be moved, and returns what is more than its own.
func (m *mover) stick(id meta.BlobID, err error) error {
	if err == nil {
		return nil
	}
	if !OwnFault(err) {
		return fmt.Errorf("move blob %v: %w", backends.BlobID(id), err)
	}
	if m.r.Stuck++; len(m.stuck) < maxStuckErrors {
		m.stuck = append(m.stuck, fmt.Errorf("blob %v cannot be moved: %w", backends.BlobID(id), err))
	}
	return nil
}

func (m *mover) moveBlob(ctx context.Context, p Proof) error {
	n, moved, err := m.bs.moveBlob(ctx, p, m.from, m.to, m.judge)
	if err != nil || !moved {
		return err
	}
	m.blobs, m.bytes = m.blobs+1, m.bytes+n
	m.d.Blobs, m.d.Bytes = m.d.Blobs+1, m.d.Bytes+n
	m.r.Blobs, m.r.Bytes = m.r.Blobs+1, m.r.Bytes+n
	return nil
}
