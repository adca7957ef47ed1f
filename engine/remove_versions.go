package engine

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// RemoveVersion is a version on which something was decided, and its deletion.
type RemoveVersion struct {
	Version *meta.Version // the row that was decided on
	Current meta.ID       // the version that was its key's current one then
	// ForGood: this version is removed. Otherwise Version is the current one and its key
	// is deleted as the bucket's versioning has it, under a delete marker of the bucket's
	// owner where versions are kept.
	ForGood bool
}

// RemovedVersion is the outcome of one RemoveVersion.
type RemovedVersion struct {
	// Err is meta.ErrLocked where a lock keeps the version, meta.ErrConflict where the
	// row or the key's current version is no longer the one that was decided on: then
	// nothing was done. Any other error is a fault of the store.
	Err    error
	Marked bool            // the key was deleted by a delete marker
	Marker meta.VersionRef // of that; zero where the bucket keeps no versions
}

// RemoveVersions removes at most meta.MaxBatch versions of a bucket in one transaction,
// each on the condition that its row and its key's current version are still those that
// were decided on. Locks forbid it as they forbid any deletion; nobody's bypass is used,
// and no quota is asked. meta.ErrVersioning: the bucket's versioning or generation is
// another than in b, and nothing was done.
// The outcomes are in the order of vs. It serves lifecycles and their like: it takes what was
// judged and decides nothing itself.
func (e *Engine) RemoveVersions(ctx context.Context, b meta.Bucket, vs []RemoveVersion) ([]RemovedVersion, error) {
	ctx, how, sealed, err := e.sealing.As(ctx)
	if err != nil {
		return nil, err
	}
	defer sealed()
	old, err := e.displacedIn(ctx, b)
	if err != nil {
		return nil, err
	}
	defer old.report()
	rs := make([]meta.Removal, len(vs))
	for i, v := range vs {
		d := DeleteObject{Key: v.Version.Key, Owner: b.Owner}
		if v.ForGood {
			d.Version = v.Version.Ref()
		}
		if rs[i], err = e.removal(ctx, b, d, meta.Expect{Kind: meta.ExpectVersion, Version: v.Current}, how); err != nil {
			return nil, fmt.Errorf("seal a delete marker: %w", err)
		}
		rs[i].Newest, rs[i].Prove = b.Generation, old.proves
		// A tag that it has by now may be what keeps it.
		row := meta.Expect{Kind: meta.ExpectRow, Version: v.Version.ID, Revision: v.Version.Revision}
		if v.ForGood {
			rs[i].Named = row
		} else {
			rs[i].Expect = row
		}
	}
	// Without a retry after ErrVersioning: the rules were judged under the versioning that b
	// has, and have to be judged again under another.
	done, err := e.store.RemoveObjects(ctx, b.ID, b.Versioning, rs, e.now())
	if err != nil {
		return nil, fmt.Errorf("remove versions: %w", err)
	}
	out := make([]RemovedVersion, len(done))
	for i := range done {
		out[i] = RemovedVersion{Err: done[i].Err, Marked: done[i].Marked}
		if done[i].Marked {
			out[i].Marker = shown(b, rs[i].Marker)
		}
	}
	return out, nil
}
