package engine

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// records holds the rows of tenants, access keys and identities, and the sealing itself,
// against what is sealed of them.
func (c *check) records(ctx context.Context) error {
	if err := c.deployment(ctx); err != nil {
		return err
	}
	return c.e.accounts.Check(ctx, c.unproven)
}

// unproven reports a row that is not what is sealed of it.
func (c *check) unproven(what string, err error) {
	if err != nil {
		c.report(Finding{Kind: "row-edited", Severity: SeverityLost, Row: what, Detail: err.Error()})
	}
}

// deployment proves the row anew: it may have been edited since this engine began.
func (c *check) deployment(ctx context.Context) error {
	d, err := c.e.store.Deployment(ctx)
	if err != nil {
		return err
	}
	c.unproven("deployment", c.e.vouched(&d, c.e.sealing()))
	if c.Sealing = d.Sealing; d.Sealing < meta.SealingWhole {
		return c.sealingMarkers(ctx)
	}
	return nil
}

// sealingMarkers finds backends that have seen every row sealed, when the store says
// that some are not.
func (c *check) sealingMarkers(ctx context.Context) error {
	for id, p := range c.s.configured {
		found, err := holds(ctx, p.Backend, c.e.sealingMarker(c.s.states[id]))
		if err != nil {
			return fmt.Errorf("backend %s: %w", p.Name, err)
		}
		if found {
			c.report(Finding{Kind: "sealing-undone", Severity: SeverityLost, Backend: p.Name,
				Detail: "the backend has seen every row of the store sealed, and the store says that some are not: it was edited, or restored from a backup"})
		}
	}
	return nil
}
