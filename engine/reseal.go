package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// resealRows is how many rows one step of Reseal looks at, or a few more.
const resealRows = 1000

// ResealReport is what one step did.
type ResealReport struct {
	Sealing meta.Sealing // after the step
	Skipped bool         // another gateway does it
	Waiting bool         // for a gateway that still writes by an earlier sealing
	Stage   string       // what kind of rows the step looked at; empty: none
	Rows    int          // looked at
	Failed  int          // of those, rows that cannot be opened and stay as they are
	More    bool         // another step has work at once
}

// resealStage gives rows of one kind what they are to have. after is nil or what an
// earlier call returned; next nil: there are no more. Failed rows do not open, and
// will not later; an error is of something else, and the rows are looked at again.
type resealStage struct {
	name string
	rows func(e *Engine, ctx context.Context, after []byte, limit int) (next []byte, seen, failed int, err error)
}

// resealStages are all kinds of rows, in the order in which they are looked at.
var resealStages = []resealStage{
	{"tenants", ofAccounts((*accounts.Accounts).ResealTenants)},
	{"access keys", ofAccounts((*accounts.Accounts).ResealAccessKeys)},
	{"identities", ofAccounts((*accounts.Accounts).ResealIdentities)},
	{"buckets", resealBuckets},
	{"versions", (*Engine).resealVersions},
	{"uploads", (*Engine).resealUploads},
}

// resealProgress is how far the rows are resealed, as the store keeps it. Who edits it
// leaves rows without their records, which nobody takes for whole afterwards.
type resealProgress struct {
	Stage  int    `json:"stage"`
	After  []byte `json:"after,omitempty"`
	Failed int    `json:"failed,omitempty"`
}

// DescribeSealing says how much of a deployment's rows is sealed, and how far those
// without their records are given theirs, as the row says: nothing is proven.
func DescribeSealing(d meta.Deployment) string {
	if d.Sealing >= meta.SealingWhole {
		return "whole"
	}
	if d.Sealing <= meta.SealingLegacy { // or 0, of a release before there were any
		return "legacy"
	}
	var at resealProgress
	if len(d.Resealed) > 0 && json.Unmarshal(d.Resealed, &at) != nil {
		return "renewed"
	}
	doing := "all rows were looked at"
	if at.Stage >= 0 && at.Stage < len(resealStages) {
		doing = fmt.Sprintf("%s, %d of %d", resealStages[at.Stage].name, at.Stage+1, len(resealStages))
	}
	if at.Failed > 0 {
		doing += fmt.Sprintf("; %d rows do not open", at.Failed)
	}
	return "renewed: " + doing
}

// Reseal does one bounded step of sealing an old store whole, taking up where the
// last one ended, on whichever gateway that was. One gateway at a time does it, and
// none once all is done. It waits for gateways of the release before to end, and
// then for all others to have seen that, so that no row is missed. Concurrent calls
// wait for one another.
func (e *Engine) Reseal(ctx context.Context) (r ResealReport, err error) {
	defer func() { r.Sealing = e.sealing() }()
	if e.readOnly || e.sealing() == meta.SealingWhole {
		return r, nil
	}
	e.resealing.Lock()
	defer e.resealing.Unlock()
	l, mine, err := e.blobs.Hold(ctx, sealingLease)
	if err != nil || !mine {
		r.Skipped = err == nil
		return r, err
	}
	if err := e.blobs.ShowLife(ctx); err != nil {
		return r, err
	}
	known := e.sealing()
	d, err := e.store.Deployment(ctx)
	if err == nil {
		err = e.observe(d, known)
	}
	if err != nil || e.sealing() == meta.SealingWhole {
		return r, err
	}
	gone, waiting, err := e.behind(ctx)
	if err != nil || waiting {
		r.Waiting = waiting
		return r, err
	}
	if d.Sealing == meta.SealingLegacy {
		return r, e.raise(ctx, d, gone, &r)
	}
	var at resealProgress
	if len(d.Resealed) > 0 {
		if err := json.Unmarshal(d.Resealed, &at); err != nil || at.Stage < 0 {
			at = resealProgress{} // from the start
		}
	}
	if at.Stage >= len(resealStages) {
		return r, e.raise(ctx, d, gone, &r)
	}
	return r, e.resealOn(ctx, l, at, &r)
}

