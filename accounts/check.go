package accounts

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/meta"
)

// Check proves every row of tenants, access keys and identities, and reports
// the result for each; nil: the row is intact. It returns an error only if the
// store fails.
func (a *Accounts) Check(ctx context.Context, report func(row string, err error)) error {
	for _, scan := range []func(context.Context, func(string, error)) error{a.checkTenants, a.checkAccessKeys, a.checkIdentities} {
		if err := scan(ctx, report); err != nil {
			return err
		}
	}
	return nil
}

// checkTenants also opens the limits of each tenant.
func (a *Accounts) checkTenants(ctx context.Context, report func(string, error)) error {
	for after := ""; ; {
		page, err := a.Store.ListTenants(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for i := range page {
			after = page[i].Name
			report("tenant "+page[i].ID.String(), a.proveTenant(&page[i]))
			_, err := a.Limits(ctx, page[i].ID)
			// An unavailable store says nothing about the row.
			if errors.Is(err, meta.ErrUnavailable) {
				return err
			}
			report("tenant "+page[i].ID.String(), err)
		}
		if len(page) < meta.MaxPage {
			return nil
		}
	}
}

// checkAccessKeys also opens the secret of each key, but does not return it.
func (a *Accounts) checkAccessKeys(ctx context.Context, report func(string, error)) error {
	for after := ""; ; {
		page, err := a.Store.ScanAccessKeys(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for i := range page {
			k := &page[i]
			after = k.ID
			err := a.proveAccessKey(k)
			if err == nil {
				_, err = a.Records.UnwrapSecret(k.ID, k.User.String(), k.Secret)
			}
			report("access key "+k.ID, err)
		}
		if len(page) < meta.MaxPage {
			return nil
		}
	}
}

// checkIdentities opens every identity and reports each result by the
// identity's id. It returns an error only when the store does not answer.
func (a *Accounts) checkIdentities(ctx context.Context, report func(string, error)) error {
	for after := (meta.ID{}); ; {
		page, err := a.Store.ScanIdentities(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for _, row := range page {
			after = row.ID
			i, err := a.openIdentity(row)
			if err == nil {
				// Also by its name, because the store derives the column that
				// names are looked up by.
				if _, err = a.Identity(ctx, i.Tenant, i.Kind, i.Name); errors.Is(err, meta.ErrUnavailable) {
					return err
				}
			}
			report("identity "+row.ID.String(), err) // a row that was changed meanwhile is fine the second time
		}
		if len(page) < meta.MaxPage {
			return nil
		}
	}
}
