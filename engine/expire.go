package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Bounds of one step of Expire.
const (
	expireRows     = meta.MaxPage // versions or uploads looked at; at least 2
	expireBuckets  = 100          // buckets whose rules are read
	expireBytes    = 256 << 20    // sealed bytes moved; the version that exceeds them is the last
	maxExpireTries = 3            // steps that fail until a bucket's turn is over
	maxTurns       = 32           // of tenants under way at once
	// expireAgain is when a bucket has another turn in which something failed.
	expireAgain = time.Hour
	// maxExpireErrors of single versions are named in the log; all are counted.
	maxExpireErrors = 5
)

// never is when the next turn of a bucket without rules is.
var never = time.Unix(math.MaxInt32, 0)

// ExpireReport is what one step did.
type ExpireReport struct {
	Skipped    bool  `json:"skipped"`     // another gateway does it
	Buckets    int   `json:"buckets"`     // whose turn has ended
	Rows       int   `json:"rows"`        // versions and uploads looked at
	Expired    int   `json:"expired"`     // current objects that were deleted
	Removed    int   `json:"removed"`     // noncurrent versions that were removed for good
	Markers    int   `json:"markers"`     // delete markers that hid nothing
	Aborted    int   `json:"aborted"`     // uploads
	Moved      int   `json:"moved"`       // versions that have another storage class
	MovedBytes int64 `json:"moved_bytes"` // sealed
	Locked     int   `json:"locked"`      // versions that stay because of their lock
	Failed     int   `json:"failed"`      // versions with which something failed; they are tried again
	More       bool  `json:"more"`        // another step has work at once
}

// Changed is how many versions and uploads are no longer what they were.
func (r *ExpireReport) Changed() int { return r.Expired + r.Removed + r.Markers + r.Aborted + r.Moved }

// Add sums up steps; Skipped and More are those of the last.
func (r *ExpireReport) Add(s ExpireReport) {
	r.Skipped, r.More = s.Skipped, s.More
	r.Buckets, r.Rows, r.Expired, r.Removed, r.Markers = r.Buckets+s.Buckets, r.Rows+s.Rows, r.Expired+s.Expired, r.Removed+s.Removed, r.Markers+s.Markers
	r.Aborted, r.Moved, r.MovedBytes, r.Locked, r.Failed = r.Aborted+s.Aborted, r.Moved+s.Moved, r.MovedBytes+s.MovedBytes, r.Locked+s.Locked, r.Failed+s.Failed
}

// expiring is what this process remembers of carrying out lifecycle rules. Whoever
// has to begin anew, because it is lost, does nothing twice: every action is held
// against the state that it was decided on.
type expiring struct {
	after string // buckets up to this name were looked at in this round
	turns rotation[*turn]
	seen  map[meta.ID]lastTurn
	round map[meta.ID]lastTurn // what becomes of seen at the end of the round; nil between rounds
	idle  time.Time            // when the last round ended, unless a turn has ended since
}

// looks reports whether it is time to look for another turn.
func (x *expiring) looks(now time.Time) bool {
	n := len(x.turns.turns)
	return n == 0 || n < maxTurns && (x.round != nil || !within(now, x.idle, x.idle.Add(lookAgain)))
}

// note remembers a bucket's turn.
func (x *expiring) note(bucket meta.ID, last lastTurn) {
	if x.round != nil {
		x.round[bucket] = last
	}
	if x.seen == nil {
		x.seen = make(map[meta.ID]lastTurn)
	}
	x.seen[bucket] = last
}

// lastTurn is which rules a bucket had at its last turn, and when the next is due.
type lastTurn struct {
	revision int64
	began    time.Time // a turn of the time to come was by a clock that was wrong
	due      time.Time
}

// Expire does one bounded step of carrying out the lifecycle rules of buckets: it
// looks at one page of versions or uploads of one bucket. A bucket has its turn
// once a day, after midnight UTC, for that is when rules fall due; and when its
// settings have changed. The turns of several tenants are under way at once, one of
// each. One gateway at a time does it. Concurrent calls wait for
// one another. What fails in one bucket, or with one version, does not keep others
// from their turn.
func (e *Engine) Expire(ctx context.Context) (r ExpireReport, err error) {
	e.expireMu.Lock()
	defer e.expireMu.Unlock()
	x := &e.expiring
	_, mine, err := e.hold(ctx, lifecycleLease)
	if err != nil {
		return r, fmt.Errorf("take the lifecycle's lease: %w", err)
	}
	if !mine {
		*x = expiring{}
		return ExpireReport{Skipped: true}, nil
	}
	if x.looks(e.now()) {
		if r.More, err = e.nextTurn(ctx); err != nil {
			return r, err
		}
	}
	at := x.turns.next(e.now())
	if at == nil {
		return r, nil
	}
	t := at.turn
	err = t.step(ctx, &r)
	if errors.Is(err, s3err.NoSuchBucket) {
		t.over, err = true, nil
	}
	if err != nil {
		if t.tries++; t.tries == maxExpireTries {
			t.over, t.failed = true, true
		}
		at.failed = e.now()
		at.resumes = at.failed.Add(time.Duration(t.tries) * resumeAfter)
		err = fmt.Errorf("lifecycle of bucket %s: %w", t.b.Name, err)
	} else {
		t.tries = 0
	}
	if t.over {
		r.Buckets++
		x.turns.end(at)
		x.note(t.b.ID, t.last())
		x.idle = time.Time{} // another of the tenant's may be due
	}
	r.More = r.More || t.over || x.turns.ready(e.now())
	return r, err
}

