package blobs

import (
	"context"
	"errors"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// silent reports whether other gateways may soon take this process for dead, and
// so its pools for abandoned: it was paused, or cut off from the store.
func (bs *Blobs) silent() bool { return bs.UntilSilent() <= 0 }

// UntilSilent is for how long this process may yet show no sign of life before it is silent.
func (bs *Blobs) UntilSilent() time.Duration {
	// Half of AbandonAfter: others count from when they noticed the beat, which may be later
	// than the beat, and never earlier. The other half is for what this process does between
	// its look here and the commit.
	return AbandonAfter/2 + time.Duration(bs.beaten.Load()) - bs.c.Elapsed()
}

// ShowLife shows a sign of life, and learns which sealing holds: a process that was silent may
// have been left behind.
func (bs *Blobs) ShowLife(ctx context.Context) error {
	// The time is taken before the call. A beat that takes long has reached the store at some
	// moment after at, so that at is never too late.
	at := bs.c.Elapsed()
	if err := bs.c.Store.Beat(ctx, bs.holder, bs.c.Sealing.Writing()); err != nil {
		return err
	}
	if err := bs.c.Sealing.Reread(ctx); err != nil {
		return err
	}
	bs.beaten.Store(int64(at))
	return nil
}

// Suspect notes that others have taken this process for dead before: a blob that it
// reserved was found to be another's.
func (bs *Blobs) Suspect() { bs.suspected.Store(true) }

// flushPools makes sure that no id is used that may have been condemned.
func (bs *Blobs) flushPools() {
	bs.suspected.Store(true)
	bs.registry.reading.Lock()
	defer bs.registry.reading.Unlock()
	for _, p := range bs.registry.known {
		// Released and not just dropped: if nobody has condemned them, they would stay reserved
		// until this process ends.
		bs.unreleased.add(p.pool.takeAll()...)
	}
}

// Beat shows the other gateways that this process lives, sees what has become of
// the deployment's row and of the backends, and gives up what will not be used: what
// could not be released before, unused reservations at backends that drain, what moves
// of blobs that are gone have left, and late markers. Then it moves epochs on if this
// process has changed the store. It is called every BeatInterval. A backend that is away is no error.
func (bs *Blobs) Beat(ctx context.Context) error {
	bs.beating.Lock()
	defer bs.beating.Unlock()
	if bs.silent() { // what was reserved may have been condemned since
		bs.flushPools()
	}
	err := bs.ShowLife(ctx)
	s, failed := bs.refresh(ctx)
	if failed != nil {
		// Nothing is known of the backends, but failed reservations concern the ledger alone.
		return errors.Join(err, failed, bs.releaseUnused(ctx, nil))
	}
	bs.registerPending(ctx, s)
	bs.proveRemaining(ctx, s)
	bs.dropOvertaken(ctx)
	err = errors.Join(err, bs.releaseUnused(ctx, s), bs.releaseCopies(ctx))
	bs.cover(ctx, s)
	return err
}

// releaseUnused gives back failed reservations, and the pools of backends that
// are not active. Without places it gives back no pool.
func (bs *Blobs) releaseUnused(ctx context.Context, s *places) error {
	ids := bs.unreleased.takeAll()
	if s != nil {
		bs.registry.reading.Lock()
		for id, p := range bs.registry.known {
			if s.states[id].State != meta.BackendActive {
				ids = append(ids, p.pool.takeAll()...)
			}
		}
		bs.registry.reading.Unlock()
	}
	return bs.releaseBatches(ctx, ids)
}

// releaseAll gives all unused pools back.
func (bs *Blobs) releaseAll(ctx context.Context) error {
	ids := bs.unreleased.takeAll()
	bs.registry.reading.Lock()
	for _, p := range bs.registry.known {
		ids = append(ids, p.pool.takeAll()...)
	}
	bs.registry.reading.Unlock()
	return bs.releaseBatches(ctx, ids)
}

// releaseBatches releases ids, and remembers those that it could not.
func (bs *Blobs) releaseBatches(ctx context.Context, ids []meta.BlobID) error {
	for len(ids) > 0 {
		n := min(len(ids), meta.MaxReservation)
		if err := bs.releaseIDs(ctx, ids[:n]); err != nil {
			// All that are left, also those of the batch that failed: its outcome may be
			// unknown, and a second release of a blob has no effect.
			bs.unreleased.add(ids...)
			return err
		}
		ids = ids[n:]
	}
	return nil
}
