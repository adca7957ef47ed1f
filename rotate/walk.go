package rotate

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// part is a kind of rows that refer to generations.
type part string

// The parts, in the order in which they are looked at.
const (
	settings part = "settings"
	uploads  part = "uploads"
	versions part = "versions"
)

// walk is a step over the rows of all buckets whose keys have several generations: it counts
// those under older ones or, in the stage Rewrapping, brings them under the newest.
type walk struct {
	s       *Steps
	l       meta.Lease
	job     *Job
	r       *Report
	buckets map[meta.ID]*bucket // that this step has met
}

// bucket is what a step knows of a bucket.
type bucket struct {
	meta.Bucket
	several bool // older generations than the newest are there
}

// page looks at the next page of rows. ended: it was the last.
func (w *walk) page(ctx context.Context) (ended bool, err error) {
	switch at := &w.job.After; at.Part {
	case "", settings:
		at.Part = settings
		return false, w.settings(ctx, at)
	case uploads:
		return false, w.uploads(ctx, at)
	case versions:
		return w.versions(ctx, at)
	}
	return false, fmt.Errorf("the job's document has a part %q", w.job.After.Part)
}

// settings looks at those of the next bucket.
func (w *walk) settings(ctx context.Context, at *Position) error {
	id, ok, err := w.s.e.Buckets().Several(ctx, at.Bucket)
	if err != nil {
		return err
	}
	if !ok {
		*at = Position{Part: uploads}
		return nil
	}
	b, err := w.bucket(ctx, id)
	if err != nil {
		return err
	}
	if b != nil {
		if err := w.settingsOf(ctx, b); err != nil {
			return err
		}
	}
	at.Bucket = id
	w.r.Looked++ // a bucket without settings costs a look, too
	return nil
}

func (w *walk) settingsOf(ctx context.Context, b *bucket) error {
	if w.job.Stage != Rewrapping {
		all, old, err := w.s.e.Buckets().OldSettings(ctx, b.Bucket, 0)
		if errors.Is(err, s3err.NoSuchBucket) {
			return nil
		}
		w.count(all, old)
		return err
	}
	done, err := w.s.e.Buckets().RenewSettings(ctx, w.l, b.Bucket)
	w.rewrapped(done.Settings, done.Done)
	switch {
	case errors.Is(err, s3err.NoSuchBucket):
		return nil
	case damage.Unlike(err):
		w.failed("the settings of bucket "+b.Name, err)
	case err != nil:
		return err
	}
	for name, why := range done.Broken {
		w.failed("the setting "+name+" of bucket "+b.Name, why)
	}
	return nil
}

// uploads looks at a page of them, of all buckets.
func (w *walk) uploads(ctx context.Context, at *Position) error {
	page, err := w.s.e.Renewal().ScanUploads(ctx, at.ID, meta.MaxPage)
	if err != nil {
		return err
	}
	old := map[*bucket][]meta.Upload{}
	var order []*bucket
	all, n := 0, 0
	for _, u := range page {
		b, err := w.bucket(ctx, u.Bucket)
		if err != nil {
			return err
		}
		if b == nil || !b.several {
			continue
		}
		all++
		if u.Generation == b.Generation && !encrypt.AnyWrapIs(u.WrappedKey, func(g uint32) bool { return g != b.Generation }) {
			continue
		}
		if n++; old[b] == nil {
			order = append(order, b)
		}
		old[b] = append(old[b], u)
	}
	w.r.Looked += len(page) - all // those of other buckets cost a look, too
	if w.job.Stage != Rewrapping {
		w.count(all, n)
	} else {
		done := 0
		for _, b := range order {
			d, err := w.s.e.Renewal().Uploads(ctx, w.l, b.Bucket, old[b], w.failed)
			if done += d; err != nil && !w.passed(b, err) {
				w.rewrapped(0, done)
				return err
			}
		}
		w.rewrapped(all, done)
	}
	if len(page) < meta.MaxPage {
		*at = Position{Part: versions}
		return nil
	}
	at.ID = page[len(page)-1].ID
	return nil
}