// nextTurn looks for a bucket whose turn it is. More: there may be one further on.
func (e *Engine) nextTurn(ctx context.Context) (more bool, err error) {
	x := &e.expiring
	if x.round == nil {
		x.round = make(map[meta.ID]lastTurn)
	}
	page, err := e.store.ListBuckets(ctx, meta.BucketQuery{After: x.after, Limit: meta.MaxPage})
	if err != nil {
		return false, err
	}
	read := 0
	for _, b := range page {
		if b.Revision > 0 {
			if err := e.proveBucket(&b); err != nil { // the others have their turn all the same
				x.after = b.Name
				return true, err
			}
			last, ok := x.seen[b.ID]
			if ok && last.revision == b.Revision && within(e.now(), last.began, last.due) {
				x.round[b.ID], x.after = last, b.Name
				continue
			}
			if x.turns.has(b.Owner) { // it is looked at again when that turn has ended
				x.after = b.Name
				continue
			}
			if read++; read > expireBuckets {
				return true, nil
			}
			x.after = b.Name
			if begun, err := e.beginTurn(ctx, b); err != nil || begun {
				return true, err
			}
		}
		x.after = b.Name
	}
	if len(page) == meta.MaxPage {
		return true, nil
	}
	x.after, x.seen, x.round, x.idle = "", x.round, nil, e.now() // buckets that are gone are forgotten
	return false, nil
}

// beginTurn begins a bucket's turn, if it has rules.
func (e *Engine) beginTurn(ctx context.Context, b meta.Bucket) (begun bool, err error) {
	x, now := &e.expiring, e.now()
	l, err := e.lifecycle(ctx, b)
	switch {
	case errors.Is(err, s3err.NoSuchBucket):
		return false, nil
	case err != nil:
		x.note(b.ID, lastTurn{b.Revision, now, now.Add(expireAgain)})
		return false, fmt.Errorf("read the lifecycle of bucket %s: %w", b.Name, err)
	case l == nil:
		x.note(b.ID, lastTurn{b.Revision, now, never})
		return false, nil
	}
	x.turns.begin(b.Owner, &turn{e: e, b: b, l: l, began: now, uploads: l.prefixes(ofUploads), versions: l.prefixes(ofVersions)})
	return true, nil
}

// turn is the turn of one bucket.
type turn struct {
	e     *Engine
	b     meta.Bucket
	l     *Lifecycle
	began time.Time
	// uploads and versions are the prefixes that are left to be looked at, and at
	// is the place under the first of them.
	uploads, versions []string
	uploadKey         string
	upload            meta.ID
	at                spot
	tries             int
	failed            bool // with something; there is another turn soon
	stuck             bool // nothing more is moved in this turn
	over              bool
	errs              []error // of single versions in this step
}

// last is what is remembered of a turn.
func (t *turn) last() lastTurn {
	due := endOf(t.began, 0)
	if again := t.e.now().Add(expireAgain); t.failed && again.Before(due) {
		due = again
	}
	return lastTurn{t.b.Revision, t.began, due}
}

// step looks at one page. The turn ends early when the bucket's rules have changed:
// it has another with those.
func (t *turn) step(ctx context.Context, r *ExpireReport) (err error) {
	now, err := t.e.sameBucket(ctx, t.b)
	if err != nil {
		return err
	}
	if now.Revision != t.b.Revision {
		l, err := t.e.lifecycle(ctx, now)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(l, t.l) {
			t.over = true
			return nil
		}
	}
	t.b, t.errs = now, nil
	failed := r.Failed
	switch {
	case len(t.uploads) > 0:
		err = t.abortUploads(ctx, r)
	case len(t.versions) > 0:
		err = t.lookAtVersions(ctx, r)
	}
	t.over = len(t.uploads) == 0 && len(t.versions) == 0
	if n := r.Failed - failed; n > 0 {
		t.e.log.Warn("lifecycle: versions stay as they are until another turn", "bucket", t.b.Name, "versions", n, "error", errors.Join(t.errs...))
	}
	return err
}

// fail counts what failed with one version, so that others go on.
func (t *turn) fail(r *ExpireReport, err error) {
	t.failed = true
	if r.Failed++; len(t.errs) < maxExpireErrors {
		t.errs = append(t.errs, err)
	}
}

// abortUploads looks at one page of the uploads in progress. One that is completed
// meanwhile was completed.
func (t *turn) abortUploads(ctx context.Context, r *ExpireReport) error {
	page, err := t.e.store.ListUploads(ctx, meta.UploadQuery{
		Bucket: t.b.ID, Prefix: t.uploads[0], AfterKey: t.uploadKey, AfterUpload: t.upload, Limit: expireRows,
	})
	if err != nil {
		return err
	}
	for _, entry := range page.Entries {
		u := entry.Upload
		r.Rows++
		if _, err := t.e.openUpload(ctx, u); err != nil {
			t.fail(r, fmt.Errorf("judge an upload: %w", err))
			continue
		}
		if !t.l.aborts(u.Key, u.Created, t.e.now()) {
			continue
		}
		err := t.e.store.AbortUpload(ctx, u.ID)
		if err != nil && !errors.Is(err, meta.ErrNotFound) {
			return fmt.Errorf("abort an upload: %w", err)
		} else if err == nil {
			r.Aborted++
			t.tell(LifecycleAborted, u.Key, meta.VersionRef{}, 0, "")
		}
	}
	t.uploadKey, t.upload = page.NextKey, page.NextUpload
	if !page.More {
		t.uploads = t.uploads[1:]
	}
	return nil
}
