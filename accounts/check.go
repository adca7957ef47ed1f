package accounts

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/meta"
)

// Check proves every row of tenants, access keys and identities, and reports what became
// of each; nil: it is whole. The error is one of the store.
func (a *Accounts) Check(ctx context.Context, report func(row string, err error)) error {
	for _, scan := range []func(context.Context, func(string, error)) error{a.checkTenants, a.checkAccessKeys, a.checkIdentities} {
		if err := scan(ctx, report); err != nil {
			return err
		}
	}
	return nil
}

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
				// By the name that it is looked up by, which the store derives.
				if _, err = a.Identity(ctx, i.Tenant, i.Kind, i.Name); errors.Is(err, meta.ErrUnavailable) {
					return err
				}
			}
			report("identity "+row.ID.String(), err) // one that was changed meanwhile is right the second time
		}
		if len(page) < meta.MaxPage {
			return nil
		}
	}
}
