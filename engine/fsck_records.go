package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// records holds the rows of tenants, access keys, identities and buckets, and the
// sealing itself, against what is sealed of them.
func (c *check) records(ctx context.Context) error {
	for _, scan := range []func(context.Context) error{c.deployment, c.tenants, c.accessKeys, c.identities} {
		if err := scan(ctx); err != nil {
			return err
		}
	}
	return nil
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

func (c *check) tenants(ctx context.Context) error {
	for after := ""; ; {
		page, err := c.e.store.ListTenants(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for i := range page {
			after = page[i].Name
			c.unproven("tenant "+page[i].ID.String(), c.e.proveTenant(&page[i]))
			_, err := c.e.TenantLimits(ctx, page[i].ID)
			if errors.Is(err, meta.ErrUnavailable) {
				return err
			}
			c.unproven("tenant "+page[i].ID.String(), err)
		}
		if len(page) < meta.MaxPage {
			return nil
		}
	}
}

func (c *check) accessKeys(ctx context.Context) error {
	for after := ""; ; {
		page, err := c.e.store.ScanAccessKeys(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for i := range page {
			k := &page[i]
			after = k.ID
			err := c.e.proveAccessKey(k)
			if err == nil {
				_, err = c.e.system.UnwrapSecret(k.ID, k.User.String(), k.Secret)
			}
			c.unproven("access key "+k.ID, err)
		}
		if len(page) < meta.MaxPage {
			return nil
		}
	}
}

func (c *check) identities(ctx context.Context) error {
	for after := (meta.ID{}); ; {
		page, err := c.e.store.ScanIdentities(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for _, row := range page {
			after = row.ID
			i, err := c.e.openIdentity(row)
			if err == nil {
				// By the name that it is looked up by, which the store derives.
				if _, err = c.e.Identity(ctx, i.Tenant, i.Kind, i.Name); errors.Is(err, meta.ErrUnavailable) {
					return err
				}
			}
			c.unproven("identity "+row.ID.String(), err) // one that was changed meanwhile is right the second time
		}
		if len(page) < meta.MaxPage {
			return nil
		}
	}
}
