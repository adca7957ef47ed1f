package blobs

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// Inspection is what a check of the whole store sees of the ledger, and of the backends as
// they were registered when it was made. It changes nothing and serves any number of
// goroutines at once.
type Inspection struct {
	bs *Blobs
	s  *places
}

// Inspect reads which backends are registered.
func (bs *Blobs) Inspect(ctx context.Context) (*Inspection, error) {
	s, err := bs.refresh(ctx)
	if err != nil {
		return nil, err
	}
	return &Inspection{bs, s}, nil
}

// Backends are the rows of all registered backends by id, retired ones too. The slice
// is shared and must not be changed.
func (i *Inspection) Backends() []meta.Backend { return i.s.rows }

// IsConfigured reports whether this process can reach a backend: it is configured here
// and not retired.
func (i *Inspection) IsConfigured(id meta.BackendID) bool { return i.s.configured[id] != nil }

// CheckStorage holds a backend's markers against the store. An error that Disagrees
// finds says that the two do not belong together; any other kept that from being found
// out, and comes with the backend's name.
func (i *Inspection) CheckStorage(ctx context.Context, id meta.BackendID) error {
	p, err := i.s.at(id)
	if err != nil {
		return err
	}
	if _, err = i.bs.checkEpoch(ctx, p); err != nil && !Disagrees(err) {
		err = fmt.Errorf("backend %s: %w", p.Name, err)
	}
	return err
}

// CheckApart fails with ErrWrongBackend if another backend, which it returns, also has all
// that is written to this one: the two lead to one storage, or the other is a copy. A copy
// that was made once counts until the epoch moves.
func (i *Inspection) CheckApart(ctx context.Context, id meta.BackendID) (other meta.BackendID, err error) {
	p, err := i.s.at(id)
	if err != nil {
		return 0, err
	}
	for _, q := range i.s.configured {
		if q == p {
			continue
		}
		if err := i.bs.apartNow(ctx, p, q); err != nil {
			return q.id, err
		}
	}
	return 0, nil
}

// HasSealingMarker reports whether a backend has seen every row of the store sealed.
func (i *Inspection) HasSealingMarker(ctx context.Context, id meta.BackendID) (bool, error) {
	p, err := i.s.at(id)
	if err != nil {
		return false, err
	}
	return holds(ctx, p.Backend, i.bs.sealingMarker(i.s.states[id]))
}

// ErrUnlisted: a backend that is there cannot list all of its blobs, as a disk with a bad
// sector.
var ErrUnlisted = errors.New("its list breaks off")

// Stored yields the blobs that a backend has, by ascending ids above after, without the
// markers of the deployment.
func (i *Inspection) Stored(ctx context.Context, id meta.BackendID, after meta.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		p, err := i.s.at(id)
		if err != nil {
			yield(backends.Info{}, err)
			return
		}
		rows, err := i.bs.c.Store.ListBackends(ctx) // the epochs move on
		if err != nil {
			yield(backends.Info{}, err)
			return
		}
		markers := i.bs.markers(rows)
		for info, err := range p.List(ctx, backends.BlobID(after)) {
			if err != nil {
				if ofBackend(ctx, err) || errors.Is(err, backends.ErrDenied) {
					err = fmt.Errorf("list: %w", err)
				} else {
					err = fmt.Errorf("%w: %w", ErrUnlisted, err)
				}
				yield(info, err)
				return
			}
			if !markers[info.ID] && !yield(info, nil) {
				return
			}
		}
	}
}

// Ledger yields the rows of one blob after the other, by ascending ids above after. The
// slice is used again.
func (i *Inspection) Ledger(ctx context.Context, after meta.BlobID) iter.Seq2[[]meta.Blob, error] {
	return i.bs.ledger(ctx, after)
}

// IsInDoubt reports whether a reserved blob, or the place of a copy, is kept because a
// process ended between writing and committing it.
func (i *Inspection) IsInDoubt(b meta.Blob) bool { return b.Holder == i.bs.doubtHolder() }
