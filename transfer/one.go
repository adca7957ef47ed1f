package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

var (
	errStalled  = errors.New("nothing moved for too long")
	errVanished = errors.New("it was deleted from the source")
	// errWrong is temporary: bytes may break on the way.
	errWrong = errors.New("the bytes that came do not match the source's own digest")
)

// conflict is an object that the target has otherwise than the source.
type conflict struct{ why string }

func (c conflict) Error() string { return c.why }

// work does one task to its end and counts it, unless ctx ended first. Its error
// is one of the run.
func (c *Copier) work(ctx context.Context, t task) error {
	err := c.one(ctx, &t)
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

// one deals with an object until it is settled in one state of the source.
func (c *Copier) one(ctx context.Context, t *task) error {
	switch name := c.name(t.key); {
	case name == "": // a request for it would be one for the bucket
		return final{errors.New("nothing of its key is left at the target without the prefix")}
	case len(name) > MaxKey:
		return final{fmt.Errorf("its key would have %d bytes at the target", len(name))}
	case len(t.etag) > maxETag || t.at != nil && len(t.at.etag) > maxETag:
		return final{fmt.Errorf("its entity tag has more than %d bytes", maxETag)}
	}
	for changes := 0; ; changes++ {
		err := c.settle(ctx, t)
		switch refused(err, "source") {
		case http.StatusPreconditionFailed:
			if changes == maxChanges {
				return final{fmt.Errorf("it changed %d times while it was copied", changes+1)}
			}
			c.counters.retries.Add(1)
			err = c.refresh(ctx, t)
		}
		if refused(err, "source") == http.StatusNotFound {
			if gone := c.from.exists(ctx); gone != nil {
				return gone // not the object alone
			}
			return errVanished
		}
		if err != nil || t.settled {
			return err
		}
	}
}

// refresh takes the source's present state for what is to be copied.
func (c *Copier) refresh(ctx context.Context, t *task) error {
	o, err := c.from.head(ctx, t.key, "", 0)
	if err != nil {
		return err
	}
	t.etag, t.size = o.etag, o.size
	return nil
}

// settle skips, refuses or copies the object in the state that t names.
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
	if err := c.journal.proven(t, got.etag, c.Verify == VerifyRead); err != nil {
		return err
	}
	return c.finish(ctx, t)
}

// finish is for an object that the target has.
func (c *Copier) finish(ctx context.Context, t *task) error {
	if c.DeleteSource {
		err := c.from.remove(ctx, t.key, t.etag)
		if refused(err, "source") == http.StatusPreconditionFailed {
			return final{errors.New("copied, but it changed at the source before it could be deleted there; the new state was not copied")}
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
	source   *object // its description, without body
	etag     string  // at the target
	pieces   []proven
	unproven bool // the source had no digest
	mustRead bool // the target's answer proves nothing
}

// proven is a run of bytes that went by.
type proven struct {
	off, n int64
	*digests
}

// copy writes the object, trying again where that may help.
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
		case refused(err, "target") == http.StatusPreconditionFailed || code == "NoSuchUpload":
			return c.claim(ctx, t, err)
		case code == "EntityTooSmall" && !t.fixed:
			t.fixed = true // the source's part sizes are not allowed there
		case attempt == maxAttempts || !temporary(err) || ctx.Err() != nil:
			return nil, err
		}
		c.counters.retries.Add(1)
		if c.to.wait(ctx, attempt, err) != nil {
			return nil, err
		}
	}
}

func refusedCode(err error, role string) string {
	if e, ok := errors.AsType[*answerError](err); ok && e.role == role {
		return e.Code
	}
	return ""
}

