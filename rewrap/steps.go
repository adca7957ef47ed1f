// Package rewrap brings all seeds of a deployment under the current key of its key
// provider, in bounded steps that each take up where the last one ended. It moves no data
// and destroys no key.
//
// The wrap of a seed names the key that it is under. That alone says whether it is done:
// the job's document saves time, and tells people how far it is.
package rewrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/jobs"
	"github.com/sanctum-storage/gateway/meta"
)

const (
	// stepSeeds is how many seeds one step looks at and, while it rewraps, replaces with a
	// few calls of the provider each.
	stepSeeds = meta.MaxPage
	// atOnce is how many seeds are rewrapped at the same time.
	atOnce = 8
	// maxRounds bounds how often seeds are looked for that came under another key
	// meanwhile: a gateway with other keys would make new ones for ever.
	maxRounds = 3
)

// Config is what Steps work with. The caller keeps ownership of the engine, and ends all
// steps before it closes it.
type Config struct {
	Engine *engine.Engine
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: nothing is logged
}

// Steps rewrap while a job is running. They serve any number of goroutines at once.
type Steps struct {
	c     Config
	seeds *engine.Seeds
	mu    sync.Mutex
}

// New returns the steps of a deployment. It starts nothing.
func New(c Config) *Steps {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Steps{c: c, seeds: c.Engine.Seeds()}
}

// Report is what one step did.
type Report struct {
	State     jobs.State // after the step; empty: there is no job
	Stage     jobs.Stage // that the step worked in; empty: none
	Skipped   bool       // another gateway does it
	Looked    int        // at seeds
	Rewrapped int
	Failed    int  // seeds that cannot be rewrapped
	More      bool // another step has work at once
}

// Step does one bounded step of a running job, taking up where the last one ended, on
// whichever gateway that was. One gateway at a time does it. Concurrent calls wait for one
// another.
func (s *Steps) Step(ctx context.Context) (r Report, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	job, turn, err := kind.Step(ctx, s.seeds, s.c.Engine.Blobs(), s.c.Now, func(ctx context.Context, l meta.Lease, job *Job) error {
		r.Stage = job.Stage
		return s.advance(ctx, l, job, &r)
	})
	if r.Skipped, r.More = turn.Skipped, turn.More; job != nil {
		r.State = job.State
		s.tell(job, &r)
	}
	return r, err
}

// tell logs the end of a job, in the step that comes to it.
func (s *Steps) tell(job *Job, r *Report) {
	switch {
	case r.Stage == "" || r.Skipped:
	case r.State == jobs.Done:
		s.c.Log.Info("all seeds are under the current key", "key", job.Key, "seeds", job.Seeds, "rewrapped", job.Rewrapped)
	case r.State == jobs.Failed:
		s.c.Log.Error("seeds could not be rewrapped", "key", job.Key, "left", job.Left, "failed", job.Failed, "first", job.Failures)
	}
}

// advance does the work of one step.
func (s *Steps) advance(ctx context.Context, l meta.Lease, job *Job, r *Report) error {
	key, err := s.seeds.CurrentKey(ctx)
	if err != nil {
		return err
	}
	if key != job.Key { // another one became primary
		job.begin(key)
		r.Stage = job.Stage
	}
	page, next, err := pageOf(ctx, s.seeds, job.After, stepSeeds)
	if err != nil {
		return err
	}
	if job.Stage == Rewrapping {
		return s.rewrap(ctx, l, job, page, next, r)
	}
	r.Looked = len(page)
	if job.After == nil { // the beginning of the stage
		job.Seeds, job.Left = 0, 0
	}
	job.Seeds += len(page)
	job.Left += len(s.under(page, key))
	if job.After = next; next == nil {
		job.settle()
	}
	return nil
}

// settle ends a stage that has looked at all seeds.
func (j *Job) settle() {
	switch {
	case j.Stage == Counting:
		j.Old = j.Left
		j.enter(Rewrapping)
	case j.Left == 0:
		j.State = jobs.Done
	case j.Left <= j.Failed || j.Round == maxRounds:
		if j.State = jobs.Failed; j.Failed == 0 {
			j.Failures = []string{"seeds come under other keys again and again: a gateway has another default, or another primary key in its key file"}
		}
	default:
		j.Round++
		j.Failed, j.Failures = 0, nil
		j.enter(Rewrapping)
	}
}

// under returns the seeds of a page that are under other keys than the given one.
func (s *Steps) under(page []engine.Seed, key string) (others []*engine.Seed) {
	for i := range page {
		if id, err := s.seeds.Key(&page[i]); err != nil || id != key {
			others = append(others, &page[i])
		}
	}
	return others
}

// rewrap brings a page of seeds under the job's key, and notes how far that was. The
// finished part of a page is stored in batches, so that little is lost when the process
// ends.
func (s *Steps) rewrap(ctx context.Context, l meta.Lease, job *Job, page []engine.Seed, next *Position, r *Report) error {
	r.Looked = len(page)
	failed := map[*engine.Seed]error{}
	todo := s.under(page, job.Key)
	for batch := range slices.Chunk(todo, meta.MaxBatch) {
		done, err := s.batch(ctx, l, batch, failed)
		r.Rewrapped += done
		job.Rewrapped += done
		if err != nil {
			return err // the page is looked at again, and what is done in it is seen to be done
		}
	}
	for _, seed := range todo {
		if err := failed[seed]; err != nil { // counted once, when the page is done
			job.Fail(seed.String(), err)
			s.c.Log.Error("a seed cannot be rewrapped", "seed", seed.String(), "error", err)
		}
	}
	r.Failed = len(failed)
	if job.After = next; next == nil {
		job.enter(Proving)
	}
	return nil
}

// batch rewraps and stores some seeds, and notes those that cannot be rewrapped. An error
// is of something else: what could be done is done.
func (s *Steps) batch(ctx context.Context, l meta.Lease, todo []*engine.Seed, failed map[*engine.Seed]error) (done int, err error) {
	wrapped, errs := s.wraps(ctx, todo)
	var seeds []engine.Seed
	var puts [][]byte
	var away error // of a seed that is to be tried again
	for i, seed := range todo {
		switch err := errs[i]; {
		case err == nil && seed.Bucket.IsZero():
			if err := s.seeds.PutSystem(ctx, l, seed, wrapped[i]); err != nil {
				return 0, err
			}
			done++
		case err == nil:
			seeds, puts = append(seeds, *seed), append(puts, wrapped[i])
		case errors.Is(err, encrypt.ErrUnavailable) || ctx.Err() != nil:
			away = fmt.Errorf("rewrap %s: %w", seed, err)
		default:
			failed[seed] = err
		}
	}
	n, err := s.seeds.Put(ctx, l, seeds, puts)
	return done + n, errors.Join(err, away)
}

// wraps rewraps seeds, some at the same time.
func (s *Steps) wraps(ctx context.Context, seeds []*engine.Seed) ([][]byte, []error) {
	wrapped, errs := make([][]byte, len(seeds)), make([]error, len(seeds))
	var working sync.WaitGroup
	for n := range min(atOnce, len(seeds)) {
		working.Go(func() {
			for i := n; i < len(seeds); i += atOnce {
				wrapped[i], errs[i] = s.seeds.Rewrap(ctx, seeds[i])
			}
		})
	}
	working.Wait()
	return wrapped, errs
}
