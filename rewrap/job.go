package rewrap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// State is what became of a job.
type State string

// States of a job.
const (
	Running State = "running"
	Stopped State = "stopped" // by the operator; Start goes on, since done seeds are done
	Done    State = "done"    // every seed was found under the key
	Failed  State = "failed"  // some seeds cannot be brought under the key: see Failures
)

// Stage is the part of a running job.
type Stage string

// The stages of a job, in their order.
const (
	Counting   Stage = "counting"   // how many seeds there are, and how many are under other keys
	Rewrapping Stage = "rewrapping" // those
	Proving    Stage = "proving"    // that none is left
)

const (
	// jobName is the name of the job's document.
	jobName = "rewrap"
	// maxFailures bounds the failures that are told one by one.
	maxFailures = 20
	// maxError bounds the text of an error that is told.
	maxError = 500
)

// Job is the rewrapping of all seeds under one key, as the store keeps it. Its numbers are
// for people. Whether a seed is done, its wrap says.
type Job struct {
	State     State     `json:"state"`
	Key       string    `json:"key"` // that the seeds come under
	Stage     Stage     `json:"stage"`
	Started   time.Time `json:"started"`
	Changed   time.Time `json:"changed"`
	Round     int       `json:"round"`              // of rewrapping and proving, from 1
	Seeds     int       `json:"seeds"`              // that there are, by the last count
	Old       int       `json:"old"`                // of those, under other keys when the job began
	Rewrapped int       `json:"rewrapped"`          // so far
	Left      int       `json:"left"`               // under other keys, by the last proof
	Failed    int       `json:"failed"`             // in this round
	Failures  []string  `json:"failures,omitempty"` // the first of them
	Waiting   string    `json:"waiting,omitempty"`  // why the last step came to nothing; it is tried again
	After     *Position `json:"after,omitempty"`    // the last seed that this stage has looked at
}

// Position is a place in the order of seeds: the system's, then those of buckets.
type Position struct {
	Bucket     meta.ID `json:"bucket"` // zero: the system's seed
	Generation uint32  `json:"generation"`
}

// begin makes the job one from its beginning, under a key.
func (j *Job) begin(key string) {
	*j = Job{State: Running, Key: key, Stage: Counting, Round: 1, Started: j.Started, Changed: j.Changed}
}

// enter begins a stage.
func (j *Job) enter(stage Stage) { j.Stage, j.After = stage, nil }

// fail counts a seed that cannot be rewrapped.
func (j *Job) fail(seed *engine.Seed, err error) {
	if j.Failed++; len(j.Failures) < maxFailures {
		j.Failures = append(j.Failures, shortened(fmt.Sprintf("%s: %v", seed, err)))
	}
}

func shortened(text string) string {
	if len(text) > maxError {
		return text[:maxError] + "…"
	}
	return text
}

// read returns the job with its document; nil: there was none yet.
func read(ctx context.Context, seeds *engine.Seeds) (document []byte, job *Job, err error) {
	document, err = seeds.Job(ctx, jobName)
	if err != nil || document == nil {
		return nil, nil, err
	}
	job = new(Job)
	if err := json.Unmarshal(document, job); err != nil {
		// Whatever it was, it is no reason never to rewrap again: nothing is decided by it.
		return document, &Job{State: Stopped, Failures: []string{"the job's document cannot be read"}}, nil
	}
	return document, job, nil
}

// write replaces the document that was read. meta.ErrConflict: another process did so.
func write(ctx context.Context, seeds *engine.Seeds, was []byte, job *Job) error {
	now, err := json.Marshal(job)
	if err != nil {
		return err
	}
	return seeds.SetJob(ctx, jobName, was, now)
}

// Status returns the job, or nil if there never was one.
func Status(ctx context.Context, seeds *engine.Seeds) (*Job, error) {
	_, job, err := read(ctx, seeds)
	return job, meta.Coded(err)
}

// Start begins a job that brings all seeds under the provider's current key. Gateways do
// the work in the background. It is refused while a job is running.
func Start(ctx context.Context, seeds *engine.Seeds, now time.Time) error {
	was, job, err := read(ctx, seeds)
	if err != nil {
		return meta.Coded(err)
	}
	if job != nil && job.State == Running {
		return errRunning
	}
	key, err := seeds.CurrentKey(ctx)
	if err != nil {
		return err
	}
	job = &Job{Started: now, Changed: now}
	job.begin(key)
	err = write(ctx, seeds, was, job)
	if errors.Is(err, meta.ErrConflict) { // another call was faster
		return errRunning
	}
	return meta.Coded(err)
}

// Stop ends a running job. Seeds that were rewrapped stay so.
func Stop(ctx context.Context, seeds *engine.Seeds, now time.Time) error {
	for range 3 { // a step may write in between, and steps are far apart
		was, job, err := read(ctx, seeds)
		if err != nil {
			return meta.Coded(err)
		}
		if job == nil || job.State != Running {
			return errNotRunning
		}
		job.State, job.Changed = Stopped, now
		if err = write(ctx, seeds, was, job); !errors.Is(err, meta.ErrConflict) {
			return meta.Coded(err)
		}
	}
	return s3err.ConcurrentModification
}

var (
	errRunning    = s3err.New(s3err.EntityAlreadyExists, "Seeds are being rewrapped already.")
	errNotRunning = s3err.New(s3err.NoSuchEntity, "No seeds are being rewrapped.")
)

// Keys counts the seeds under each key among at most limit seeds above a position, by the
// ids of the keys. next is nil after the last. It calls no provider.
func Keys(ctx context.Context, seeds *engine.Seeds, after *Position, limit int) (found map[string]int, next *Position, err error) {
	page, next, err := pageOf(ctx, seeds, after, limit)
	if err != nil {
		return nil, nil, meta.Coded(err)
	}
	found = map[string]int{}
	for i := range page {
		id, err := seeds.Key(&page[i])
		if err != nil {
			id = "?" // it is damaged, or another release's
		}
		found[id]++
	}
	return found, next, nil
}

// pageOf returns at most limit seeds above a position, from the system's on.
func pageOf(ctx context.Context, seeds *engine.Seeds, after *Position, limit int) (page []engine.Seed, next *Position, err error) {
	limit = min(limit, meta.MaxPage)
	if after == nil {
		system, err := seeds.System(ctx)
		if err != nil {
			return nil, nil, err
		}
		return []engine.Seed{system}, new(Position), nil
	}
	page, err = seeds.Page(ctx, meta.SeedPosition(*after), limit)
	if err != nil || len(page) < limit {
		return page, nil, err
	}
	last := &page[limit-1]
	return page, &Position{last.Bucket, last.Generation}, nil
}