// versions looks at a page of them. A position with a key is within its bucket; without one,
// the bucket is done.
func (w *walk) versions(ctx context.Context, at *Position) (ended bool, err error) {
	here := at.Bucket
	if len(at.Key) == 0 {
		var ok bool
		if here, ok, err = w.s.e.Buckets().Several(ctx, at.Bucket); err != nil || !ok {
			return err == nil, err
		}
	}
	page, err := w.s.e.Renewal().ScanVersions(ctx, meta.ObjectPosition{Bucket: here, Key: string(at.Key), Version: at.ID}, meta.MaxPage)
	if err != nil {
		return false, err
	}
	w.r.Looked++ // a bucket without rows costs a look, too
	for full := len(page) == meta.MaxPage; ; {
		n := 0
		for n < len(page) && page[n].At.Bucket == here {
			n++
		}
		if err := w.versionsOf(ctx, page[:n]); err != nil {
			return false, err
		}
		if full && n == len(page) { // the bucket may have more
			last := &page[n-1].At
			*at = Position{versions, here, []byte(last.Key), last.Version}
			return false, nil
		}
		*at = Position{Part: versions, Bucket: here}
		if page = page[n:]; len(page) == 0 {
			return false, nil
		}
		next, ok, err := w.s.e.Buckets().Several(ctx, here)
		if err != nil || !ok {
			return err == nil, err
		}
		if bytes.Compare(next[:], page[0].At.Bucket[:]) > 0 { // its rows are not at hand
			return false, nil
		}
		here = next
	}
}

// versionsOf looks at versions of one bucket.
func (w *walk) versionsOf(ctx context.Context, page []meta.ScannedVersion) error {
	if len(page) == 0 {
		return nil
	}
	b, err := w.bucket(ctx, page[0].At.Bucket)
	if err != nil || b == nil || !b.several {
		return err
	}
	var old []meta.Version
	unreadable := 0
	for i := range page {
		if v := &page[i]; v.Err != nil {
			w.failed(fmt.Sprintf("a version of %q in bucket %s", v.At.Key, b.Name), v.Err)
			unreadable++
		} else if !engine.UnderOnly(&v.Version, b.Generation) {
			old = append(old, v.Version)
		}
	}
	if w.job.Stage != Rewrapping {
		w.count(len(page), len(old)+unreadable)
		return nil
	}
	done := 0
	if len(old) > 0 {
		if done, err = w.s.e.Renewal().Versions(ctx, w.l, b.Bucket, old, w.failed); err != nil && !w.passed(b, err) {
			w.rewrapped(0, done)
			return err
		}
	}
	w.rewrapped(len(page), done)
	return nil
}

// bucket finds a bucket; nil for one that was deleted, or whose rows are not what was
// sealed, which is told once in a round.
func (w *walk) bucket(ctx context.Context, id meta.ID) (*bucket, error) {
	if b, ok := w.buckets[id]; ok {
		return b, nil
	}
	b := new(bucket)
	var err error
	b.Bucket, b.several, err = w.s.e.Buckets().OfID(ctx, id)
	switch {
	case errors.Is(err, s3err.NoSuchBucket):
		b = nil
	case damage.Unlike(err):
		if b = nil; w.job.After.Part == settings {
			w.failed("bucket "+id.String(), err)
			if w.job.Stage != Rewrapping {
				w.job.Left++
			}
		}
	case err != nil:
		return nil, err
	}
	w.buckets[id] = b
	return b, nil
}

// passed reports whether an error is of a bucket alone: it was deleted, or its keys do not
// open. The others go on.
func (w *walk) passed(b *bucket, err error) bool {
	switch {
	case errors.Is(err, s3err.NoSuchBucket):
	case damage.Unlike(err):
		w.failed("bucket "+b.Name, err)
	default:
		return false
	}
	return true
}

// count notes rows that were looked at.
func (w *walk) count(all, old int) {
	w.r.Looked += all
	w.job.Passed += all
	w.job.Rows += all
	w.job.Left += old
}

// rewrapped notes rows that were looked at and, of those, rewrapped.
func (w *walk) rewrapped(all, done int) {
	w.r.Looked += all
	w.r.Rewrapped += done
	w.job.Passed += all
	w.job.Rewrapped += done
}

// failed notes a row that cannot be rewrapped, while others are.
func (w *walk) failed(row string, err error) {
	if w.job.Stage != Rewrapping {
		return
	}
	w.job.Fail(row, err)
	w.r.Failed++
	w.s.c.Log.Error("a row cannot be brought under the newest generation", "row", row, "error", err)
}
