package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
)

var (
	errStalled  = errors.New("no byte moved for too long")
	errVanished = errors.New("it was deleted from the source")
	// errWrong is temporary, because bytes can be damaged on the way.
	errWrong = errors.New("the bytes received do not match the digest of the source")
)

// conflict means that the target has another object than the source under the
// key.
type conflict struct{ why string }

func (c conflict) Error() string { return c.why }

// work does one task and counts it, unless ctx ended first. It returns only
// errors that end the whole run.
func (c *Copier) work(ctx context.Context, t task) error {
	err := c.copyObject(ctx, &t)
	// The task is not counted, so that the report does not call the run complete.
	if err != nil && ctx.Err() != nil {
		return nil
	}
	c.counters.done.Add(1)
	if f, ok := errors.AsType[journalError](err); ok {
		return f
	}
	_, differs := errors.AsType[conflict](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errVanished):
		c.counters.vanished.Add(1)
		return nil
	case differs:
		c.counters.conflicts.Add(1)
	default:
		c.counters.failed.Add(1)
	}
	c.failures.add(Failure{Key: t.key, Conflict: differs, Reason: err.Error()})
	c.Log.Warn("not copied", "key", t.key, "error", err)
	return nil
}

// copyObject copies an object until the target has one state of the source.
func (c *Copier) copyObject(ctx context.Context, t *task) error {
	switch name := c.name(t.key); {
	case name == "": // a request without a key would be for the bucket
		return final{errors.New("its key at the target would be empty without the prefix")}
	case len(name) > MaxKey:
		return final{fmt.Errorf("its key would have %d bytes at the target", len(name))}
	case len(t.etag) > maxETag || t.at != nil && len(t.at.etag) > maxETag:
		return final{fmt.Errorf("its entity tag has more than %d bytes", maxETag)}
	}
	for changes := 0; ; changes++ {
		err := c.settle(ctx, t)
		switch refused(err, "source") {
		// The object has another state than the listing showed.
		case http.StatusPreconditionFailed:
			if changes == maxChanges {
				return final{fmt.Errorf("it changed %d times while it was copied", changes+1)}
			}
			c.counters.retries.Add(1)
			err = c.refresh(ctx, t)
		}
		if refused(err, "source") == http.StatusNotFound {
			if gone := c.from.exists(ctx); gone != nil {
				return gone // the bucket is gone, not only the object
			}
			return errVanished
		}
		if err != nil || t.settled {
			return err
		}
	}
}

// refresh sets the task to the present state of the source.
func (c *Copier) refresh(ctx context.Context, t *task) error {
	o, err := c.from.head(ctx, t.key, "", 0)
	if err != nil {
		return err
	}
	t.etag, t.size = o.etag, o.size
	return nil
}

// settle skips, refuses or copies the object in the state of t.
func (c *Copier) settle(ctx context.Context, t *task) error {
	if t.at != nil {
		why, err := c.compare(ctx, t)
		switch {
		case err != nil:
			return err
		case why == "":
			c.counters.skipped.add(t.size)
			return c.finish(ctx, t)
		case !c.Overwrite:
			return conflict{why}
		}
	}
	got, err := c.copy(ctx, t)
	if err != nil {
		return err
	}
	if c.Verify == VerifyRead || got.mustRead {
		if err := c.readBack(ctx, t, got); err != nil {
			return err
		}
	}
	c.counters.copied.add(t.size)
	for n, is := range map[*atomic.Int64]bool{&c.counters.tags: got.source.tags, &c.counters.etag: got.etag != t.etag,
		&c.counters.unproven: got.unproven, &c.counters.class: got.source.class != "" && got.source.class != "STANDARD"} {
		if is {
			n.Add(1)
		}
	}
	// Only now is the copy proven as far as the options demand. The proof is
	// recorded before the source may be deleted.
	if err := c.journal.proven(t, got.etag, c.Verify == VerifyRead); err != nil {
		return err
	}
	return c.finish(ctx, t)
}

