package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Leases see to it that one gateway at a time works; *blobs.Blobs implements it.
type Leases interface {
	Hold(ctx context.Context, lease string) (meta.Lease, bool, error)
	ShowLife(ctx context.Context) error
}

// Turn is what became of a step.
type Turn struct {
	Skipped bool // another gateway does it
	More    bool // another step has work at once
}

// Step does one bounded step of a running job: advance changes the job's document by what
// it did, under a lease. job is as the step leaves it, or nil if there never was one.
// An error of advance is told in the document, and the step is done again, with what it
// noted kept. Its meta.ErrConflict means that the lease is another's by now.
func (k *Kind[J]) Step(ctx context.Context, d Documents, leases Leases, now func() time.Time,
	advance func(context.Context, meta.Lease, *J) error,
) (job *J, turn Turn, err error) {
	was, job, err := k.Read(ctx, d)
	if err != nil || job == nil || k.Head(job).State != Running {
		return job, turn, err
	}
	l, mine, err := leases.Hold(ctx, k.Name)
	if err != nil || !mine {
		turn.Skipped = err == nil
		return job, turn, err
	}
	if err := leases.ShowLife(ctx); err != nil {
		return job, turn, err
	}
	err = advance(ctx, l, job)
	if errors.Is(err, meta.ErrConflict) { // the lease is another's: it goes on
		turn.Skipped = true
		return job, turn, nil
	}
	h := k.Head(job)
	if h.Waiting = ""; err != nil {
		h.Waiting = shortened(err.Error())
	}
	h.Changed = now()
	noted := k.Write(ctx, d, was, job)
	if errors.Is(noted, meta.ErrConflict) { // it was stopped or begun anew meanwhile
		_, job, _ = k.Read(ctx, d)
		return job, turn, err
	}
	turn.More = h.State == Running && err == nil && noted == nil
	return job, turn, errors.Join(err, noted)
}
