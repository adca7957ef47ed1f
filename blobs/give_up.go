package blobs

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// GiveUp is for a blob that is whole and could not be committed, and why.
func (bs *Blobs) GiveUp(ctx context.Context, r Reserved, why error) {
	if errors.Is(why, meta.ErrReservationLost) {
		bs.lost(ctx, r)
		return
	}
	bs.release(ctx, r.ID)
}

// lost is for a body whose reservation was condemned, or is in doubt: which only this
// process can end. The collector may have been there before the last byte was, and not
// come again, so bytes that the ledger does not know are deleted here: what is not
// reserved or live in it never will be again. The rest of the pools will have been
// condemned too.
func (bs *Blobs) lost(ctx context.Context, r Reserved) {
	bs.flushPools()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	// Release first and look second. A blob that is live stays live, and one that is in doubt
	// becomes dead, so that the collector has it. Only one that the ledger does not know is
	// left to be deleted here.
	err := bs.releaseIDs(ctx, []meta.BlobID{r.ID})
	var at []meta.BackendID
	if err == nil {
		at, err = bs.c.Store.BlobBackends(ctx, []meta.BlobID{r.ID})
	}
	if err == nil && at[0] == 0 {
		err = bs.deleteUnknown(ctx, r)
	}
	if err != nil {
		bs.c.Log.Warn("a blob whose reservation was lost could not be deleted", "backend", r.At.Name(), "error", err)
	}
}

// deleteUnknown deletes a blob of this process's that the ledger does not know, unless
// the store is an older one.
func (bs *Blobs) deleteUnknown(ctx context.Context, r Reserved) error {
	// An older store may not know the blob because it was committed after the copy.
	if err := bs.agree(ctx, r.At.at); err != nil {
		return err
	}
	return r.At.at.Delete(ctx, backends.BlobID(r.ID))
}

// Abandon is for a body that did not arrive whole, as far as this process knows.
// If the collector has been there already, because the process was paused for
// long, bytes that are still under way would never be deleted: then the ledger
// takes the blob back, as one that is dead.
func (bs *Blobs) Abandon(ctx context.Context, r Reserved) {
	id := r.ID
	bs.release(ctx, id)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	// The usual case: the row is there, dead since the release above.
	if _, err := bs.c.Store.Blob(ctx, id); !errors.Is(err, meta.ErrNotFound) {
		return
	}
	// Reserved and released at once, which makes a dead row whose grace begins now. By its end
	// the bytes that were under way have arrived, and are deleted with the row.
	err := bs.c.Store.Reserve(ctx, bs.holder, r.At.at.id, []meta.BlobID{id}, bs.c.Now())
	switch {
	case err == nil:
		bs.release(ctx, id)
	case errors.Is(err, meta.ErrConflict): // the backend drains: nothing new is reserved there
		err = bs.deleteUnknown(ctx, r)
	}
	if err != nil {
		bs.c.Log.Warn("a blob whose reservation was lost could not be condemned", "backend", r.At.Name(), "error", err)
	}
}

// release condemns a reservation whose blob will not be committed. The ledger
// leaves it alone if it was committed after all. When the store cannot be
// reached, Beat tries again.
func (bs *Blobs) release(ctx context.Context, id meta.BlobID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if err := bs.releaseIDs(ctx, []meta.BlobID{id}); err != nil {
		bs.c.Log.Warn("a reservation could not be released and will be tried again", "error", err)
		bs.unreleased.add(id)
	}
}

// releaseIDs condemns blobs that this process reserved and did not commit. Of what was
// taken from it for dead it still knows that.
func (bs *Blobs) releaseIDs(ctx context.Context, ids []meta.BlobID) error {
	err := bs.c.Store.Release(ctx, bs.holder, ids, bs.c.Now())
	if err == nil && bs.suspected.Load() {
		err = bs.c.Store.Release(ctx, bs.doubtHolder(), ids, bs.c.Now())
	}
	return err
}
