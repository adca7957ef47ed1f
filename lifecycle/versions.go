package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// spot is a position among the versions under a prefix, right after a version that stays,
// with the facts about earlier versions of its key that later judgements need.
type spot struct {
	key     string
	version meta.VersionRef
	current meta.ID // current version of the key; zero: not known
	stay    int     // number of noncurrent versions of the key that stay
}

// judged is a version with the verdict on it.
type judged struct {
	v     *meta.Version
	fate  fate
	class string
	gone  bool
	spot  spot // after it
}

// lookAtVersions judges one page of versions and carries out the verdicts.
//
// The next page begins after the last version of this page that stays, because the store
// cannot find the position of a version that is gone. Versions of a key that were written
// meanwhile are skipped, so the number of newer versions may come out too small and never
// too large.
func (t *turn) lookAtVersions(ctx context.Context, r *Report) error {
	page, err := t.s.store.ListVersions(ctx, meta.VersionQuery{
		Bucket: t.b.ID, Prefix: t.versions[0], AfterKey: t.at.key, AfterVersion: t.at.version, Limit: stepRows,
	})
	if err != nil {
		return err
	}
	// The whole page is judged before anything is done: what a version's removal changes must
	// not reach the judgement of the next.
	todo := t.judgeAll(ctx, page, r)
	if err := t.remove(ctx, todo, r); errors.Is(err, meta.ErrVersioning) {
		return nil // the next step reads the bucket again
	} else if err != nil {
		return err
	}
	done, err := t.moveAll(ctx, todo, r)
	for i := range todo[:done] {
		if !todo[i].gone {
			t.at = todo[i].spot
		}
	}
	r.Rows += done
	if err == nil && !page.More && done == len(page.Entries) {
		t.versions, t.at = t.versions[1:], spot{}
	}
	return err
}

// judgeAll judges the versions of a page in order. A delete marker at the end of the page
// is left for the next page, which shows whether the marker hides a version.
// A version that cannot be judged stays, and counts as one of the newer versions.
func (t *turn) judgeAll(ctx context.Context, page meta.VersionPage, r *Report) []judged {
	out := make([]judged, 0, len(page.Entries))
	now, at := t.s.now(), t.at
	for i := range page.Entries {
		v := &page.Entries[i].Version
		last := i == len(page.Entries)-1
		if v.Latest || v.Key != at.key {
			at = spot{key: v.Key}
			if v.Latest {
				at.current = v.ID
			}
		}
		if last && page.More && v.Latest && v.Marker {
			break
		}
		j := judged{v: v}
		sole := v.Marker && v.Latest && (last || page.Entries[i+1].Version.Key != v.Key)
		var err error
		if j.fate, j.class, err = t.judge(ctx, v, at, sole, now, r); err != nil {
			t.fail(r, fmt.Errorf("judge a version: %w", err))
		}
		if at.version = v.Ref(); !v.Latest && j.fate != fateRemove {
			at.stay++
		}
		j.spot = at
		out = append(out, j)
	}
	return out
}

// judge judges one version after proving its row. A locked version is never removed; the
// store refuses that as well.
func (t *turn) judge(ctx context.Context, v *meta.Version, at spot, sole bool, now time.Time, r *Report) (fate, string, error) {
	// The key's current version was not seen, or the time since which v is noncurrent is
	// not known.
	if at.current.IsZero() || !v.Latest && v.Displaced.IsZero() {
		return fateStay, "", nil
	}
	shown, err := t.s.engine.OpenVersion(ctx, v)
	if err != nil {
		return fateStay, "", err
	}
	s := &subject{
		key: v.Key, size: v.Size, modified: v.Modified, displaced: v.Displaced, marker: v.Marker, sole: sole,
		newer: at.stay, class: shown.StorageClass, kept: t.b.Versioning != meta.VersioningOff,
		tags: func() ([]engine.Pair, error) {
			m, err := t.s.engine.OpenMarks(ctx, *v)
			return m.Tags, err
		},
	}
	// No version became noncurrent before it was made. An earlier time in an edited row
	// would remove it too soon.
	if s.displaced.Before(v.Modified) {
		s.displaced = v.Modified
	}
	if v.Latest {
		s.displaced = time.Time{}
	}
	f, class, err := t.l.judge(s, now)
	if err != nil || f != fateRemove || v.Marker {
		return f, class, err
	}
	if v.Lock.Forbids(now, false) {
		r.Locked++
		return fateStay, "", nil
	}
	// The lock in the row allows it, and the row may have been edited. OpenMarks holds it
	// against what was sealed.
	if t.b.Lock {
		if _, err := t.s.engine.OpenMarks(ctx, *v); err != nil {
			return fateStay, "", err
		}
	}
	return f, class, nil
}

