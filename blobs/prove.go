package blobs

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// prove sees to it that the configured name leads to the storage that the store
// means, before anything is written there.
func (bs *Blobs) prove(ctx context.Context, p *place) error {
	if p.proved.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, proveTimeout)
	defer cancel()
	row, err := bs.checkEpoch(ctx, p)
	if err == nil {
		err = bs.proveSealing(ctx, p, row)
	}
	if err == nil {
		err = bs.proveRevocations(ctx, p, row)
	}
	if err == nil {
		// met is set last: a reader that sees it relies on proved having been true.
		p.disagrees.Store(false)
		p.proved.Store(true)
		p.met.Store(true)
		return nil
	}
	if Disagrees(err) {
		p.disagrees.Store(true)
	}
	return fmt.Errorf("backend %s: %w", p.Name, err)
}

// agree is prove for what must not rely on what was seen before.
func (bs *Blobs) agree(ctx context.Context, p *place) error {
	_, err := bs.checkEpoch(ctx, p)
	bs.noteDisagreement(p, err)
	if err != nil {
		return fmt.Errorf("backend %s: %w", p.Name, err)
	}
	return nil
}

// proveAll proves every backend at start. One that is out of reach is left for
// later, and nothing is written there until then.
//
// A store that says that not every row is sealed is refused when none can be reached:
// whether it was edited to say so, only they can tell.
func (bs *Blobs) proveAll(ctx context.Context) error {
	asked := false
	var away error
	for _, p := range bs.registry.now.Load().configured {
		err := bs.prove(ctx, p)
		switch {
		case err == nil:
			asked = true
		// One backend that is away must not keep the others from being served. One that
		// disagrees ends the start: somebody restored something, and has to say so.
		case unreached(ctx, err):
			p.noted, away = err.Error(), err
			bs.c.Log.Warn("a backend cannot be reached; requests for what is there are refused until it can", "error", err)
		default:
			return err
		}
	}
	if !asked && away != nil && bs.c.Sealing.Now() < meta.SealingWhole {
		return fmt.Errorf("the store is not sealed whole, and no backend can be asked whether it ever was: %w", away)
	}
	return nil
}

// ProveRemaining has every backend proved, and marked with the sealing, that is not yet.
func (bs *Blobs) ProveRemaining(ctx context.Context) error {
	s, err := bs.refresh(ctx)
	if err == nil {
		bs.proveRemaining(ctx, s)
	}
	return err
}

// proveRemaining tries again what Open left, all at once: a beat must not take as long as
// several backends that are frozen. A failure is logged when it is new.
func (bs *Blobs) proveRemaining(ctx context.Context, s *places) {
	var ps []*place
	for _, p := range s.configured {
		if !p.proved.Load() || !p.sealed.Load() || !bs.isMarked(p) {
			ps = append(ps, p)
		}
	}
	attend(ps, proveTimeout, func(p *place) { bs.proveOne(ctx, s, p) })
}

func (bs *Blobs) proveOne(ctx context.Context, s *places, p *place) {
	if p.proved.Load() {
		bs.markSealed(ctx, s, p)
		bs.remarkRevocations(ctx, s, p)
		return
	}
	err := bs.prove(ctx, p)
	switch {
	case err == nil:
		bs.c.Log.Info("the backend is in use", "backend", p.Name)
		p.noted = ""
	case err.Error() != p.noted:
		p.noted = err.Error()
		bs.c.Log.Warn("a backend cannot be used; requests for what is there are refused", "error", err)
	}
}
