package sqlstore

import (
	"bytes"
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/meta"
)

const (
	tenantColumns    = "id, name, created, residency, limits, record"
	accessKeyColumns = "id, user_id, secret, created, inactive, record"
)

func insertTenant(tx Tx, u meta.Tenant) error {
	return inserted(tx, meta.ErrExists,
		"INSERT INTO users ("+tenantColumns+") VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		u.ID[:], text(u.Name), micros(u.Created), text(u.Residency), blob(u.Limits), blob(u.Record))
}

func insertAccessKey(tx Tx, k meta.AccessKey) error {
	return inserted(tx, meta.ErrExists,
		"INSERT INTO access_keys ("+accessKeyColumns+") VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		text(k.ID), k.User[:], blob(k.Secret), micros(k.Created), number(k.Inactive), blob(k.Record))
}

// CreateTenant implements meta.Principals. The table of tenants is called users, as it was in
// the first schema.
func (s *Store) CreateTenant(ctx context.Context, u meta.Tenant, k meta.AccessKey) error {
	k.User = u.ID
	if err := checkTenantResidency(u.Residency); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error {
		if err := insertTenant(tx, u); err != nil {
			return err
		}
		return insertAccessKey(tx, k)
	})
}

func scanTenant(r Row) (u meta.Tenant, err error) {
	err = r.Scan((*idColumn)(&u.ID), (*textColumn)(&u.Name), (*timeColumn)(&u.Created), (*textColumn)(&u.Residency), &u.Limits, &u.Record)
	return u, err
}

// Tenant implements meta.Principals.
func (s *Store) Tenant(ctx context.Context, id meta.ID) (u meta.Tenant, err error) {
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		u, err = scanTenant(tx.QueryRow("SELECT "+tenantColumns+" FROM users WHERE id = ?", id[:]))
		return found(err, meta.ErrNotFound)
	})
	return u, err
}

// TenantByName implements meta.Principals.
func (s *Store) TenantByName(ctx context.Context, name string) (u meta.Tenant, err error) {
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		u, err = scanTenant(tx.QueryRow("SELECT "+tenantColumns+" FROM users WHERE name = ?", text(name)))
		return found(err, meta.ErrNotFound)
	})
	return u, err
}

// ListTenants implements meta.Principals.
func (s *Store) ListTenants(ctx context.Context, after string, limit int) (us []meta.Tenant, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		us, err = collect(tx, scanTenant,
			"SELECT "+tenantColumns+" FROM users WHERE name >= ? ORDER BY name LIMIT ?", keyAfter(after), limit)
		return err
	})
	return us, err
}

// UpdateTenant implements meta.Principals. The row has no revision; it is compared with what
// the caller read, column by column and under its lock.
func (s *Store) UpdateTenant(ctx context.Context, was, now meta.Tenant) error {
	if err := errors.Join(checkTenantResidency(now.Residency), checkRecord(now.Record)); err != nil {
		return err
	}
	if len(now.Limits) > meta.MaxLimits {
		return checkCount("bytes of limits", len(now.Limits), meta.MaxLimits)
	}
	return s.run.Write(ctx, func(tx Tx) error {
		var is meta.Tenant
		err := tx.QueryRow("SELECT residency, limits, record FROM users WHERE id = ?"+forUpdate, now.ID[:]).Scan(
			(*textColumn)(&is.Residency), &is.Limits, &is.Record)
		if err != nil {
			return found(err, meta.ErrNotFound)
		}
		if is.Residency != was.Residency || !bytes.Equal(is.Limits, was.Limits) || !bytes.Equal(is.Record, was.Record) {
			return meta.ErrConflict
		}
		return changed(tx, ErrRetry, "UPDATE users SET residency = ?, limits = ?, record = ? WHERE id = ?",
			text(now.Residency), blob(now.Limits), blob(now.Record), now.ID[:])
	})
}

// DeleteTenant implements meta.Principals.
// A tenant that owns buckets is ErrNotEmpty. Its users, roles, policies and access keys go with it
// in one transaction.
func (s *Store) DeleteTenant(ctx context.Context, id meta.ID) error {
	return s.run.Write(ctx, func(tx Tx) error {
		ok, err := exists(tx, "SELECT 1 FROM users WHERE id = ?"+forUpdate, id[:])
		if err != nil {
			return err
		}
		if !ok {
			return meta.ErrNotFound
		}
		owns, err := exists(tx, "SELECT 1 FROM buckets WHERE owner = ? LIMIT 1", id[:])
		if err != nil {
			return err
		}
		if owns {
			return meta.ErrNotEmpty
		}
		if err := deleteIdentities(tx, id); err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM access_keys WHERE user_id = ?", id[:]); err != nil {
			return err
		}
		_, err = tx.Exec("DELETE FROM users WHERE id = ?", id[:])
		return err
	})
}