// remove removes the versions with such a verdict, on the condition that neither the
// version nor its key's current version has changed. The current version of a key comes
// last, because deleting it would break that condition.
func (t *turn) remove(ctx context.Context, todo []judged, r *Report) error {
	var batch []*judged
	for i := range slices.Backward(todo) {
		if f := todo[i].fate; f == fateDelete || f == fateRemove {
			batch = append(batch, &todo[i])
		}
		if len(batch) == meta.MaxBatch || i == 0 && len(batch) > 0 {
			if err := t.removeBatch(ctx, batch, r); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return nil
}

// With ErrVersioning nothing of the batch was removed. The next step judges again under the bucket
// as it is then.
func (t *turn) removeBatch(ctx context.Context, batch []*judged, r *Report) error {
	as := make([]engine.RemoveVersion, len(batch))
	for i, j := range batch {
		as[i] = engine.RemoveVersion{Version: j.v, Current: j.spot.current, ForGood: j.fate == fateRemove}
	}
	removed, err := t.s.engine.RemoveVersions(ctx, t.b, as)
	if err != nil {
		return err
	}
	for i, j := range batch {
		switch err := removed[i].Err; {
		case errors.Is(err, meta.ErrLocked):
			r.Locked++
		case errors.Is(err, meta.ErrConflict): // a client was faster; the next turn judges it again
			t.failed = true
		case err != nil:
			t.fail(r, fmt.Errorf("remove a version: %w", err))
		case j.fate == fateDelete:
			r.Expired++
			if removed[i].Marked {
				t.tell(Marked, j.v.Key, removed[i].Marker, j.v.Size, "")
			} else {
				t.tell(Removed, j.v.Key, j.v.Ref(), j.v.Size, "")
			}
			// With versioning enabled the version stays, under the new delete marker.
			j.gone = t.b.Versioning == meta.VersioningOff || j.v.Null && t.b.Versioning == meta.VersioningSuspended
		default:
			j.gone = true
			t.tell(Removed, j.v.Key, j.v.Ref(), j.v.Size, "")
			if j.v.Marker && j.v.Latest {
				r.Markers++
			} else {
				r.Removed++
			}
		}
	}
	return nil
}

// errStuck: a backend failed over and over.
var errStuck = errors.New("nothing is moved for the rest of the bucket's turn")

// moveAll gives versions their new storage class until the step's bound is reached. It
// returns how many versions of the page are done.
// Backends that fail end the step, and after maxTries in succession the moving of this turn, while
// removals go on.
func (t *turn) moveAll(ctx context.Context, todo []judged, r *Report) (done int, err error) {
	for i := range todo {
		if todo[i].fate != fateMove {
			continue
		}
		if r.MovedBytes >= stepBytes {
			return i, nil
		}
		if t.stuck {
			t.fail(r, errStuck)
			continue
		}
		n, err := t.s.engine.Reclass(ctx, t.b, todo[i].v, todo[i].class)
		r.MovedBytes += n
		switch {
		case err == nil:
			r.Moved++
			t.tell(Moved, todo[i].v.Key, todo[i].v.Ref(), todo[i].v.Size, todo[i].class)
		case errors.Is(err, engine.ErrVersionChanged):
			t.failed = true
		case engine.OfVersionAlone(err):
			t.fail(r, fmt.Errorf("move a version to %s: %w", todo[i].class, err))
		case t.tries+1 >= maxTries && ctx.Err() == nil:
			t.stuck = true // removals need not wait
			t.fail(r, fmt.Errorf("move a version to %s: %w", todo[i].class, err))
		default:
			return i, fmt.Errorf("move a version to %s: %w", todo[i].class, err)
		}
	}
	return len(todo), nil
}
