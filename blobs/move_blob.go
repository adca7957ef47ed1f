package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// ownFaults ail one blob, so that others may still be moved.
var ownFaults = []error{backends.ErrNotFound, backends.ErrCorrupt, backends.ErrSize, io.ErrUnexpectedEOF, ErrOtherBytes, errBadCopy, errUnreadable,
	meta.ErrConflict, meta.ErrReservationLost, meta.ErrDemands}

// OwnFault reports whether an error of a move is one of the blob alone: one of ownFaults,
// which damage wraps, or a backend that is there and cannot read this one, as a disk with a
// bad sector.
func OwnFault(err error) bool {
	return slices.ContainsFunc(ownFaults, func(own error) bool { return errors.Is(err, own) }) ||
		errors.Is(err, errSource) && !ofBackend(context.Background(), err)
}

// maxJudgeTries is how often a move is judged because who refers to the blob, or
// what buckets there are, changed before it was done.
// Each try is another look at all buckets. After the last the blob stays where it is, and the
// next pass begins anew.
const maxJudgeTries = 4

// keepCopies is how long what a failed move left waits for the next try.
const keepCopies = 24 * time.Hour

// verdict is why a blob may be moved: what meta.Move has of it.
type verdict struct {
	only    *meta.Referrer
	demands int64
}

// judge returns the verdict on a move, one that was had before unless anew is set,
// or why it may not be.
type judge func(ctx context.Context, anew bool) (verdict, error)

// moveBlob moves the blob of a proof, and reports whether it did and how many sealed bytes; a blob
// that is gone meanwhile is no error. The place of the copy is in the ledger before its first byte
// is there, so that the collector deletes what is left of a process that is killed. The remains of
// a failure stay reserved for the next try, as long as the blob stays where it is.
func (bs *Blobs) moveBlob(ctx context.Context, proves Proof, from, to *place, j judge) (n int64, moved bool, err error) {
	id := proves.ID
	defer func() { err = bs.damaged(proves.Of, id, from, to, err) }()
	// Judged before the copy is made, because a copy must not even for a moment be where a
	// bucket forbids it.
	v, err := j(ctx, false)
	if err != nil {
		return 0, false, err
	}
	if err = bs.c.Store.ReserveCopy(ctx, bs.holder, id, from.id, to.id, bs.c.Now()); err == nil {
		if n, err = bs.copyBlob(ctx, proves, from, to); err == nil {
			err = bs.commitMove(ctx, id, from, to, v, j)
		}
	}
	if err == nil {
		bs.remembered.Drop(id)
		return n, true, nil
	}
	return bs.settleMove(ctx, id, from, to, n, err)
}

// commitMove tells the ledger of a copy that is there. It judges again as long as that
// finds the verdict out of date.
func (bs *Blobs) commitMove(ctx context.Context, id meta.BlobID, from, to *place, v verdict, j judge) error {
	for try := 1; ; try++ {
		// One transaction makes the copy live and the source dead. It refuses if the source is
		// not live, if the place of the copy is not this process's, or if the verdict is out of
		// date.
		err := bs.c.Store.MoveBlob(ctx, meta.Move{
			ID: id, From: from.id, To: to.id, Holder: bs.holder, Only: v.only, Demands: v.demands, Now: bs.c.Now(),
		})
		if !errors.Is(err, meta.ErrDemands) || try == maxJudgeTries {
			return err
		}
		if v, err = j(ctx, true); err != nil {
			return err
		}
	}
}