// claim finds out whose object is in the way: that of an earlier try, whose
// answer got lost, or somebody else's.
func (c *Copier) claim(ctx context.Context, t *task, cause error) (*copied, error) {
	o, err := c.to.head(ctx, c.name(t.key), "", 0)
	if refused(err, "target") == http.StatusNotFound {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	if t.sent != nil && o.etag == t.sent.etag && o.size == t.size {
		t.sent.mustRead = true // lest it be another's with the same bytes and other attributes
		return t.sent, nil
	}
	return nil, conflict{"somebody else wrote it to the target meanwhile"}
}

// watch ends what it watches when nothing moves.
type watch struct {
	timer *time.Timer
	after time.Duration
	moved *atomic.Int64
}

// watched derives a context that ends after c.stall without a call of Write.
// The caller calls stop.
func (c *Copier) watched(ctx context.Context) (_ context.Context, w *watch, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	w = &watch{time.AfterFunc(c.stall, func() { cancel(errStalled) }), c.stall, &c.counters.moved}
	return ctx, w, func() {
		w.timer.Stop()
		cancel(nil)
	}
}

func (w *watch) Write(p []byte) (int, error) {
	w.timer.Reset(w.after)
	w.moved.Add(int64(len(p)))
	return len(p), nil
}

// proof is how the bytes of one request are held against both sides.
type proof struct {
	*digests
	etag string   // that the source promises for the bytes; empty: none
	sum  checksum // that it promises for them; zero: none
}

// check is asked when all bytes have passed.
func (p *proof) check() error {
	if p.etag != "" && p.digests.etag() != p.etag || p.sum.algorithm != "" && p.value() != p.sum.value {
		return errWrong
	}
	return nil
}

// single copies an object by one PUT.
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
		return nil, final{fmt.Errorf("the source lists %d bytes and sends %d", t.size, o.size)}
	}
	in := c.to.call(http.MethodPut, c.name(t.key))
	in.header = o.attributes.Clone()
	condition(in.header, t.at)
	p := c.prove(t, o, &in)
	body := &held{r: o.body, to: io.MultiWriter(p, w), left: o.size, check: p.check}
	if in.body, in.size = body, o.size; in.size == 0 {
		if err := body.finish(); err != nil { // nothing would ask for it
			return nil, err
		}
	}
	t.sent = &copied{source: o, unproven: p.etag == "" && p.sum.algorithm == "", pieces: []proven{{0, o.size, p.digests}}}
	ans, err := c.to.put(ctx, in)
	t.sent.etag = p.digests.etag()
	if err != nil {
		return nil, err
	}
	sure, err := c.answered(ans, t.sent.etag, p.algorithm, p.value())
	t.sent.etag, t.sent.mustRead = ans.etag, !sure
	return t.sent, err
}

// prove chooses how a PUT is proven: by the checksum that the source has, so that
// the target keeps it too, by our own, or by the MD5.
func (c *Copier) prove(t *task, o *object, in *call) *proof {
	p := &proof{}
	if md5ETag.MatchString(t.etag) && !o.foreignKey && !c.from.OpaqueETags {
		p.etag = t.etag
	}
	algorithm := ""
	if o.checksum.whole() {
		p.sum, algorithm = o.checksum, o.checksum.algorithm
	}
	switch {
	case algorithm != "" && c.to.Checksums:
		in.header.Set(checksumHeader(algorithm), p.sum.value)
	case algorithm == "" && c.to.Checksums && in.header.Get("Content-Encoding") == "":
		// With an encoding, the one of the transfer would stand beside it, which
		// not all servers tell apart.
		algorithm, in.algorithm = ownAlgorithm, ownAlgorithm
	case p.etag != "":
		in.header.Set("Content-MD5", contentMD5(p.etag))
	}
	p.digests = newDigests(algorithm, c.Verify == VerifyRead)
	in.sum = p.value
	return p
}

// answered holds the target's answer against what was sent. It is sure when one
// of ETag and checksum proves the bytes.
func (c *Copier) answered(ans written, etag, algorithm, value string) (sure bool, err error) {
	opaque := ans.foreignKey || c.to.OpaqueETags
	switch {
	case ans.etag == "" || len(ans.etag) > maxETag:
		return false, final{fmt.Errorf("the target answered with an entity tag of %d bytes", len(ans.etag))}
	case ans.checksum.algorithm == algorithm && algorithm != "" && ans.checksum.value != value:
		return false, final{fmt.Errorf("the target answered with %s %s for bytes of %s", algorithm, ans.checksum.value, value)}
	case ans.etag == etag || ans.checksum.algorithm == algorithm && algorithm != "":
		return true, nil
	case !opaque:
		return false, final{fmt.Errorf("the target answered with ETag %q for bytes of %q", ans.etag, etag)}
	}
	return false, nil
}

// cause prefers why a context ended over the fact.
func cause(ctx context.Context, err error) error {
	if err != nil && context.Cause(ctx) == errStalled {
		return errStalled
	}
	return err
}
