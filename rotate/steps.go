// Package rotate gives buckets new generations of their keys, brings everything that is
// sealed under older generations under the newest, in bounded steps that each take up where
// the last one ended, and destroys generations that nothing refers to any more. It reads and
// writes no byte of any object.
//
// A row says itself under which generation it is. That alone says whether it is done: the
// job's document saves time, and tells people how far it is.
package rotate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/jobs"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// stepRows is how many rows one step looks at, or some more.
	stepRows = 4 * meta.MaxPage
	// stepBuckets is to how many buckets one step gives a new generation, with a call of the
	// key provider each.
	stepBuckets = meta.MaxBatch
	// maxRounds bounds how often rows are looked for that an earlier round passed over
	// because somebody was changing them.
	maxRounds = 5
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
	c  Config
	e  *engine.Engine
	mu sync.Mutex
}

// New returns the steps of a deployment. It starts nothing.
func New(c Config) *Steps {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Steps{c: c, e: c.Engine}
}

// Report is what one step did, and how far the job is.
type Report struct {
	State     jobs.State // after the step; empty: there is no job
	Stage     jobs.Stage // that the step worked in; empty: none
	Skipped   bool       // another gateway does it
	Rotated   int        // buckets that got a new generation
	Looked    int        // at rows
	Rewrapped int
	Failed    int  // rows that cannot be rewrapped
	Left      int  // that the job has still to rewrap, by its count
	More      bool // another step has work at once
}

// Step does one bounded step of a running job, taking up where the last one ended, on
// whichever gateway that was. One gateway at a time does it. Concurrent calls wait for one
// another.
func (s *Steps) Step(ctx context.Context) (r Report, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	job, turn, err := kind.Step(ctx, s.e.Renewal(), s.e.Blobs(), s.c.Now, func(ctx context.Context, l meta.Lease, job *Job) error {
		r.Stage = job.Stage
		if job.Stage == Rotating {
			return s.rotate(ctx, job, &r)
		}
		return s.look(ctx, l, job, &r)
	})
	if r.Skipped, r.More = turn.Skipped, turn.More; job != nil {
		if r.State = job.State; job.State == jobs.Running {
			r.Left = max(job.Old-job.Rewrapped, 0)
		}
		s.tell(job, &r)
	}
	return r, err
}

// tell logs the end of a job, in the step that comes to it.
func (s *Steps) tell(job *Job, r *Report) {
	switch {
	case r.Stage == "" || r.Skipped:
	case r.State == jobs.Done:
		s.c.Log.Info("everything is under the newest generations of buckets' keys", "rows", job.Rows, "rewrapped", job.Rewrapped)
	case r.State == jobs.Failed:
		s.c.Log.Error("rows could not be brought under the newest generation", "left", job.Left, "failed", job.Failed, "first", job.Failures)
	}
}

// rotate gives the next buckets a new generation: those whose newest is from before the job.
// So a bucket that had its turn gets no other, whatever became of the step that gave it.
func (s *Steps) rotate(ctx context.Context, job *Job, r *Report) error {
	page, err := s.e.Buckets().List(ctx, meta.BucketQuery{After: string(job.After.Key), Limit: stepBuckets})
	if err != nil {
		return err
	}
	for _, b := range page {
		if err := s.rotateOne(ctx, b, job, r); errors.Is(err, s3err.InvalidRequest) {
			job.Fail("bucket "+b.Name, err) // it has as many generations as it may
			job.Unrotated++
		} else if err != nil && !errors.Is(err, s3err.NoSuchBucket) {
			return fmt.Errorf("rotate the keys of bucket %s: %w", b.Name, err)
		}
		job.After.Key = []byte(b.Name)
		job.Passed++
	}
	if len(page) < stepBuckets {
		job.enter(Counting, s.c.Now())
	}
	return nil
}

func (s *Steps) rotateOne(ctx context.Context, b meta.Bucket, job *Job, r *Report) error {
	all, err := s.e.Buckets().Generations(ctx, b)
	if err != nil || !all[0].Created.Before(job.Started.Truncate(time.Microsecond)) {
		return err
	}
	if _, err := s.e.Buckets().Rotate(ctx, b); err != nil {
		return err
	}
	job.Rotated++
	r.Rotated++
	return nil
}

// look does one step of the other stages.
func (s *Steps) look(ctx context.Context, l meta.Lease, job *Job, r *Report) error {
	w := walk{s: s, l: l, job: job, r: r, buckets: make(map[meta.ID]*bucket)}
	if job.After.Part == "" && job.Stage != Rewrapping { // the beginning of a count
		job.Rows, job.Left = 0, 0
	}
	for r.Looked < stepRows {
		ended, err := w.page(ctx)
		if err != nil {
			return err
		}
		if ended {
			job.settle(s.c.Now())
			return nil
		}
	}
	return nil
}

// settle ends a stage that has looked at everything.
func (j *Job) settle(now time.Time) {
	switch {
	case j.Stage == Counting:
		j.Old = j.Left
		j.enter(Rewrapping, now)
	case j.Stage == Rewrapping:
		j.enter(Proving, now)
	case j.Left == 0 && j.Unrotated == 0:
		j.State = jobs.Done
	case j.Left <= j.Failed || j.Round == maxRounds:
		if j.State = jobs.Failed; j.Failed == 0 {
			j.Failures = []string{"rows go on being changed while they are rewrapped: start again"}
		}
	default:
		j.Round++
		if j.Unrotated == 0 {
			j.Failed, j.Failures = 0, nil
		}
		j.enter(Rewrapping, now)
	}
}
