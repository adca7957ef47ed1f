package engine

import (
	"context"
	"errors"
	"regexp"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// RootName is the name of the tenant that may do everything and cannot be removed.
const RootName = "root"

// tenantNamePattern is what names of tenants look like.
var tenantNamePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+=.@_-]{0,63}$`)

// maxDeleteTries bounds how often what remains of a tenant's identities is read
// before the tenant goes.
const maxDeleteTries = 4

// CreateTenant makes a tenant with a first credential of its root. Residency is what it demands
// of the backends of its buckets, as SetResidency has it. Errors:
// InvalidArgument, EntityAlreadyExists.
func (e *Engine) CreateTenant(ctx context.Context, name, accessKey, secretKey, residency string) (Credential, error) {
	if !tenantNamePattern.MatchString(name) {
		return Credential{}, s3err.New(s3err.InvalidArgument, "The name of a tenant has 1 to 64 letters, digits and + = . @ _ - and begins with a letter or digit.")
	}
	if err := e.checkResidency(residency); err != nil {
		return Credential{}, err
	}
	u := meta.Tenant{ID: meta.NewID(), Name: name, Created: e.now(), Residency: residency}
	// Two tenants of one number could not be told apart in policies.
	if other, err := e.TenantByAccount(ctx, Account(u.ID)); err != nil {
		return Credential{}, err
	} else if !other.ID.IsZero() || Account(u.ID) == noAccount {
		return Credential{}, s3err.OperationAborted
	}
	c, row, err := e.newCredential(u, u.ID, accessKey, secretKey)
	if err != nil {
		return Credential{}, err
	}
	if err := e.refuseRootKey(accessKey); err != nil {
		return Credential{}, err
	}
	ctx, sealing, done, err := e.sealAs(ctx)
	if err != nil {
		return Credential{}, err
	}
	defer done()
	if err := errors.Join(e.sealTenant(sealing, &u), e.sealAccessKey(sealing, &row)); err != nil {
		return Credential{}, err
	}
	err = e.store.CreateTenant(ctx, u, row)
	e.forgetDirectory()
	if errors.Is(err, meta.ErrExists) {
		return Credential{}, s3err.New(s3err.EntityAlreadyExists, "The tenant %q or its access key is taken already.", name)
	}
	return c, storeError(err)
}

// SetResidency changes what a tenant demands of the backends of the buckets that
// it makes from now on: the name, region or jurisdiction of a configured
// backend, or nothing. Errors: InvalidArgument, NoSuchEntity.
func (e *Engine) SetResidency(ctx context.Context, name, residency string) error {
	if err := e.checkResidency(residency); err != nil {
		return err
	}
	u, err := e.TenantByName(ctx, name)
	if err != nil {
		return err
	}
	err = e.updateTenant(ctx, u.ID, func(t *meta.Tenant) error { t.Residency = residency; return nil })
	if errors.Is(err, meta.ErrNotFound) {
		return noSuchTenant(name)
	}
	return storeError(err)
}

// updateTenant changes what may be changed of a tenant, as it is now; meta.ErrNotFound.
func (e *Engine) updateTenant(ctx context.Context, id meta.ID, change func(*meta.Tenant) error) error {
	for c := (contest{}); ; {
		was, err := e.tenant(ctx, id)
		if err != nil {
			return err
		}
		now := was
		if err := change(&now); err != nil {
			return err
		}
		once, sealing, done, err := e.sealAs(ctx)
		if err != nil {
			return err
		}
		if err = e.sealTenant(sealing, &now); err == nil {
			err = e.store.UpdateTenant(once, was, now)
		}
		done()
		if !errors.Is(err, meta.ErrConflict) {
			return err
		}
		if err := c.again(ctx); err != nil {
			return concurrently(err)
		}
	}
}

// tenant reads a tenant's row and proves it; errors as of meta.Principals.Tenant.
func (e *Engine) tenant(ctx context.Context, id meta.ID) (meta.Tenant, error) {
	t, err := e.store.Tenant(ctx, id)
	if err == nil {
		err = e.proveTenant(&t)
	}
	return t, err
}

func (e *Engine) checkResidency(residency string) error {
	if residency == "" || e.HasPlace(residency) {
		return nil
	}
	return s3err.New(s3err.InvalidArgument, "No backend has the name, region or jurisdiction %q.", residency).
		With("ArgumentName", "residency").With("ArgumentValue", residency)
}

// Tenants lists tenants in the order of their names.
func (e *Engine) Tenants(ctx context.Context, after string, limit int) ([]meta.Tenant, error) {
	us, err := e.store.ListTenants(ctx, after, limit)
	for i := range us {
		if err := e.proveTenant(&us[i]); err != nil {
			return nil, err
		}
	}
	return us, storeError(err)
}

// TenantByName finds a tenant, or NoSuchEntity.
func (e *Engine) TenantByName(ctx context.Context, name string) (meta.Tenant, error) {
	u, err := e.store.TenantByName(ctx, name)
	if errors.Is(err, meta.ErrNotFound) {
		return u, noSuchTenant(name)
	}
	if err == nil {
		err = e.proveTenant(&u)
	}
	return u, storeError(err)
}

func noSuchTenant(name string) error {
	return s3err.New(s3err.NoSuchEntity, "The tenant with name %s cannot be found.", name)
}

// DeleteTenant removes a tenant that owns no bucket, with its identities and all
// credentials. Other gateways may accept those for another CredentialTTL.
func (e *Engine) DeleteTenant(ctx context.Context, name string) error {
	u, err := e.TenantByName(ctx, name)
	if err != nil {
		return err
	}
	if u.ID == e.root.ID {
		return s3err.New(s3err.InvalidArgument, "The root tenant cannot be removed.")
	}
	defer e.forgetHolders(u.ID)
	for range maxDeleteTries {
		err := e.store.DeleteTenant(ctx, u.ID)
		switch {
		case errors.Is(err, meta.ErrNotEmpty):
			return s3err.New(s3err.DeleteConflict, "The tenant %s still owns buckets.", name)
		case errors.Is(err, meta.ErrNotFound):
			return noSuchTenant(name)
		case !errors.Is(err, meta.ErrLimit):
			return storeError(err)
		}
		// More than go at once. A tenant that owns buckets keeps all.
		owned, err := e.store.ListBuckets(ctx, meta.BucketQuery{Owner: u.ID, Limit: 1})
		if err != nil {
			return storeError(err)
		}
		if len(owned) > 0 {
			return s3err.New(s3err.DeleteConflict, "The tenant %s still owns buckets.", name)
		}
		if err := e.deleteIdentities(ctx, u.ID); err != nil {
			return err
		}
	}
	return s3err.OperationAborted
}

// deleteIdentities removes all identities of a tenant, one by one.
func (e *Engine) deleteIdentities(ctx context.Context, tenant meta.ID) error {
	for kind := range kindLabels {
		err := e.eachRow(ctx, tenant, kind, func(row meta.Identity) (bool, error) {
			keys, err := e.store.ListAccessKeys(ctx, row.ID)
			if err != nil {
				return false, storeError(err)
			}
			for _, k := range keys {
				if err := e.store.DeleteAccessKey(ctx, k.ID); err != nil && !errors.Is(err, meta.ErrNotFound) {
					return false, storeError(err)
				}
			}
			err = e.store.DeleteIdentity(ctx, row.ID, row.Revision)
			if errors.Is(err, meta.ErrNotFound) || errors.Is(err, meta.ErrConflict) || errors.Is(err, meta.ErrNotEmpty) {
				return true, nil // it is looked at again
			}
			return err == nil, storeError(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
