// Package reseal gives the rows of a store that an early release wrote the sealed records
// that vouch for them, in bounded steps that each take up where the last one ended. It
// knows which kinds of rows there are and how far they are; what a row's record says is
// known where the row is kept.
package reseal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

const (
	// stepRows is how many rows one step looks at, or a few more.
	stepRows = 1000
	// lease keeps gateways from resealing at the same time.
	lease = "sealing"
)

// Config is what Steps work with. The caller keeps ownership of the engine, and ends all
// steps before it closes it.
type Config struct {
	Engine *engine.Engine
	Log    *slog.Logger // nil: nothing is logged
}

// Steps seal an old store whole. They serve any number of goroutines at once.
type Steps struct {
	engine *engine.Engine
	log    *slog.Logger
	mu     sync.Mutex
}

// New returns the steps of a deployment. It starts nothing.
func New(c Config) *Steps {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Steps{engine: c.Engine, log: c.Log}
}

// Report is what one step did.
type Report struct {
	Sealing meta.Sealing // after the step
	Skipped bool         // another gateway does it
	Waiting bool         // for a gateway that still writes by an earlier sealing
	Stage   string       // what kind of rows the step looked at; empty: none
	Rows    int          // looked at
	Failed  int          // of those, rows that cannot be opened and stay as they are
	More    bool         // another step has work at once
}

// stage gives rows of one kind their records. after is nil or what an earlier call
// returned; next nil: there are no more. passed is told of each row; an error is of
// something else, and the rows are looked at again.
type stage struct {
	name string
	rows func(e *engine.Engine, ctx context.Context, after []byte, limit int, passed accounts.Passed) (next []byte, seen int, err error)
}

// stages are all kinds of rows, in the order in which they are looked at.
var stages = []stage{
	{"tenants", ofAccounts((*accounts.Accounts).ResealTenants)},
	{"access keys", ofAccounts((*accounts.Accounts).ResealAccessKeys)},
	{"identities", ofAccounts((*accounts.Accounts).ResealIdentities)},
	{"buckets", ofBuckets},
	{"versions", (*engine.Engine).ResealVersions},
	{"uploads", (*engine.Engine).ResealUploads},
}

func ofAccounts(rows func(*accounts.Accounts, context.Context, []byte, int, accounts.Passed) ([]byte, int, error)) func(*engine.Engine, context.Context, []byte, int, accounts.Passed) ([]byte, int, error) {
	return func(e *engine.Engine, ctx context.Context, after []byte, limit int, passed accounts.Passed) ([]byte, int, error) {
		return rows(e.Accounts(), ctx, after, limit, passed)
	}
}

func ofBuckets(e *engine.Engine, ctx context.Context, after []byte, limit int, passed accounts.Passed) ([]byte, int, error) {
	return e.Buckets().Reseal(ctx, after, limit, passed)
}

// Step does one bounded step, taking up where the last one ended, on whichever gateway
// that was. One gateway at a time does it, and none once all is done. It waits for
// gateways of the release before to end, and then for all others to have seen that, so
// that no row is missed. Concurrent calls wait for one another.
func (s *Steps) Step(ctx context.Context) (r Report, err error) {
	sealing := s.engine.Sealing()
	defer func() { r.Sealing = sealing.Now() }()
	if sealing.Now() == meta.SealingWhole {
		return r, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, mine, err := s.engine.Blobs().Hold(ctx, lease)
	if err != nil || !mine {
		r.Skipped = err == nil
		return r, err
	}
	if err := s.engine.Blobs().ShowLife(ctx); err != nil {
		return r, err
	}
	d, err := sealing.Deployment(ctx)
	if err != nil || sealing.Now() == meta.SealingWhole {
		return r, err
	}
	gone, behind, err := sealing.Behind(ctx)
	if err != nil || behind {
		r.Waiting = behind
		return r, err
	}
	at, known := progressOf(d)
	if !known {
		at = progress{} // from the start
	}
	if d.Sealing == meta.SealingLegacy || at.Stage >= len(stages) {
		return r, s.raise(ctx, d, gone, &r)
	}
	return r, s.goOn(ctx, l, at, &r)
}

// raise takes the sealing one further, unless a gateway would be left behind.
// After the last raise every backend gets its marker, by which a later edit of the sealing is
// refuted.
func (s *Steps) raise(ctx context.Context, d meta.Deployment, gone []meta.Holder, r *Report) error {
	sealing := s.engine.Sealing()
	if err := sealing.Raise(ctx, d, gone); errors.Is(err, meta.ErrConflict) {
		r.Waiting = true
		return nil
	} else if err != nil {
		return err
	}
	r.More = sealing.Now() < meta.SealingWhole
	if r.More {
		s.log.Info("all gateways write sealed records; the rows without are given theirs")
		return nil
	}
	s.log.Info("every row of the store has its sealed record")
	return s.engine.Blobs().ProveRemaining(ctx)
}

// goOn looks at the next rows and notes how far that was.
// The progress is noted after the rows. A process that dies in between looks at the same rows
// again, which changes nothing more.
func (s *Steps) goOn(ctx context.Context, l meta.Lease, at progress, r *Report) error {
	stage := stages[at.Stage]
	next, seen, err := stage.rows(s.engine, ctx, at.After, stepRows, func(row string, err error) error { return s.passed(row, err, &r.Failed) })
	r.Stage, r.Rows = stage.name, seen
	if err != nil {
		return fmt.Errorf("reseal %s: %w", stage.name, err)
	}
	at.Failed += r.Failed
	if at.After = next; next == nil {
		at.Stage++
	}
	noted, err := json.Marshal(at)
	if err == nil {
		err = s.engine.Sealing().Note(ctx, l, noted)
	}
	r.More = err == nil
	return err
}

// passed counts a row that cannot be resealed. nil: go on.
func (s *Steps) passed(row string, err error, failed *int) error {
	switch {
	case err == nil, errors.Is(err, meta.ErrConflict), errors.Is(err, meta.ErrNotFound), errors.Is(err, meta.ErrNoBucket):
		return nil // the writer that changed it meanwhile sealed it, or it is gone
	case errors.Is(err, records.ErrEdited), errors.Is(err, encrypt.ErrCorrupt), errors.Is(err, encrypt.ErrWrongKey):
		*failed++ // for ever
		s.log.Error("a row cannot be opened, and is not sealed anew", "row", row, "error", err)
		return nil
	}
	return err
}