// finish ends the task of an object that the target has, and deletes it from
// the source if wanted.
func (c *Copier) finish(ctx context.Context, t *task) error {
	if c.DeleteSource {
		err := c.from.remove(ctx, t.key, t.etag)
		if refused(err, "source") == http.StatusPreconditionFailed {
			return final{errors.New("copied, but it changed at the source before it could be deleted; the new state was not copied")}
		}
		if err != nil {
			return final{fmt.Errorf("copied, but not deleted: %v", err)}
		}
		c.counters.deleted.add(t.size)
	}
	t.settled = true
	return nil
}

// copied is an object that was written to the target.
type copied struct {
	source   *object // its description, without the body
	etag     string  // at the target
	pieces   []proven
	unproven bool // the source has no digest
	mustRead bool // the target's answer proves nothing
}

// proven is a range of bytes with its digests.
type proven struct {
	off, n int64
	*digests
}

// copy writes the object, with retries.
func (c *Copier) copy(ctx context.Context, t *task) (*copied, error) {
	for attempt := 1; ; attempt++ {
		try, what := c.single, refusedCode
		if t.size > maxPut || partsOf(t.etag) > 0 {
			try = c.multipart
		}
		got, err := try(ctx, t)
		code := what(err, "target")
		switch {
		case err == nil:
			return got, nil
		// The key was taken meanwhile, or an attempt whose answer was lost has
		// completed the upload.
		case refused(err, "target") == http.StatusPreconditionFailed || code == "NoSuchUpload":
			return c.claim(ctx, t, err)
		case code == "EntityTooSmall" && !t.fixed:
			t.fixed = true // the target does not accept parts of the source's sizes
		case attempt == maxAttempts || !temporary(err) || ctx.Err() != nil:
			return nil, err
		}
		c.counters.retries.Add(1)
		if c.to.wait(ctx, attempt, err) != nil {
			return nil, err
		}
	}
}

// refusedCode is the error code of an answer of one side, or "".
func refusedCode(err error, role string) string {
	if e, ok := errors.AsType[*answerError](err); ok && e.role == role {
		return e.Code
	}
	return ""
}

// claim finds out which client wrote the object that is in the way: an earlier
// attempt of this copy, whose answer was lost, or another client.
func (c *Copier) claim(ctx context.Context, t *task, cause error) (*copied, error) {
	o, err := c.to.head(ctx, c.name(t.key), "", 0)
	if refused(err, "target") == http.StatusNotFound {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	if t.sent != nil && o.etag == t.sent.etag && o.size == t.size {
		t.sent.mustRead = true // another client may have written the same bytes with other attributes
		return t.sent, nil
	}
	return nil, conflict{"another client wrote it to the target meanwhile"}
}

// single copies an object with one PUT.
func (c *Copier) single(ctx context.Context, t *task) (_ *copied, err error) {
	ctx, w, stop := c.watched(ctx)
	defer stop()
	defer func() { err = cause(ctx, err) }()
	o, err := c.from.get(ctx, t.key, t.etag, piece{})
	if err != nil {
		return nil, err
	}
	defer o.body.Close()
	if o.size != t.size {
		return nil, final{fmt.Errorf("the source lists %d bytes but sends %d", t.size, o.size)}
	}
	in := c.to.call(http.MethodPut, c.name(t.key))
	in.header = o.attributes.Clone()
	condition(in.header, t.at)
	p := c.prove(t, o, &in)
	body := &held{r: o.body, to: io.MultiWriter(p, w), left: o.size, check: p.check}
	if in.body, in.size = body, o.size; in.size == 0 {
		if err := body.finish(); err != nil { // an empty body is never read, so nothing else checks it
			return nil, err
		}
	}
	// Before the request: if its answer is lost, claim compares the object at the
	// target with this.
	t.sent = &copied{source: o, unproven: p.etag == "" && p.sum.algorithm == "", pieces: []proven{{0, o.size, p.digests}}}
	ans, err := c.to.put(ctx, in)
	// All bytes have passed, so the digest is that of the whole.
	t.sent.etag = p.digests.etag()
	if err != nil {
		return nil, err
	}
	sure, err := c.answered(ans, t.sent.etag, p.algorithm, p.value())
	t.sent.etag, t.sent.mustRead = ans.etag, !sure
	return t.sent, err
}
