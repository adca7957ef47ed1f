package blobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

// Two backends were two storages when they were registered. Later their buckets may
// have been merged, one may replicate to the other, or be read in place of it. Then a
// blob that was moved is found at its new place, and goes with the copy that is deleted
// at the old one.

// errFollows: it is not known yet whether a storage follows another.
var errFollows = errors.New("it has been a copy of it, and nothing that was moved is deleted until it is known that it does not follow it")

// apart fails with ErrWrongBackend if what is written at one storage appears at another.
// It looks there for the first one's present incarnation, whose marker stays however far
// the epoch moves, and so shows at a storage that follows late. One that follows and has
// not what was there before shows the present epoch, or late one of a few before it.
func (bs *Blobs) apart(ctx context.Context, written, other *place, late bool) error {
	row, err := bs.row(ctx, written.id)
	if err != nil {
		return err
	}
	signs := bs.markersOf(row, row.Epoch)
	if late {
		signs = append(signs, bs.earlierEpochMarkers(row, row.Epoch)...)
	}
	return united(ctx, written, other, signs)
}

// apartNow is apart for the present epoch alone, which a copy does not show for long.
func (bs *Blobs) apartNow(ctx context.Context, written, other *place) error {
	row, err := bs.row(ctx, written.id)
	if err != nil {
		return err
	}
	return united(ctx, written, other, []backends.BlobID{bs.marker(row, row.Epoch)})
}

// united fails with ErrWrongBackend if a storage has one of the markers of another.
func united(ctx context.Context, written, other *place, signs []backends.BlobID) error {
	found, err := holdsAny(ctx, other, signs)
	if err != nil || !found {
		return err
	}
	return fmt.Errorf("%w: backend %s also has what is written to %s: the two lead to one storage, or one is a copy of the other, and nothing that was moved between them is deleted",
		ErrWrongBackend, other.Name, written.Name)
}

// holdsAny reports whether a storage has one of several markers.
func holdsAny(ctx context.Context, at *place, markers []backends.BlobID) (bool, error) {
	for _, m := range markers {
		if found, err := holds(ctx, at.Backend, m); found || err != nil {
			if err != nil {
				err = fmt.Errorf("backend %s: %w", at.Name, err)
			}
			return found, err
		}
	}
	return false, nil
}

// refuseUnited fails with ErrWrongBackend if nothing can be moved between two backends
// because one answers for the other. A target that was filled with a copy of the other
// is told from that by another incarnation. If that cannot begin, nothing can be deleted
// there either.
func (bs *Blobs) refuseUnited(ctx context.Context, from, to *place) error {
	if err := bs.apart(ctx, from, to, false); !errors.Is(err, ErrWrongBackend) {
		return err
	}
	if err := bs.tellApart(ctx, from); Disagrees(err) {
		return err
	} else if err != nil {
		return nil
	}
	return bs.apart(ctx, from, to, false)
}

// tellApart begins another incarnation of a storage of which another has the present one.
// A copy that was made once never shows it. One that follows does, as late as it follows:
// so that much time is left to it before the next.
func (bs *Blobs) tellApart(ctx context.Context, p *place) error {
	row, err := bs.row(ctx, p.id)
	if err != nil {
		return err
	}
	if p.told.began(incarnation(row.Epoch)) && p.told.since(incarnation(row.Epoch), bs.c.Elapsed()) < bs.c.Grace {
		return nil
	}
	err = bs.moveEpoch(ctx, p, func(epoch int64) int64 { return epochIn(max(incarnation(epoch)+1, firstIncarnation), epoch+1) })
	if err != nil {
		return err
	}
	if row, err = bs.row(ctx, p.id); err == nil {
		p.told.begin(incarnation(row.Epoch), bs.c.Elapsed())
	}
	return err
}

// refuseFollower fails if a storage has an earlier incarnation of another, and did not
// have the grace to show the present one since this process knows that. It may follow.
func (bs *Blobs) refuseFollower(ctx context.Context, written, other *place) error {
	row, err := bs.row(ctx, written.id)
	if err != nil {
		return err
	}
	if written.told.since(incarnation(row.Epoch), bs.c.Elapsed()) >= bs.c.Grace {
		return nil
	}
	found, err := holdsAny(ctx, other, bs.earlierIncarnations(row, row.Epoch))
	if err == nil && found {
		err = fmt.Errorf("backend %s: %w", other.Name, errFollows)
	}
	return err
}

// toldApart is the incarnation of a storage that this process knows, since when, and
// whether it began it.
type toldApart struct {
	mu          sync.Mutex
	incarnation int64
	at          time.Duration // by Elapsed
	own         bool
}

// since is how long the incarnation has been known.
func (t *toldApart) since(incarnation int64, now time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.incarnation != incarnation {
		t.incarnation, t.at, t.own = incarnation, now, false
	}
	return now - t.at
}

func (t *toldApart) began(incarnation int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.own && t.incarnation == incarnation
}

func (t *toldApart) begin(incarnation int64, now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.incarnation, t.at, t.own = incarnation, now, true
}
