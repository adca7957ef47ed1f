// Package transfer copies the objects of one S3 bucket into another. It uses S3
// on both sides, so it works with any store and any number of gateways. It
// streams, keeps entity tags, compares every byte with a digest, and can be
// interrupted at any time and run again.
//
// It never overwrites objects without permission or objects that another client
// writes meanwhile. It never deletes from the target, never writes objects to
// the disk, and never aborts a multipart upload of another client.
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
	// PartsAtOnce is the number of parts of one object that are copied at once.
	PartsAtOnce = 4
	// MaxKey is the length of the longest key of S3, in bytes.
	MaxKey = 1024
	// stallTimeout is how long both sides may neither move a byte nor answer.
	stallTimeout = 2 * time.Minute
	// abortTimeout bounds the request that aborts an upload after an
	// interruption.
	abortTimeout = 20 * time.Second
)

// Verify is the way in which a copied object is compared with its source.
type Verify int

const (
	// VerifyAnswer compares ETag and checksum in the target's answer with the
	// bytes that passed. Those were compared with the ETag and checksum of the
	// source.
	VerifyAnswer Verify = iota
	// VerifyRead also reads each object back and compares its SHA-256 and
	// attributes.
	VerifyRead
)

// Side is the source or the target of a copy.
type Side struct {
	Endpoint
	Bucket string
	Prefix string
}

// Options describe a copy.
type Options struct {
	// From is read. Only keys with its Prefix are copied.
	From Side
	// To is written. Its bucket is created if it does not exist. Its Prefix is
	// added before each key.
	To Side
	// StripPrefix removes From.Prefix from each key before To.Prefix is added.
	StripPrefix bool
	Jobs        int // objects at once; 0: DefaultJobs
	Verify      Verify
	// Overwrite replaces objects at the target that differ from their source.
	Overwrite bool
	// DeleteSource deletes each object of the source after it was read back
	// from the target. It implies VerifyRead.
	DeleteSource bool
	// KeepOldVersions accepts that DeleteSource leaves old versions behind if
	// the source keeps them. Without it, such a source is refused.
	KeepOldVersions bool
	// Journal is a file that records which copies are proven; empty: none. Only
	// one run at a time may use it.
	Journal string
	// Survey counts at the end the objects that the source still contains.
	Survey bool
	Log    *slog.Logger     // nil: nothing is logged
	Now    func() time.Time // nil: time.Now
}

// Copier is one run. It must be used once only.
type Copier struct {
	Options
	from, to place
	journal  *journal
	counters counters
	failures failures
	stall    time.Duration
}

// ErrInterrupted is the error of a run whose context ended first.
var ErrInterrupted = errors.New("interrupted; run it again to continue")

// New checks the options. It sends no request.
func New(o Options) (*Copier, error) {
	if o.Jobs == 0 {
		o.Jobs = DefaultJobs
	}
	if o.Jobs < 1 || o.Jobs > MaxJobs {
		return nil, fmt.Errorf("%d jobs: want 1 to %d", o.Jobs, MaxJobs)
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
	// The listing would meet the objects that the run itself writes.
	if c.from.base.Host == c.to.base.Host && o.From.Bucket == o.To.Bucket {
		return nil, errors.New("source and target are the same bucket")
	}
	// The prefix also bounds the target's listing, which is joined with the
	// source's.
	if !o.StripPrefix {
		c.to.prefix += o.From.Prefix
	}
	return c, nil
}

// name is the key at the target for a key at the source.
func (c *Copier) name(key string) string {
	return c.to.prefix + strings.TrimPrefix(key, c.from.prefix)
}

// Run copies until every object was tried. The report is never nil. The error
// tells why the run had to stop; it is ErrInterrupted when ctx ended. Failures
// of single objects are only in the report.
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

// run copies everything. Its error is one of the whole run.
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
					cancel(err) // the whole run cannot continue
				}
			}
		})
	}
	err = c.join(ctx, tasks)
	close(tasks)
	workers.Wait()
	// A worker's error, or that of the caller's context, is the reason why join
	// ended.
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return err
}

// prepare checks both buckets before anything is copied.
func (c *Copier) prepare(ctx context.Context) error {
	if err := c.from.exists(ctx); err != nil {
		return fmt.Errorf("bucket %s: %w", c.from.bucket, err)
	}
	if c.DeleteSource {
		switch kept, err := c.from.versioned(ctx); {
		case err != nil:
			return fmt.Errorf("it is not known whether the source keeps old versions, so nothing may be deleted there: %w", err)
		case kept && !c.KeepOldVersions:
			return errors.New("the source keeps deleted objects readable as old versions: accept that, or do not delete")
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
