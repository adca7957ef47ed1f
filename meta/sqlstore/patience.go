package sqlstore

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

// patient runs intents within the time limits of meta.WithPatience.
type patient struct{ Runner }

// Write implements Runner.
func (p patient) Write(ctx context.Context, intent func(Tx) error) error {
	ctx, done := meta.Patiently(ctx)
	defer done()
	return p.Runner.Write(ctx, intent)
}

// Read implements Runner.
func (p patient) Read(ctx context.Context, intent func(Tx) error) error {
	ctx, done := meta.Patiently(ctx)
	defer done()
	return p.Runner.Read(ctx, intent)
}

// Snapshot implements Runner.
func (p patient) Snapshot(ctx context.Context, intent func(Tx) error) error {
	ctx, done := meta.Patiently(ctx)
	defer done()
	return p.Runner.Snapshot(ctx, intent)
}
