// Package transfer copies the objects of one S3 bucket into another, by S3 on
// both sides, so that it works with any store and any number of gateways. It
// streams, keeps entity tags, holds every byte against a digest, and can be
// interrupted at any time and run again.
//
// It never overwrites what it was not told to overwrite or what somebody else
// writes meanwhile, never deletes from the target, never writes objects to the
// disk, and never aborts a multipart upload that it did not begin.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Defaults and limits of Options.
const (
	DefaultJobs = 8
	MaxJobs     = 256
	// PartsAtOnce is how many parts of one object are under way.
	PartsAtOnce = 4
	// MaxKey is the longest key of S3 in bytes.
	MaxKey = 1024
	// stallTimeout is how long neither side may move a byte or answer.
	stallTimeout = 2 * time.Minute
	// abortTimeout bounds the abortion of an upload after an interruption.
	abortTimeout = 20 * time.Second
)

// Verify says how a copied object is held against its source.
type Verify int

const (
	// VerifyAnswer holds the target's answer, its ETag and checksum, against
	// what passed by, which was held against the source's.
	VerifyAnswer Verify = iota
	// VerifyRead also reads each object back and compares SHA-256 and attributes.
	VerifyRead
)

// Side is one end of a copy.
type Side struct {
	Endpoint
	Bucket string
	Prefix string
}

// Options say what to copy.
type Options struct {
	// From is read. Only keys with its Prefix are copied.
	From Side
	// To is written. Its bucket is created if it is absent. Its Prefix is put
	// before each key.
	To Side
	// StripPrefix takes From.Prefix off each key before To.Prefix is put there.
	StripPrefix bool
	Jobs        int // objects at once; 0: DefaultJobs
	Verify      Verify
	// Overwrite replaces objects at the target that differ from their source.
	Overwrite bool
	// DeleteSource deletes each object of the source once it was read back from
	// the target. It implies VerifyRead.
	DeleteSource bool
	// KeepOldVersions agrees that DeleteSource leaves old versions behind where
	// the source keeps them; without it such a source is refused.
	KeepOldVersions bool
	// Journal is a file that remembers what was proven; empty: none. Only one
	// run at a time may use it.
	Journal string
	// Survey counts at the end what the source still holds.
	Survey bool
	Log    *slog.Logger     // nil: nothing is logged
	Now    func() time.Time // nil: time.Now
}

// Copier is one run. Use it once.
type Copier struct {
	Options
	from, to place
	journal  *journal
	counters counters
	failures failures
	stall    time.Duration
}

// ErrInterrupted is the end of a run whose context ended first.
var ErrInterrupted = errors.New("interrupted; run it again to go on")

// New checks the options and asks nothing of the servers.
func New(o Options) (*Copier, error) {
	if o.Jobs == 0 {
		o.Jobs = DefaultJobs
	}
	if o.Jobs < 1 || o.Jobs > MaxJobs {
		return nil, fmt.Errorf("%d jobs: between 1 and %d", o.Jobs, MaxJobs)
	}
	if o.DeleteSource {
		o.Verify = VerifyRead
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Copier{Options: o, stall: stallTimeout}
	for _, s := range []struct {
		to   *place
		role string
		side Side
	}{{&c.from, "source", o.From}, {&c.to, "target", o.To}} {
		if s.side.Bucket == "" || strings.Contains(s.side.Bucket, "/") {
			return nil, fmt.Errorf("%s: %q is not the name of a bucket", s.role, s.side.Bucket)
		}
		cl, err := newClient(s.role, s.side.Endpoint)
		if err != nil {
			return nil, err
		}
		*s.to = place{cl, s.side.Bucket, s.side.Prefix}
	}
	if c.from.base.Host == c.to.base.Host && o.From.Bucket == o.To.Bucket {
		return nil, errors.New("source and target are the same bucket")
	}
	if !o.StripPrefix {
		c.to.prefix += o.From.Prefix
	}
	return c, nil
}

// name is the key at the target of one at the source.
func (c *Copier) name(key string) string {
	return c.to.prefix + strings.TrimPrefix(key, c.from.prefix)
}

// Run copies until everything was tried. The report is never nil. The error says
// why the run could not go on, ErrInterrupted when ctx ended; failures of single
// objects are in the report alone.
func (c *Copier) Run(ctx context.Context) (*Report, error) {
	started := c.Now()
	err := c.run(ctx)
	r := c.report(started)
	if err != nil && ctx.Err() != nil {
		r.Interrupted = true
		return r, ErrInterrupted
	}
	if err == nil && c.Survey {
		r.Left, err = c.survey(ctx)
		r.Ended = c.Now()
	}
	return r, err
}

func (c *Copier) run(ctx context.Context) (err error) {
	if err := c.prepare(ctx); err != nil {
		return err
	}
	if c.Journal != "" {
		if c.journal, err = openJournal(c.Journal, c.purpose()); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		defer func() { err = errors.Join(err, c.journal.close()) }()
		c.abortLeftovers(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tasks := make(chan task)
	var workers sync.WaitGroup
	for range c.Jobs {
		workers.Go(func() {
			for t := range tasks {
				if err := c.work(ctx, t); err != nil {
					cancel(err) // the run itself cannot go on
				}
			}
		})
	}
	err = c.join(ctx, tasks)
	close(tasks)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return err
}

// prepare looks at both buckets before anything is copied.
func (c *Copier) prepare(ctx context.Context) error {
	if err := c.from.exists(ctx); err != nil {
		return fmt.Errorf("bucket %s: %w", c.from.bucket, err)
	}
	if c.DeleteSource {
		switch kept, err := c.from.versioned(ctx); {
		case err != nil:
			return fmt.Errorf("whether the source keeps old versions cannot be told, so nothing may be deleted there: %w", err)
		case kept && !c.KeepOldVersions:
			return errors.New("the source keeps old versions: what is deleted there stays readable as a noncurrent version; agree to that, or do not delete")
		}
	}
	err := c.to.exists(ctx)
	if refused(err, "target") == 404 {
		err = c.to.create(ctx)
	}
	if err != nil {
		return fmt.Errorf("bucket %s: %w", c.to.bucket, err)
	}
	return nil
}
