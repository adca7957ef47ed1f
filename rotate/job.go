package rotate

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
	Rotating   jobs.Stage = "rotating"   // gives each bucket a new generation, if all were asked for
	Counting   jobs.Stage = "counting"   // how much is under older generations
	Rewrapping jobs.Stage = "rewrapping" // that
	Proving    jobs.Stage = "proving"    // that nothing is left
)

// Job is the bringing of everything under the newest generations, as the store keeps it. Its
// numbers are for people. Whether a row is done, it says itself.
type Job struct {
	jobs.Head
	All       bool      `json:"all,omitempty"`       // each bucket gets a new generation first
	Rotated   int       `json:"rotated,omitempty"`   // buckets that got one so far
	Unrotated int       `json:"unrotated,omitempty"` // buckets that cannot get one
	Rows      int       `json:"rows"`                // of buckets with several generations, by the last count
	Old       int       `json:"old"`                 // of those, under older ones when the job began
	Rewrapped int       `json:"rewrapped"`           // so far
	Left      int       `json:"left"`                // under older ones, by the last proof
	Since     time.Time `json:"since"`               // when this stage began
	Passed    int       `json:"passed"`              // rows that this stage has looked at
	After     Position  `json:"after,omitzero"`      // the last that this stage has looked at
}

// Position is a place in the order of what a stage looks at: buckets by name while Rotating,
// otherwise settings by bucket, then uploads by id, then versions.
type Position struct {
	Part   part    `json:"part,omitempty"`
	Bucket meta.ID `json:"bucket,omitzero"`
	Key    []byte  `json:"key,omitempty"`
	ID     meta.ID `json:"id,omitzero"`
}

// kind is this job among all.
var kind = jobs.Kind[Job]{
	Name: jobs.Rotate, Head: func(j *Job) *jobs.Head { return &j.Head },
	Running:    s3err.New(s3err.EntityAlreadyExists, "Keys are being rotated already."),
	NotRunning: s3err.New(s3err.NoSuchEntity, "No keys are being rotated."),
}

// begin makes the job one from its beginning.
func (j *Job) begin(all bool, now time.Time) {
	*j = Job{Head: jobs.Head{State: jobs.Running, Round: 1, Started: now, Changed: now}, All: all}
	if j.enter(Counting, now); all {
		j.enter(Rotating, now)
	}
}

// enter begins a stage.
func (j *Job) enter(stage jobs.Stage, now time.Time) {
	j.Stage, j.Since, j.Passed, j.After = stage, now, 0, Position{}
}

// End is when the job is expected to end, by the pace of the stage that it is in; zero:
// nothing can be said yet.
func (j *Job) End() time.Time {
	took := j.Changed.Sub(j.Since)
	if j.State != jobs.Running || j.Passed == 0 || took <= 0 || j.Stage == Rotating || j.Stage == Counting {
		return time.Time{}
	}
	left := max(j.Rows-j.Passed, 0)
	if j.Stage == Rewrapping {
		left += j.Rows // which are proven afterwards
	}
	return j.Changed.Add(time.Duration(float64(took) * float64(left) / float64(j.Passed)))
}

// Status returns the job, or nil if there never was one.
func Status(ctx context.Context, e *engine.Engine) (*Job, error) {
	return kind.Status(ctx, e.Renewal())
}

// Bucket gives a bucket a new generation of its keys, by which everything is written from
// then on, and begins the job that brings under it what is under older ones. It returns the
// generation. It is refused while such a job is running, and on a store that is known to be
// older than its storage.
func Bucket(ctx context.Context, e *engine.Engine, b meta.Bucket, now time.Time) (generation uint32, err error) {
	if err := e.Blobs().Agreed(ctx); err != nil {
		return 0, errOlder
	}
	err = kind.Start(ctx, e.Renewal(), func() (*Job, error) {
		if generation, err = e.Buckets().Rotate(ctx, b); err != nil {
			return nil, err
		}
		job := new(Job)
		job.begin(false, now)
		return job, nil
	})
	return generation, err
}

// All begins the job that gives each bucket a new generation, and then brings everything
// under it.
func All(ctx context.Context, e *engine.Engine, now time.Time) error { return start(ctx, e, true, now) }

// Resume begins the job for generations that there are already: after Stop, or after a
// failure whose cause was mended.
func Resume(ctx context.Context, e *engine.Engine, now time.Time) error {
	return start(ctx, e, false, now)
}

func start(ctx context.Context, e *engine.Engine, all bool, now time.Time) error {
	if err := e.Blobs().Agreed(ctx); err != nil {
		return errOlder
	}
	return kind.Start(ctx, e.Renewal(), func() (*Job, error) {
		job := new(Job)
		job.begin(all, now)
		return job, nil
	})
}

// Stop ends a running job. Its work so far stays done.
func Stop(ctx context.Context, e *engine.Engine, now time.Time) error {
	return kind.Stop(ctx, e.Renewal(), now)
}

var errOlder = s3err.New(s3err.ServiceUnavailable, "The store does not agree with its storage: it may be an older copy. Keys are neither rotated nor destroyed until it is accepted or replaced.")
