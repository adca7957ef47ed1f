package engine

import (
	"context"
	"fmt"
)

const (
	// foldRows is how many changes of usage one step adds up. It bounds how long one
	// transaction keeps its rows locked.
	foldRows = 1000
	// usageLease keeps gateways from adding up the same changes at the same time.
	usageLease = "usage"
)

// FoldUsage adds up a bounded number of the changes of usage that commits have left.
// more reports whether another step has work at once. One gateway at a time does this,
// by lease. It is no step of the collector, whose passes last as long as deletions at the
// slowest backend: meanwhile the changes would become so many that quotas could not be read.
func (e *Engine) FoldUsage(ctx context.Context) (more bool, err error) {
	_, mine, err := e.blobs.Hold(ctx, usageLease)
	if err != nil || !mine {
		return false, err
	}
	n, err := e.store.FoldUsage(ctx, foldRows)
	if err != nil {
		return false, fmt.Errorf("fold usage: %w", err)
	}
	return n == foldRows, nil
}
