package accounts

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// Rows that an early release wrote get their records in pages. Each function
// takes after, which is nil or the next of an earlier call, and looks at no
// more than limit rows. next is nil after the last row. An error is not about a
// row, and the page is looked at again.

// Passed is told of each row that was resealed, or could not be. It returns nil
// to continue, or an error that ends the page.
type Passed func(row string, err error) error

// ResealTenants reseals tenants.
func (a *Accounts) ResealTenants(ctx context.Context, after []byte, limit int, passed Passed) (next []byte, seen int, err error) {
	page, err := a.Store.ListTenants(ctx, string(after), min(limit, meta.MaxPage))
	if err != nil {
		return nil, 0, err
	}
	for i := range page {
		was := page[i]
		next = []byte(was.Name)
		if len(was.Record) > 0 {
			continue
		}
		now := was
		if err := a.SealTenant(a.Records.Sealing(), &now); err != nil {
			return nil, 0, err
		}
		// A conflict means that another gateway changed the row meanwhile, and wrote
		// its record with it.
		if err := passed("tenant "+was.ID.String(), a.Store.UpdateTenant(ctx, was, now)); err != nil {
			return nil, 0, err
		}
	}
	return meta.UnlessLast(next, len(page), limit), len(page), nil
}

// ResealAccessKeys reseals access keys.
func (a *Accounts) ResealAccessKeys(ctx context.Context, after []byte, limit int, passed Passed) (next []byte, seen int, err error) {
	page, err := a.Store.ScanAccessKeys(ctx, string(after), min(limit, meta.MaxPage))
	if err != nil {
		return nil, 0, err
	}
	for i := range page {
		was := page[i]
		next = []byte(was.ID)
		if len(was.Record) > 0 {
			continue
		}
		now := was
		if err := a.sealAccessKey(a.Records.Sealing(), &now); err != nil {
			return nil, 0, err
		}
		if err := passed("access key "+was.ID, a.Store.UpdateAccessKey(ctx, was, now)); err != nil {
			return nil, 0, err
		}
	}
	return meta.UnlessLast(next, len(page), limit), len(page), nil
}

// ResealIdentities reseals users, groups, roles, policies and providers.
func (a *Accounts) ResealIdentities(ctx context.Context, after []byte, limit int, passed Passed) (next []byte, seen int, err error) {
	var from meta.ID
	copy(from[:], after)
	page, err := a.Store.ScanIdentities(ctx, from, min(limit, meta.MaxPage))
	if err != nil {
		return nil, 0, err
	}
	for _, row := range page {
		next = row.ID[:]
		if err := passed("identity "+row.ID.String(), a.resealIdentity(ctx, row)); err != nil {
			return nil, 0, err
		}
	}
	return meta.UnlessLast(next, len(page), limit), len(page), nil
}

// resealIdentity rewrites a document that lacks creation time and revision.
func (a *Accounts) resealIdentity(ctx context.Context, row meta.Identity) error {
	i, err := a.openIdentity(row)
	if err != nil {
		return records.Edited("identity "+row.ID.String(), err)
	}
	if i.bound {
		return nil
	}
	if row, err = a.sealIdentity(i, i.revision+1); err != nil {
		return err
	}
	return a.Store.UpdateIdentity(ctx, row)
}
