package accounts

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// documentLimits is the label that a tenant's limits are sealed for.
const documentLimits = "limits"

// Limits returns the limits of a tenant; none for a tenant that is gone. The
// answer may be CredentialTTL old.
func (a *Accounts) Limits(ctx context.Context, id meta.ID) (meta.Limits, error) {
	if l, ok := a.limits.Get(id); ok {
		return l, nil
	}
	return a.limits.Load(id, func() (meta.Limits, error) {
		t, err := a.Existing(ctx, id)
		if errors.Is(err, meta.ErrNotFound) {
			return meta.Limits{}, nil
		} else if err != nil {
			return meta.Limits{}, meta.Coded(err)
		}
		return a.limitsOf(&t)
	})
}

// limitsOf opens the limits in a tenant's row. An unreadable document is an
// error and never means that there are no limits.
func (a *Accounts) limitsOf(t *meta.Tenant) (l meta.Limits, err error) {
	if len(t.Limits) == 0 {
		return l, nil
	}
	doc, err := a.Records.OpenDocument(documentLimits, t.ID[:], t.Limits)
	if err == nil {
		l, err = meta.ParseLimits(doc)
	}
	if err != nil {
		return meta.Limits{}, fmt.Errorf("open a tenant's limits: %w", err)
	}
	return l, nil
}

// SetLimits replaces the limits of a tenant, including unreadable ones. Errors
// are those of ChangeLimits.
func (a *Accounts) SetLimits(ctx context.Context, id meta.ID, l meta.Limits) error {
	return a.updateLimits(ctx, id, func(*meta.Tenant) (meta.Limits, error) { return l, nil })
}

// ChangeLimits applies change to the limits of a tenant; NoSuchEntity. It calls
// change again when the tenant was changed meanwhile. Other gateways see the
// result within CredentialTTL.
func (a *Accounts) ChangeLimits(ctx context.Context, id meta.ID, change func(*meta.Limits) error) error {
	return a.updateLimits(ctx, id, func(t *meta.Tenant) (meta.Limits, error) {
		l, err := a.limitsOf(t)
		if err != nil {
			return l, err
		}
		err = change(&l)
		return l, err
	})
}

// updateLimits replaces a tenant's limits by those that next computes from its
// row, and seals them. next may run more than once, since another gateway can
// change the row in between. Errors: NoSuchEntity for the tenant, and those of
// next.
func (a *Accounts) updateLimits(ctx context.Context, id meta.ID, next func(*meta.Tenant) (meta.Limits, error)) error {
	err := a.updateTenant(ctx, id, func(t *meta.Tenant) error {
		l, err := next(t)
		if err != nil {
			return err
		}
		// Without any limit the document is nil, and the row has none.
		if t.Limits, err = l.Document(); t.Limits != nil {
			t.Limits, err = a.Records.SealDocument(documentLimits, id[:], t.Limits)
		}
		return err
	})
	if errors.Is(err, meta.ErrNotFound) {
		return s3err.New(s3err.NoSuchEntity, "The tenant cannot be found.")
	}
	// Also after other errors, because the change may have happened although the
	// answer was lost.
	a.limits.Drop(id)
	return meta.Coded(err)
}
