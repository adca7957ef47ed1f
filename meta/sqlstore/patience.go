package sqlstore

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

// patient runs intents within the time limits of meta.WithPatience.
type patient struct {
	Runner
	prompt Prompt // the runner, or nil
}

func newPatient(r Runner) patient {
	prompt, _ := r.(Prompt)
	return patient{Runner: r, prompt: prompt}
}

// Write implements Runner.
func (p patient) Write(ctx context.Context, intent func(Tx) error) error {
	ctx, done := meta.Patiently(ctx)
	defer done()
	return p.Runner.Write(ctx, intent)
}

// Read implements Runner. A timer for each read would cost more than the wait that it
// limits, where there is none.
func (p patient) Read(ctx context.Context, intent func(Tx) error) error {
	if p.prompt != nil {
		if ran, err := p.prompt.ReadNow(ctx, intent); ran {
			return err
		}
	}
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
