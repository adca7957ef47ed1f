package accounts

import (
	"context"
	"errors"
	"regexp"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// RootName is the name of the tenant that may do everything and cannot be
// removed.
const RootName = "root"

// tenantNamePattern matches valid names of tenants.
var tenantNamePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+=.@_-]{0,63}$`)

// maxDeleteTries bounds how often the identities of a tenant are read again
// before the tenant is removed.
const maxDeleteTries = 4

// CreateTenant creates a tenant with a first credential of its root. Residency
// is its demand on the backends of its buckets, see SetResidency. Errors:
// InvalidArgument, EntityAlreadyExists.
func (a *Accounts) CreateTenant(ctx context.Context, name, accessKey, secretKey, residency string) (Credential, error) {
	if !tenantNamePattern.MatchString(name) {
		return Credential{}, s3err.New(s3err.InvalidArgument, "The name of a tenant must have 1 to 64 letters, digits "+
			"and + = . @ _ - and begin with a letter or digit.")
	}
	if err := a.checkResidency(residency); err != nil {
		return Credential{}, err
	}
	u := meta.Tenant{ID: meta.NewID(), Name: name, Created: a.Now(), Residency: residency}
	// Policies could not distinguish two tenants with one number.
	if other, err := a.TenantByAccount(ctx, Account(u.ID)); err != nil {
		return Credential{}, err
	} else if !other.ID.IsZero() || Account(u.ID) == noAccount {
		return Credential{}, s3err.OperationAborted
	}
	c, row, err := a.newCredential(u, u.ID, accessKey, secretKey)
	if err != nil {
		return Credential{}, err
	}
	if err := a.refuseRootKey(accessKey); err != nil {
		return Credential{}, err
	}
	ctx, sealing, done, err := a.SealAs(ctx)
	if err != nil {
		return Credential{}, err
	}
	defer done()
	if err := errors.Join(a.SealTenant(sealing, &u), a.sealAccessKey(sealing, &row)); err != nil {
		return Credential{}, err
	}
	// The directory is forgotten after an error as well, because the tenant may
	// have been created although the answer was lost.
	err = a.Store.CreateTenant(ctx, u, row)
	a.forgetDirectory()
	if errors.Is(err, meta.ErrExists) {
		return Credential{}, s3err.New(s3err.EntityAlreadyExists, "The name %q or the access key is already in use.", name)
	}
	return c, meta.Coded(err)
}

// SetResidency changes a tenant's demand on the backends of buckets that it
// creates from now on: the name, region or jurisdiction of a configured
// backend, or "" for none. Errors: InvalidArgument, NoSuchEntity.
func (a *Accounts) SetResidency(ctx context.Context, name, residency string) error {
	if err := a.checkResidency(residency); err != nil {
		return err
	}
	u, err := a.TenantByName(ctx, name)
	if err != nil {
		return err
	}
	err = a.updateTenant(ctx, u.ID, func(t *meta.Tenant) error { t.Residency = residency; return nil })
	if errors.Is(err, meta.ErrNotFound) {
		return noSuchTenant(name)
	}
	return meta.Coded(err)
}

// updateTenant applies change to a tenant; meta.ErrNotFound. It repeats the
// change while others change the row.
func (a *Accounts) updateTenant(ctx context.Context, id meta.ID, change func(*meta.Tenant) error) error {
	for c := (meta.Contest{}); ; {
		was, err := a.Existing(ctx, id)
		if err != nil {
			return err
		}
		now := was
		if err := change(&now); err != nil {
			return err
		}
		once, sealing, done, err := a.SealAs(ctx)
		if err != nil {
			return err
		}
		if err = a.SealTenant(sealing, &now); err == nil {
			err = a.Store.UpdateTenant(once, was, now)
		}
		done()
		if !errors.Is(err, meta.ErrConflict) {
			return err
		}
		if err := c.Again(ctx); err != nil {
			return concurrently(err)
		}
	}
}

// Existing reads a tenant's row and proves it. Errors are those of
// meta.Principals.Tenant.
func (a *Accounts) Existing(ctx context.Context, id meta.ID) (meta.Tenant, error) {
	t, err := a.Store.Tenant(ctx, id)
	if err == nil {
		err = a.proveTenant(&t)
	}
	return t, err
}

// checkResidency refuses a residency that no backend can serve: each write of
// the tenant would fail later. Errors: InvalidArgument.
func (a *Accounts) checkResidency(residency string) error {
	if residency == "" || a.HasPlace(residency) {
		return nil
	}
	return s3err.New(s3err.InvalidArgument, "No backend has the name, region or jurisdiction %q.", residency).
		With("ArgumentName", "residency").With("ArgumentValue", residency)
}

// Tenants lists tenants after a name, ordered by name.
func (a *Accounts) Tenants(ctx context.Context, after string, limit int) ([]meta.Tenant, error) {
	us, err := a.Store.ListTenants(ctx, after, limit)
	for i := range us {
		if err := a.proveTenant(&us[i]); err != nil {
			return nil, err
		}
	}
	return us, meta.Coded(err)
}

// TenantByName returns the tenant with a name; NoSuchEntity.
func (a *Accounts) TenantByName(ctx context.Context, name string) (meta.Tenant, error) {
	u, err := a.Store.TenantByName(ctx, name)
	if errors.Is(err, meta.ErrNotFound) {
		return u, noSuchTenant(name)
	}
	if err == nil {
		err = a.proveTenant(&u)
	}
	return u, meta.Coded(err)
}

// noSuchTenant is the error for a name that no tenant has.
func noSuchTenant(name string) error {
	return s3err.New(s3err.NoSuchEntity, "The tenant with name %s cannot be found.", name)
}

// DeleteTenant removes a tenant that owns no bucket, with its identities and
// all credentials. Other gateways may accept those for another CredentialTTL.
// Errors: NoSuchEntity, InvalidArgument for the root tenant, DeleteConflict,
// and OperationAborted if identities are added faster than they are removed.
func (a *Accounts) DeleteTenant(ctx context.Context, name string) error {
	u, err := a.TenantByName(ctx, name)
	if err != nil {
		return err
	}
	if u.ID == a.root.ID {
		return s3err.New(s3err.InvalidArgument, "The root tenant cannot be removed.")
	}
	// Also after an error, because some of the credentials may be gone.
	defer a.forgetHolders(u.ID)
	for range maxDeleteTries {
		err := a.Store.DeleteTenant(ctx, u.ID)
		switch {
		case errors.Is(err, meta.ErrNotEmpty):
			return s3err.New(s3err.DeleteConflict, "The tenant %s still owns buckets; delete them first.", name)
		case errors.Is(err, meta.ErrNotFound):
			return noSuchTenant(name)
		case !errors.Is(err, meta.ErrLimit):
			return meta.Coded(err)
		}
		// The store removes only so many identities at once. A tenant that owns
		// buckets loses none.
		owned, err := a.Store.ListBuckets(ctx, meta.BucketQuery{Owner: u.ID, Limit: 1})
		if err != nil {
			return meta.Coded(err)
		}
		if len(owned) > 0 {
			return s3err.New(s3err.DeleteConflict, "The tenant %s still owns buckets; delete them first.", name)
		}
		if err := a.deleteIdentities(ctx, u.ID); err != nil {
			return err
		}
	}
	return s3err.OperationAborted
}

// deleteIdentities removes all identities of a tenant, one by one. If the
// process dies here, the tenant exists with fewer identities, and another
// DeleteTenant continues.
func (a *Accounts) deleteIdentities(ctx context.Context, tenant meta.ID) error {
	for kind := range kindLabels {
		err := a.eachRow(ctx, tenant, kind, func(row meta.Identity) (bool, error) {
			// The store does not delete an identity that has access keys.
			keys, err := a.Store.ListAccessKeys(ctx, row.ID)
			if err != nil {
				return false, meta.Coded(err)
			}
			for _, k := range keys {
				if err := a.Store.DeleteAccessKey(ctx, k.ID); err != nil && !errors.Is(err, meta.ErrNotFound) {
					return false, meta.Coded(err)
				}
			}
			err = a.Store.DeleteIdentity(ctx, row.ID, row.Revision)
			if errors.Is(err, meta.ErrNotFound) || errors.Is(err, meta.ErrConflict) || errors.Is(err, meta.ErrNotEmpty) {
				return true, nil // the next try looks at it again
			}
			return err == nil, meta.Coded(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