// behind reports whether a gateway that lives writes by an earlier sealing than the
// present, and which gateways are gone.
func (e *Engine) behind(ctx context.Context) (gone []meta.Holder, waiting bool, err error) {
	if gone, _, err = e.blobs.Gone(ctx); err != nil {
		return nil, false, err
	}
	dead := make(map[meta.ID]int64, len(gone))
	for _, h := range gone {
		dead[h.ID] = h.Beat
	}
	all, err := e.store.Holders(ctx)
	if err != nil {
		return nil, false, err
	}
	for _, h := range all {
		if beat, ok := dead[h.ID]; h.Sealing < e.sealing() && (!ok || beat != h.Beat) {
			return nil, true, nil
		}
	}
	return gone, false, nil
}

// raise takes the sealing one further, unless a gateway would be left behind.
func (e *Engine) raise(ctx context.Context, d meta.Deployment, gone []meta.Holder, r *ResealReport) error {
	from := d.Sealing
	d.Sealing++
	if err := e.sealDeployment(&d); err != nil {
		return err
	}
	err := e.store.SetSealing(ctx, from, d, gone)
	if errors.Is(err, meta.ErrConflict) {
		r.Waiting = true
		return nil
	} else if err != nil {
		return err
	}
	if err := e.reread(ctx); err != nil {
		return err
	}
	r.More = e.sealing() < meta.SealingWhole
	if r.More {
		e.log.Info("all gateways write sealed records; the rows without are given theirs")
		return nil
	}
	e.log.Info("every row of the store has its sealed record")
	return e.blobs.ProveLate(ctx)
}

// resealOn looks at the next rows and notes how far that was.
func (e *Engine) resealOn(ctx context.Context, l meta.Lease, at resealProgress, r *ResealReport) error {
	stage := resealStages[at.Stage]
	next, seen, failed, err := stage.rows(e, ctx, at.After, resealRows)
	r.Stage, r.Rows, r.Failed = stage.name, seen, failed
	if err != nil {
		return fmt.Errorf("reseal %s: %w", stage.name, err)
	}
	at.Failed += failed
	if at.After = next; next == nil {
		at.Stage++
	}
	progress, err := json.Marshal(at)
	if err == nil {
		err = e.store.NoteResealed(ctx, l, progress)
	}
	r.More = err == nil
	return err
}

// unopened reports an error that a row will have for ever.
func unopened(err error) bool {
	return errors.Is(err, records.ErrEdited) || errors.Is(err, encrypt.ErrCorrupt) || errors.Is(err, encrypt.ErrWrongKey)
}

// passed counts a row that cannot be resealed. nil: go on.
func (e *Engine) passed(what string, err error, failed *int) error {
	switch {
	case err == nil, errors.Is(err, meta.ErrConflict), errors.Is(err, meta.ErrNotFound), errors.Is(err, meta.ErrNoBucket):
		return nil // who changed it meanwhile sealed it, or it is gone
	case unopened(err):
		*failed++
		e.log.Error("a row cannot be opened, and is not sealed anew", "row", what, "error", err)
		return nil
	}
	return err
}

// resealBuckets is the stage over rows of buckets.
func resealBuckets(e *Engine, ctx context.Context, after []byte, limit int) (next []byte, seen, failed int, err error) {
	next, seen, err = e.buckets.Reseal(ctx, after, limit, func(row string, err error) error { return e.passed(row, err, &failed) })
	return next, seen, failed, err
}

// ofAccounts is a stage over rows that accounts keep.
func ofAccounts(reseal func(*accounts.Accounts, context.Context, []byte, int, accounts.Passed) ([]byte, int, error)) func(*Engine, context.Context, []byte, int) ([]byte, int, int, error) {
	return func(e *Engine, ctx context.Context, after []byte, limit int) (next []byte, seen, failed int, err error) {
		next, seen, err = reseal(e.accounts, ctx, after, limit, func(row string, err error) error { return e.passed(row, err, &failed) })
		return next, seen, failed, err
	}
}

// sealingLease keeps gateways from resealing at the same time.
const sealingLease = "sealing"
