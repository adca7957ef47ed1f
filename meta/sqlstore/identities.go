package sqlstore

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

const identityColumns = "id, tenant, kind, name, created, revision, document"

// folded returns the form of a name for comparisons: ASCII letters in lower case,
// every other byte unchanged.
// IAM compares names without regard to case. Other bytes stay, so that no table of Unicode decides
// whether two names are equal.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
func folded(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// ErrLimit. The document is sealed, so its length is that of the sealed form.
func checkIdentity(i meta.Identity) error {
	if err := checkCount("bytes of an identity's name", len(i.Name), meta.MaxIdentityName); err != nil {
		return err
	}
	return checkCount("bytes of an identity's document", len(i.Document), meta.MaxIdentity)
}

// CreateIdentity implements meta.Identities.
func (s *Store) CreateIdentity(ctx context.Context, i meta.Identity) error {
	if err := checkIdentity(i); err != nil {
		return err
	}
	if err := checkCount("as kind of an identity", int(i.Kind), int(meta.IdentityProvider)); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error {
		// DeleteTenant removes the identities that it sees. The touch keeps it from missing
		// this one.
		if err := touchTenant(tx, i.Tenant); err != nil {
			return err
		}
		return inserted(tx, meta.ErrExists, `INSERT INTO identities (id, tenant, kind, folded, name, created, revision, document)
			VALUES (?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT DO NOTHING`,
			i.ID[:], i.Tenant[:], int64(i.Kind), text(folded(i.Name)), text(i.Name), micros(i.Created), i.Document)
	})
}

func scanIdentity(r Row) (i meta.Identity, err error) {
	var kind int64
	err = r.Scan((*idColumn)(&i.ID), (*idColumn)(&i.Tenant), &kind, (*textColumn)(&i.Name),
		(*timeColumn)(&i.Created), &i.Revision, &i.Document)
	i.Kind = meta.IdentityKind(kind)
	return i, err
}

// Identity implements meta.Identities.
func (s *Store) Identity(ctx context.Context, tenant meta.ID, kind meta.IdentityKind, name string) (i meta.Identity, err error) {
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		i, err = scanIdentity(tx.QueryRow("SELECT "+identityColumns+" FROM identities WHERE tenant = ? AND kind = ? AND folded = ?",
			tenant[:], int64(kind), text(folded(name))))
		return found(err, meta.ErrNotFound)
	})
	return i, err
}

// IdentitiesByID implements meta.Identities.
// Ids that do not exist are left out, and the order is not that of ids.
func (s *Store) IdentitiesByID(ctx context.Context, ids []meta.ID) (all []meta.Identity, err error) {
	if len(ids) == 0 {
		return nil, ctx.Err()
	}
	if err := checkCount("identities", len(ids), meta.MaxBatch); err != nil {
		return nil, err
	}
	args := make([]any, len(ids))
	for i := range ids {
		args[i] = ids[i][:]
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		all, err = collect(tx, scanIdentity,
			"SELECT "+identityColumns+" FROM identities WHERE id IN ("+repeated("?", len(ids))+")", args...)
		return err
	})
	return all, err
}

// ListIdentities implements meta.Identities.
// Names are ordered as folded, which is the order that the unique index has.
func (s *Store) ListIdentities(ctx context.Context, tenant meta.ID, kind meta.IdentityKind, after string, limit int) (all []meta.Identity, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		all, err = collect(tx, scanIdentity, "SELECT "+identityColumns+
			" FROM identities WHERE tenant = ? AND kind = ? AND folded >= ? ORDER BY folded LIMIT ?",
			tenant[:], int64(kind), keyAfter(folded(after)), limit)
		return err
	})
	return all, err
}

// UpdateIdentity implements meta.Identities.
func (s *Store) UpdateIdentity(ctx context.Context, i meta.Identity) error {
	if err := checkIdentity(i); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error {
		if err := holdIdentity(tx, i.ID, i.Revision); err != nil {
			return err
		}
		// The look gives the exact error. The index alone would end the transaction.
		taken, err := exists(tx, `SELECT 1 FROM identities AS other, identities AS mine
			WHERE mine.id = ? AND other.tenant = mine.tenant AND other.kind = mine.kind AND other.folded = ? AND other.id <> mine.id`,
			i.ID[:], text(folded(i.Name)))
		if err != nil {
			return err
		}
		if taken {
			return meta.ErrExists
		}
		// A unique index refuses a name that another transaction takes
		// concurrently.
		return changed(tx, ErrRetry, "UPDATE identities SET name = ?, folded = ?, document = ?, revision = revision + 1 WHERE id = ?",
			text(i.Name), text(folded(i.Name)), i.Document, i.ID[:])
	})
}

// holdIdentity returns ErrNotFound or ErrConflict unless the identity has the
// revision, and keeps it unchanged until the transaction ends.
func holdIdentity(tx Tx, id meta.ID, revision int64) error {
	var now int64
	err := tx.QueryRow("SELECT revision FROM identities WHERE id = ?"+forUpdate, id[:]).Scan(&now)
	if err != nil {
		return found(err, meta.ErrNotFound)
	}
	if now != revision {
		return meta.ErrConflict
	}
	return nil
}

// DeleteIdentity implements meta.Identities. The row's lock keeps touchUser, and so
// CreateAccessKey, out until the deletion has happened.
func (s *Store) DeleteIdentity(ctx context.Context, id meta.ID, revision int64) error {
	return s.run.Write(ctx, func(tx Tx) error {
		if err := holdIdentity(tx, id, revision); err != nil {
			return err
		}
		keys, err := exists(tx, "SELECT 1 FROM access_keys WHERE user_id = ? LIMIT 1", id[:])
		if err != nil {
			return err
		}
		if keys {
			return meta.ErrNotEmpty
		}
		_, err = tx.Exec("DELETE FROM identities WHERE id = ?", id[:])
		return err
	})
}
