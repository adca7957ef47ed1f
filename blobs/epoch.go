package blobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// A store that was restored from an older copy knows an older ledger. A blob that it
// calls dead, reserved or in the making may be all that is left of something. So
// whenever the store has changed, the epochs of the backends move on, in the store
// and as a marker in each backend; a store whose epoch has no marker is not the one
// that was there last. They move when a process first reserves at a backend, at the
// next beat after a change, at a clean end, and before anything is deleted. Blobs
// that an epoch leaves open until it moves are kept out of the collector's hands by
// abandoned.go.

// Errors of a storage and a store that do not belong together. They come with the
// backend's name; Disagrees finds them all.
var (
	// ErrStoreRolledBack: the backend has seen a later state of the store.
	ErrStoreRolledBack = errors.New("the store is older than what the backend has seen of it, as after a restore from a backup")
	// ErrStorageRolledBack: the backend is in an earlier state than the store.
	ErrStorageRolledBack = errors.New("the storage is older than the store, as after a restore of the storage alone: what was written since is missing in it")
	// ErrFarApart: a storage and the store of one deployment are of different times, and
	// either may be the older one. It wraps ErrStoreRolledBack.
	ErrFarApart = fmt.Errorf("%w, or the storage is older than the store: they are too far apart to tell which was restored", ErrStoreRolledBack)
	// ErrUnknownStorage: the storage bears no mark of this deployment.
	ErrUnknownStorage = errors.New("the storage bears no mark of this deployment: it is empty or another deployment's, or the backend was retired after the store was copied")
	// ErrWrongBackend: the storage is that of another backend of the deployment.
	ErrWrongBackend = errors.New("the storage belongs to another backend")
)

