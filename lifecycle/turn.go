package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// turn is the turn of one bucket.
type turn struct {
	s     *Steps
	b     meta.Bucket
	l     *Configuration
	began time.Time
	// uploads and versions are the prefixes that are left. The position under the first
	// one is uploadKey and upload, and at.
	uploads, versions []string
	uploadKey         string
	upload            meta.ID
	at                spot
	tries             int
	failed            bool // something failed; the next turn is soon
	stuck             bool // nothing more is moved in this turn
	over              bool
	errs              []error // of single versions in this step
}

// last is the record of a turn for the rounds to come.
// A turn without a failure is due again at the next midnight after it began.
func (t *turn) last() lastTurn {
	due := endOf(t.began, 0)
	if again := t.s.now().Add(turnAgain); t.failed && again.Before(due) {
		due = again
	}
	return lastTurn{t.b.Revision, t.began, due}
}

// step processes one page. The turn ends early if the bucket's rules have changed; the
// bucket then has another turn with the new rules.
func (t *turn) step(ctx context.Context, r *Report) (err error) {
	now, err := t.s.engine.Buckets().Reread(ctx, t.b)
	if err != nil {
		return err
	}
	if now.Revision != t.b.Revision {
		l, err := Read(ctx, t.s.engine, now)
		if err != nil {
			return err
		}
		// Another setting of the bucket may have raised the revision. Only other rules end the
		// turn.
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
		t.s.log.Warn("lifecycle: versions stay as they are until another turn", "bucket", t.b.Name, "versions", n, "error", errors.Join(t.errs...))
	}
	return err
}

// fail counts a failure with one version, so that the others go on.
// The bucket then has its next turn after turnAgain, unless midnight comes first.
func (t *turn) fail(r *Report, err error) {
	t.failed = true
	if r.Failed++; len(t.errs) < maxErrors {
		t.errs = append(t.errs, err)
	}
}

// abortUploads processes one page of the uploads in progress. An upload that a client
// completes meanwhile stays completed.
// The conditions of a client's abort do not apply: what was judged is the time of the upload,
// which never changes.
func (t *turn) abortUploads(ctx context.Context, r *Report) error {
	page, err := t.s.store.ListUploads(ctx, meta.UploadQuery{
		Bucket: t.b.ID, Prefix: t.uploads[0], AfterKey: t.uploadKey, AfterUpload: t.upload, Limit: stepRows,
	})
	if err != nil {
		return err
	}
	for _, entry := range page.Entries {
		u := entry.Upload
		r.Rows++
		// The time at which the upload began decides, and an edited one would abort it too
		// soon.
		if err := t.s.engine.ProveUpload(ctx, u); err != nil {
			t.fail(r, fmt.Errorf("judge an upload: %w", err))
			continue
		}
		if !t.l.aborts(u.Key, u.Created, t.s.now()) {
			continue
		}
		err := t.s.engine.AbortUpload(ctx, t.b, u.Key, u.ID, time.Time{})
		if err != nil && !errors.Is(err, s3err.NoSuchUpload) {
			return fmt.Errorf("abort an upload: %w", err)
		} else if err == nil {
			r.Aborted++
			t.tell(Aborted, u.Key, meta.VersionRef{}, 0, "")
		}
	}
	t.uploadKey, t.upload = page.NextKey, page.NextUpload
	if !page.More {
		t.uploads = t.uploads[1:]
	}
	return nil
}
