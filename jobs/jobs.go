// Package jobs runs background work that somebody asked for: in bounded steps, on one
// gateway at a time, each taking up where the last one ended. It knows no kind of job.
//
// A job's document in the store says how far it is. It saves time and is for people.
// A kind of job must be such that an edit of its document can only cost work, and that a
// step may be done twice.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Names of the kinds of jobs, by which one kind can ask whether another is running.
const (
	Rotate = "rotate"
	Rewrap = "rewrap"
)

// State is what became of a job.
type State string

// States of a job.
const (
	Running State = "running"
	Stopped State = "stopped" // by the operator; starting it again goes on
	Done    State = "done"    // nothing is left, by a count
	Failed  State = "failed"  // something is left that cannot be done: see Failures
)

// Stage is the part of a running job.
type Stage string

const (
	// maxFailures bounds the failures that are told one by one.
	maxFailures = 20
	// maxError bounds the text of an error that is told.
	maxError = 500
)

// Head is what the document of every job says.
type Head struct {
	State    State     `json:"state"`
	Stage    Stage     `json:"stage"`
	Started  time.Time `json:"started"`
	Changed  time.Time `json:"changed"`            // by the last step
	Round    int       `json:"round"`              // of working and proving, from 1
	Failed   int       `json:"failed"`             // in this round
	Failures []string  `json:"failures,omitempty"` // the first of them
	Waiting  string    `json:"waiting,omitempty"`  // why the last step came to nothing; it is tried again
}

// Fail counts something that cannot be done.
func (h *Head) Fail(what string, err error) {
	if h.Failed++; len(h.Failures) < maxFailures {
		h.Failures = append(h.Failures, shortened(what+": "+err.Error()))
	}
}

func shortened(text string) string {
	if len(text) > maxError {
		return text[:maxError] + "…"
	}
	return text
}

// Documents keeps the documents of jobs, as meta.Jobs does.
type Documents interface {
	Job(ctx context.Context, name string) ([]byte, error)
	SetJob(ctx context.Context, name string, was, now []byte) error
}

// Kind is a kind of job, of which one runs at a time. J is its document, whose Head is
// part of it.
type Kind[J any] struct {
	Name       string // of its document and of its lease
	Head       func(*J) *Head
	Running    error // what a second Start is told
	NotRunning error // what Stop is told
}

// Read returns the job with its document; nil: there was none yet.
func (k *Kind[J]) Read(ctx context.Context, d Documents) (document []byte, job *J, err error) {
	document, err = d.Job(ctx, k.Name)
	if err != nil || document == nil {
		return nil, nil, err
	}
	job = new(J)
	if err := json.Unmarshal(document, job); err != nil {
		// Whatever it was, it is no reason never to run again: nothing is decided by it.
		job = new(J)
		*k.Head(job) = Head{State: Stopped, Failures: []string{"the job's document cannot be read"}}
	}
	return document, job, nil
}

// Write replaces the document that was read. meta.ErrConflict: another process did so.
func (k *Kind[J]) Write(ctx context.Context, d Documents, was []byte, job *J) error {
	now, err := json.Marshal(job)
	if err != nil {
		return err
	}
	return d.SetJob(ctx, k.Name, was, now)
}

// Status returns the job, or nil if there never was one.
func (k *Kind[J]) Status(ctx context.Context, d Documents) (*J, error) {
	_, job, err := k.Read(ctx, d)
	return job, meta.Coded(err)
}

// Start begins the job that begin returns, in its first stage. It is refused while one is
// running.
func (k *Kind[J]) Start(ctx context.Context, d Documents, begin func() (*J, error)) error {
	was, job, err := k.Read(ctx, d)
	if err != nil {
		return meta.Coded(err)
	}
	if job != nil && k.Head(job).State == Running {
		return k.Running
	}
	if job, err = begin(); err != nil {
		return err
	}
	err = k.Write(ctx, d, was, job)
	if errors.Is(err, meta.ErrConflict) { // another call was faster
		return k.Running
	}
	return meta.Coded(err)
}

// Stop ends a running job. Its work so far stays done.
func (k *Kind[J]) Stop(ctx context.Context, d Documents, now time.Time) error {
	for range 3 { // a step may write in between, and steps are far apart
		was, job, err := k.Read(ctx, d)
		if err != nil {
			return meta.Coded(err)
		}
		if job == nil || k.Head(job).State != Running {
			return k.NotRunning
		}
		k.Head(job).State, k.Head(job).Changed = Stopped, now
		if err = k.Write(ctx, d, was, job); !errors.Is(err, meta.ErrConflict) {
			return meta.Coded(err)
		}
	}
	return s3err.ConcurrentModification
}

// AnyRunning reports whether a job of one of the names is running. A document that cannot be
// read is of none.
func AnyRunning(ctx context.Context, d Documents, names ...string) (bool, error) {
	for _, name := range names {
		document, err := d.Job(ctx, name)
		if err != nil {
			return false, err
		}
		var h Head
		if json.Unmarshal(document, &h) == nil && h.State == Running {
			return true, nil
		}
	}
	return false, nil
}