// settleMove learns what became of the blob, and sees to the place of its copy.
func (bs *Blobs) settleMove(ctx context.Context, id meta.BlobID, from, to *place, n int64, why error) (int64, bool, error) {
	left := keptCopy{id, from.id, to.id}
	if errors.Is(why, ErrOtherBytes) {
		// Which bytes are the right ones is not known, so none are to be deleted.
		// Release makes the row dead, and Forget removes it before its grace is over, so that
		// the collector never deletes the bytes.
		err := bs.c.Store.ReleaseCopy(ctx, bs.holder, id, to.id, bs.c.Now())
		if err == nil {
			err = bs.c.Store.Forget(ctx, to.id, []meta.BlobID{id})
		}
		return 0, false, errors.Join(why, err)
	}
	if errors.Is(why, errBadCopy) { // it has to go before the next try
		if err := bs.c.Store.ReleaseCopy(ctx, bs.holder, id, to.id, bs.c.Now()); err != nil {
			bs.copies.keep(left, bs.c.Elapsed())
		}
		return 0, false, why
	}
	// MoveBlob may have been carried out although it failed, and another process may have moved
	// the blob. Only the ledger tells.
	at, err := bs.c.Store.BlobBackends(ctx, []meta.BlobID{id})
	if err != nil {
		bs.copies.keep(left, bs.c.Elapsed())
		return 0, false, errors.Join(why, err)
	}
	// The copy may be complete and is worth keeping: the next try proves it in place of writing
	// it again. Where a bucket forbids the place, it goes at once.
	if at[0] == from.id && !errors.Is(why, ErrResidency) {
		bs.copies.keep(left, bs.c.Elapsed())
		return 0, false, why
	}
	if err := bs.c.Store.ReleaseCopy(ctx, bs.holder, id, to.id, bs.c.Now()); err != nil {
		bs.copies.keep(left, bs.c.Elapsed())
	}
	switch at[0] {
	case to.id:
		bs.remembered.Drop(id)
		return n, true, nil
	case 0: // deleted meanwhile, and never to come back
		return 0, false, nil
	}
	return 0, false, why
}

// keptCopy is the place of a copy that a failed move left reserved.
type keptCopy struct {
	id       meta.BlobID
	from, at meta.BackendID
}

// keptCopies are those that this process reserved.
type keptCopies struct {
	mu  sync.Mutex
	all map[keptCopy]time.Duration // since when, by elapsed
}

func (k *keptCopies) keep(c keptCopy, since time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil {
		k.all = make(map[keptCopy]time.Duration)
	}
	if _, ok := k.all[c]; !ok && len(k.all) < maxUnreleased { // beyond: condemned when this process ends
		k.all[c] = since
	}
}

func (k *keptCopies) forget(c keptCopy) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.all, c)
}

// takeAll empties it.
func (k *keptCopies) takeAll() (all map[keptCopy]time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all, k.all = k.all, nil
	return all
}

func (k *keptCopies) list() map[keptCopy]time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.all)
}

// releaseCopies condemns the places of copies whose blob is no longer where it was
// to be moved from, or that nobody has moved in keepCopies. The others wait for the
// next try.
func (bs *Blobs) releaseCopies(ctx context.Context) error {
	kept, now := bs.copies.list(), bs.c.Elapsed()
	for batch := range slices.Chunk(slices.Collect(maps.Keys(kept)), meta.MaxBatch) {
		ids := make([]meta.BlobID, len(batch))
		for i := range batch {
			ids[i] = batch[i].id
		}
		at, err := bs.c.Store.BlobBackends(ctx, ids)
		if err != nil {
			return fmt.Errorf("look for what copies are of: %w", err)
		}
		for i, c := range batch {
			if at[i] == c.from && now-kept[c] < keepCopies {
				continue
			}
			if err := bs.c.Store.ReleaseCopy(ctx, bs.holder, c.id, c.at, bs.c.Now()); err != nil {
				return err
			}
			bs.copies.forget(c)
		}
	}
	return nil
}

// releaseKept condemns all places of copies of moves that have failed: this process
// does not try again.
func (bs *Blobs) releaseKept(ctx context.Context) error {
	for c := range bs.copies.takeAll() {
		if err := bs.c.Store.ReleaseCopy(ctx, bs.holder, c.id, c.at, bs.c.Now()); err != nil {
			return err
		}
	}
	return nil
}