// deleteIdentities removes the identities of a tenant, and their access keys. The
// tenant's row must be locked.
func deleteIdentities(tx Tx, tenant meta.ID) error {
	// The lock keeps other transactions from adding access keys to them.
	ids, err := collect(tx, scanID, "SELECT id FROM identities WHERE tenant = ? ORDER BY kind, folded LIMIT ?"+forUpdate, tenant[:], meta.MaxBatch+1)
	if err != nil {
		return err
	}
	if len(ids) > meta.MaxBatch {
		return checkCount("identities of a tenant to be deleted", len(ids), meta.MaxBatch)
	}
	for _, id := range ids {
		if err := tx.Later(anyRows, "DELETE FROM access_keys WHERE user_id = ?", id[:]); err != nil {
			return err
		}
		if err := tx.Later(anyRows, "DELETE FROM identities WHERE id = ?", id[:]); err != nil {
			return err
		}
	}
	return nil
}

// CreateAccessKey implements meta.Principals. k.User names a tenant, for a key of its root, or
// a user. Ids are random, so it names one of the two at most.
func (s *Store) CreateAccessKey(ctx context.Context, k meta.AccessKey) error {
	return s.run.Write(ctx, func(tx Tx) error {
		err := touchTenant(tx, k.User)
		if errors.Is(err, meta.ErrNotFound) {
			err = touchUser(tx, k.User)
		}
		if err != nil {
			return err
		}
		return insertAccessKey(tx, k)
	})
}

// touchTenant returns ErrNotFound unless the tenant exists, and keeps it from being
// deleted until the transaction ends. It updates the row instead of only locking
// it. So a concurrent deletion with an older snapshot, which would miss the new
// row, fails and is repeated.
func touchTenant(tx Tx, id meta.ID) error {
	return changed(tx, meta.ErrNotFound, "UPDATE users SET created = created WHERE id = ?", id[:])
}

// touchUser is touchTenant for a user of a tenant.
// Groups, roles and policies have no access keys, and are ErrNotFound here.
func touchUser(tx Tx, id meta.ID) error {
	return changed(tx, meta.ErrNotFound, "UPDATE identities SET created = created WHERE id = ? AND kind = ?", id[:], int64(meta.IdentityUser))
}

func scanAccessKey(r Row) (k meta.AccessKey, err error) {
	err = r.Scan((*textColumn)(&k.ID), (*idColumn)(&k.User), &k.Secret, (*timeColumn)(&k.Created), (*flagColumn)(&k.Inactive), &k.Record)
	return k, err
}

// AccessKey implements meta.Principals.
func (s *Store) AccessKey(ctx context.Context, id string) (k meta.AccessKey, err error) {
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		k, err = scanAccessKey(tx.QueryRow("SELECT "+accessKeyColumns+" FROM access_keys WHERE id = ?", text(id)))
		return found(err, meta.ErrNotFound)
	})
	return k, err
}

// ListAccessKeys implements meta.Principals. It has no limit of its own: accounts bounds the
// keys of a user.
func (s *Store) ListAccessKeys(ctx context.Context, user meta.ID) (ks []meta.AccessKey, err error) {
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		ks, err = collect(tx, scanAccessKey,
			"SELECT "+accessKeyColumns+" FROM access_keys WHERE user_id = ? ORDER BY id", user[:])
		return err
	})
	return ks, err
}

// UpdateAccessKey implements meta.Principals. It compares as UpdateTenant does.
func (s *Store) UpdateAccessKey(ctx context.Context, was, now meta.AccessKey) error {
	if err := checkRecord(now.Record); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error {
		var is meta.AccessKey
		err := tx.QueryRow("SELECT inactive, record FROM access_keys WHERE id = ?"+forUpdate, text(now.ID)).Scan(
			(*flagColumn)(&is.Inactive), &is.Record)
		if err != nil {
			return found(err, meta.ErrNotFound)
		}
		if is.Inactive != was.Inactive || !bytes.Equal(is.Record, was.Record) {
			return meta.ErrConflict
		}
		return changed(tx, ErrRetry, "UPDATE access_keys SET inactive = ?, record = ? WHERE id = ?",
			number(now.Inactive), blob(now.Record), text(now.ID))
	})
}

// DeleteAccessKey implements meta.Principals.
func (s *Store) DeleteAccessKey(ctx context.Context, id string) error {
	return s.run.Write(ctx, func(tx Tx) error {
		return changed(tx, meta.ErrNotFound, "DELETE FROM access_keys WHERE id = ?", text(id))
	})
}
