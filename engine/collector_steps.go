package engine

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/blobs"
)

// The number bounds how long one transaction keeps its rows locked.
// collectRows uploads are expired, rows of parts removed, or renames forgotten in one
// pass of the collector.
const collectRows = 500

// beforeSweep are the collector's steps that make rows ready to be swept.
// An upload that expires here becomes dying, and the sweep of the same pass begins to take its
// parts.
func (e *Engine) beforeSweep() []blobs.Step {
	return []blobs.Step{{
		Doing: "expire uploads",
		Do: func(ctx context.Context, now time.Time) (int, bool, error) {
			n, err := e.store.ExpireUploads(ctx, now.Add(-e.expiry), collectRows)
			return n, n == collectRows, err
		},
		Note: func(r *blobs.CollectReport, n int) { r.Expired = n },
	}}
}

// afterSweep are those that remove surplus parts and forget renames.
func (e *Engine) afterSweep() []blobs.Step {
	return []blobs.Step{{
		Doing: "remove surplus parts",
		Do:    e.trim,
		Note:  func(r *blobs.CollectReport, n int) { r.Swept += n },
	}, {
		Doing: "forget renames",
		Do: func(ctx context.Context, now time.Time) (int, bool, error) {
			n, err := e.store.ForgetRenames(ctx, now.Add(-renameTokenLife), collectRows)
			return n, n == collectRows, err
		},
		Note: func(r *blobs.CollectReport, n int) { r.Forgotten = n },
	}}
}
