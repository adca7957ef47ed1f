package rewrap

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/jobs"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Stages of a job, in their order.
const (
	Counting   jobs.Stage = "counting"   // how many seeds there are, and how many are under other keys
	Rewrapping jobs.Stage = "rewrapping" // those
	Proving    jobs.Stage = "proving"    // that none is left
)

// Job is the rewrapping of all seeds under one key, as the store keeps it. Its numbers are
// for people. Whether a seed is done, its wrap says.
type Job struct {
	jobs.Head
	Key       string    `json:"key"`             // that the seeds come under
	Seeds     int       `json:"seeds"`           // that there are, by the last count
	Old       int       `json:"old"`             // of those, under other keys when the job began
	Rewrapped int       `json:"rewrapped"`       // so far
	Left      int       `json:"left"`            // under other keys, by the last proof
	After     *Position `json:"after,omitempty"` // the last seed that this stage has looked at
}

// Position is a place in the order of seeds: the system's, then those of buckets.
type Position struct {
	Bucket     meta.ID `json:"bucket"` // zero: the system's seed
	Generation uint32  `json:"generation"`
}

// kind is this job among all.
var kind = jobs.Kind[Job]{
	Name: jobs.Rewrap, Head: func(j *Job) *jobs.Head { return &j.Head },
	Running:    s3err.New(s3err.EntityAlreadyExists, "Seeds are being rewrapped already."),
	NotRunning: s3err.New(s3err.NoSuchEntity, "No seeds are being rewrapped."),
}

// begin makes the job one from its beginning, under a key.
func (j *Job) begin(key string) {
	*j = Job{Head: jobs.Head{State: jobs.Running, Stage: Counting, Round: 1, Started: j.Started, Changed: j.Changed}, Key: key}
}

// enter begins a stage.
func (j *Job) enter(stage jobs.Stage) { j.Stage, j.After = stage, nil }

// Status returns the job, or nil if there never was one.
func Status(ctx context.Context, seeds *engine.Seeds) (*Job, error) { return kind.Status(ctx, seeds) }

// Start begins a job that brings all seeds under the provider's current key. Gateways do
// the work in the background. It is refused while a job is running.
func Start(ctx context.Context, seeds *engine.Seeds, now time.Time) error {
	return kind.Start(ctx, seeds, func() (*Job, error) {
		key, err := seeds.CurrentKey(ctx)
		if err != nil {
			return nil, err
		}
		job := &Job{Head: jobs.Head{Started: now, Changed: now}}
		job.begin(key)
		return job, nil
	})
}

// Stop ends a running job. Seeds that were rewrapped stay so.
func Stop(ctx context.Context, seeds *engine.Seeds, now time.Time) error {
	return kind.Stop(ctx, seeds, now)
}

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