// Disagrees reports whether an error says that a storage and the store do not belong
// together, or not in the states that they are in.
func Disagrees(err error) bool {
	for _, one := range []error{ErrStoreRolledBack, ErrStorageRolledBack, ErrUnknownStorage, ErrWrongBackend} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// row reads a backend's row anew.
func (bs *Blobs) row(ctx context.Context, id meta.BackendID) (meta.Backend, error) {
	rows, err := bs.c.Store.ListBackends(ctx)
	if err != nil {
		return meta.Backend{}, err
	}
	for _, row := range rows {
		if row.ID == id {
			return row, nil
		}
	}
	return meta.Backend{}, fmt.Errorf("backend %d: %w", id, meta.ErrNotFound)
}

// checkEpoch returns the backend's row if its storage agrees with it. The epoch
// may move on while it looks. ErrConflict: the backend has been retired, and its
// markers are gone with it.
func (bs *Blobs) checkEpoch(ctx context.Context, p *place) (meta.Backend, error) {
	row, err := bs.row(ctx, p.id)
	if err != nil {
		return row, err
	}
	for {
		// Row first, marker second. If the marker is missing, the row is read again: another
		// gateway may have advanced the epoch between the two looks, and deleted the marker
		// that was looked for. Each turn of the loop needs a new epoch, so it ends.
		found, err := holdsAll(ctx, p.Backend, bs.markersOf(row, row.Epoch)...)
		if err != nil || found {
			return row, err
		}
		now, err := bs.row(ctx, p.id)
		switch {
		case err != nil:
			return row, err
		case now.State == meta.BackendRetired:
			return now, fmt.Errorf("%w: backend %s is retired", meta.ErrConflict, p.Name)
		case now.Epoch == row.Epoch:
			return row, bs.disagreement(ctx, p, row)
		}
		row = now
	}
}

// disagreement finds the words for a storage that does not agree with its row.
func (bs *Blobs) disagreement(ctx context.Context, p *place, row meta.Backend) error {
	if err := bs.refuseForeign(ctx, p.Backend, row); err != nil {
		return err
	}
	// From here on the storage is known to be wrong, and only the error's words are open. The
	// more that is said, the less an operator has to guess.
	own := incarnation(row.Epoch)
	// A deployment from before there were incarnations has no mark besides the epoch's, so that
	// an older store and a foreign storage look alike.
	if own < firstIncarnation {
		return fmt.Errorf("%w; or the storage is another deployment's", ErrStoreRolledBack)
	}
	found, err := holds(ctx, p.Backend, bs.incarnationMarker(row, own))
	if err != nil {
		return err
	}
	if !found {
		return bs.otherIncarnation(ctx, p, row)
	}
	for n := int64(1); n <= earlierEpochs; n++ {
		for epoch, is := range map[int64]error{row.Epoch - n: ErrStorageRolledBack, row.Epoch + n: ErrStoreRolledBack} {
			if incarnation(epoch) != own {
				continue
			}
			if found, err := holds(ctx, p.Backend, bs.marker(row, epoch)); err != nil {
				return err
			} else if found {
				return is
			}
		}
	}
	return ErrFarApart
}

// otherIncarnation is for a storage that has not the incarnation of its row.
func (bs *Blobs) otherIncarnation(ctx context.Context, p *place, row meta.Backend) error {
	for n := incarnation(row.Epoch) + 1; n <= incarnation(row.Epoch)+earlierEpochs; n++ {
		if found, err := holds(ctx, p.Backend, bs.incarnationMarker(row, n)); err != nil {
			return err
		} else if found {
			return fmt.Errorf("%w; another store was accepted in its place", ErrStoreRolledBack)
		}
	}
	return ErrUnknownStorage
}

// noteDisagreement stops writes to a backend whose storage was seen to disagree with
// the store, and collection, until they agree again.
func (bs *Blobs) noteDisagreement(p *place, err error) {
	if !Disagrees(err) {
		return
	}
	// Nothing is written until prove has seen the markers again. met stays true: what is there
	// may still be read, for every byte is authenticated.
	p.proved.Store(false)
	if !p.disagrees.Swap(true) {
		bs.c.Log.Error("a backend disagrees with the store; nothing is written to it, and nothing is collected, until it agrees", "backend", p.Name, "error", err)
	}
}

// Agreed returns why the store is taken for an older copy of itself, or for another
// storage's, by what a backend was seen to have; nil: it is not.
func (bs *Blobs) Agreed(ctx context.Context) error {
	s, err := bs.refresh(ctx)
	if err != nil {
		return err
	}
	return bs.refuseDisagreement(ctx, s)
}

// refuseDisagreement is for what must not be done on a store that is older than any
// backend knows it: what is out of date at one may be so at all.
func (bs *Blobs) refuseDisagreement(ctx context.Context, s *places) error {
	for _, p := range s.configured {
		if p.disagrees.Load() {
			// It is asked again, for the operator may have mended it. Only a disagreement
			// counts: a backend that is away says nothing.
			if err := bs.prove(ctx, p); Disagrees(err) {
				return err
			}
		}
	}
	return nil
}

// advanceEpoch moves the epoch of a backend on, so that copies of the store that were
// made before are noticed. It must succeed before anything is deleted there. A marker
// of an earlier epoch would vouch for a store rolled back to that, so an epoch does not
// end before the markers of those before it are gone.
//
// Where another gateway moves it at the same time, its move does for both.
func (bs *Blobs) advanceEpoch(ctx context.Context, p *place) error {
	return bs.moveEpoch(ctx, p, nextEpoch)
}

// moveEpoch is advanceEpoch to an epoch that is made of the present one.
func (bs *Blobs) moveEpoch(ctx context.Context, p *place, after func(epoch int64) int64) error {
	p.advancing.Lock()
	defer p.advancing.Unlock()
	// Before the row is read: a change that is made during the move is not known to be covered
	// by it, and has to cause another one.
	seen := bs.c.Store.Changes()
	row, err := bs.checkEpoch(ctx, p)
	if err != nil {
		bs.noteDisagreement(p, err)
		return err
	}
	// This process ended the last epoch itself in the usual case, and then has nothing to look
	// for.
	if p.tidied != row.Epoch {
		if earlier := bs.earlierMarkers(row, row.Epoch); len(earlier) > 0 {
			if err := p.Delete(ctx, earlier...); err != nil {
				return fmt.Errorf("delete earlier epoch markers: %w", err)
			}
		}
	}
	// New marker, row, old marker, in this order. Whenever the process dies, the marker of the
	// epoch that the row has is there, and the store is not taken for an older one. A marker
	// that is left over is deleted by the next move.
	next := after(row.Epoch)
	if err := bs.putMarkers(ctx, p.Backend, row, next); err != nil {
		return fmt.Errorf("write the epoch marker: %w", err)
	}
	if err := bs.c.Store.AdvanceEpoch(ctx, p.id, row.Epoch, next); errors.Is(err, meta.ErrConflict) {
		return bs.advancedByAnother(ctx, p, row, next, seen)
	} else if err != nil {
		return err
	}
	p.covered.Store(seen)
	bs.registry.reading.Lock()
	p.epoch = max(p.epoch, next)
	bs.registry.reading.Unlock()
	last := []backends.BlobID{bs.marker(row, row.Epoch)}
	if n := incarnation(row.Epoch); n >= firstIncarnation && n != incarnation(next) {
		last = append(last, bs.incarnationMarker(row, n))
	}
	if err := p.Delete(ctx, last...); err != nil {
		return fmt.Errorf("delete the last epoch's marker: %w", err)
	}
	p.tidied = next
	return nil
}

// advancedByAnother is for a move that another gateway's was ahead of.
func (bs *Blobs) advancedByAnother(ctx context.Context, p *place, was meta.Backend, next, seen int64) error {
	// If the other gateway is already past next, the marker that was just written vouches for a
	// state that is over. It is deleted, now or later.
	bs.overtaken.add(overtakenMarker{p, next})
	bs.dropOvertaken(ctx)
	row, err := bs.checkEpoch(ctx, p)
	switch {
	case err != nil:
		bs.noteDisagreement(p, err)
		return err
	// The compare-and-swap was lost, and yet the row is not newer, so nothing covers this
	// process's changes. The caller tries again.
	case row.Epoch <= was.Epoch:
		return meta.ErrConflict
	}
	p.covered.Store(seen)
	return nil
}

// coverTimeout bounds one move of an epoch that nobody waits for.
const coverTimeout = 5 * time.Second

// cover moves the epochs of all backends that do not cover what this process has
// changed in the store, all at once. A backend that fails is left for the next time,
// and is no error. An idle process moves none.
func (bs *Blobs) cover(ctx context.Context, s *places) {
	var ps []*place
	for _, p := range s.configured {
		if p.proved.Load() && p.covered.Load() != bs.c.Store.Changes() {
			ps = append(ps, p)
		}
	}
	attend(ps, coverTimeout, func(p *place) {
		ctx, cancel := context.WithTimeout(ctx, coverTimeout)
		defer cancel()
		err := bs.advanceEpoch(ctx, p)
		if err != nil && !Disagrees(err) && !errors.Is(err, meta.ErrConflict) {
			bs.c.Log.Warn("the epoch of a backend could not be moved on and will be tried again", "backend", p.Name, "error", err)
		}
	})
}
