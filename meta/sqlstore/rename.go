package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// RenameObject implements meta.Objects. It knows buckets without versions only, in which every
// key has at most one row.
func (s *Store) RenameObject(ctx context.Context, r meta.Rename) error {
	if err := checkRename(&r); err != nil {
		return err
	}
	err := s.writeIn(ctx, func(tx Tx) error {
		if err := holdVersioning(tx, r.Bucket, meta.VersioningOff, r.Newest); err != nil {
			return err
		}
		from, to, err := lockEnds(tx, &r)
		if err != nil {
			return err
		}
		// After the locks, because a repeated request has waited for the first one
		// there.
		if err := spendToken(tx, &r); err != nil {
			return err
		}
		if err := mayRename(from, to, &r); err != nil {
			return err
		}
		return rename(tx, from, to, &r)
	})
	return s.orNoBucket(ctx, r.Bucket, err)
}

// checkRename refuses invalid renames.
func checkRename(r *meta.Rename) error {
	if err := errors.Join(checkKey(r.From), checkKey(r.To), checkChangeable(r.Version.Marks, "")); err != nil {
		return err
	}
	if r.From == r.To || r.Version.ID.IsZero() || r.Source.IsZero() {
		return errors.New("rename of a key to itself, or of a version without an id: no such intent")
	}
	return nil
}

// lockEnds locks both keys in the order of their bytes, so that two renames cannot
// deadlock.
func lockEnds(tx Tx, r *meta.Rename) (from, to *current, err error) {
	first, second := r.From, r.To
	if second < first {
		first, second = second, first
	}
	if from, err = lockCurrent(tx, r.Bucket, first, meta.VersioningOff); err != nil {
		return nil, nil, err
	}
	if to, err = lockCurrent(tx, r.Bucket, second, meta.VersioningOff); err != nil {
		return nil, nil, err
	}
	if first != r.From {
		from, to = to, from
	}
	return from, to, nil
}

// spendToken stores the rename's token, which is undone if the rename fails;
// ErrExists if it was used.
func spendToken(tx Tx, r *meta.Rename) error {
	if r.Token.IsZero() {
		return nil
	}
	used, err := exists(tx, "SELECT 1 FROM renames WHERE token = ?", r.Token.ID[:])
	if err != nil {
		return err
	}
	if used {
		return fmt.Errorf("%w: the token of a rename", meta.ErrExists)
	}
	return soon(tx, ErrRetry, "INSERT INTO renames (token, digest, made) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		r.Token.ID[:], r.Token.Digest[:], micros(r.Now))
}

// mayRename compares both keys with the caller's expectations, and checks their
// locks.
func mayRename(from, to *current, r *meta.Rename) error {
	switch {
	case !from.exists():
		return meta.ErrNotFound
	case from.version.ID != r.Source || from.version.Revision != r.Revision:
		return meta.ErrConflict
	case from.version.Lock.Forbids(r.Now, false) || to.version.Lock.Forbids(r.Now, false):
		return meta.ErrLocked
	}
	return to.meets(r.Expect)
}

// rename writes the source's row under the other key. The number of references to
// its body stays the same: only the target's former body loses one.
func rename(tx Tx, from, to *current, r *meta.Rename) error {
	v := from.version
	v.Key, v.ID, v.Generation, v.Revision = r.To, r.Version.ID, r.Version.Generation, 0
	v.WrappedKey, v.Manifest, v.ListRecord, v.Marks = r.Version.WrappedKey, r.Version.Manifest, r.Version.ListRecord, r.Version.Marks
	if err := from.dropRow(tx); err != nil {
		return err
	}
	if !to.exists() {
		return write(tx, insertObject, &v, 0)
	}
	if err := write(tx, updateObject, &v, to.rank); err != nil {
		return err
	}
	used := &usageChange{}
	used.remove(&to.version)
	if err := used.write(tx, r.Bucket); err != nil {
		return err
	}
	return to.dropBody(tx, r.Prove, r.Now)
}

// Renamed implements meta.Objects.
func (s *Store) Renamed(ctx context.Context, token [32]byte) (digest [32]byte, err error) {
	err = s.run.Read(ctx, func(tx Tx) error {
		var b []byte
		err := tx.QueryRow("SELECT digest FROM renames WHERE token = ?", token[:]).Scan(&b)
		if err != nil {
			return found(err, meta.ErrNotFound)
		}
		return fixed(digest[:], b)
	})
	if err != nil {
		return [32]byte{}, err
	}
	return digest, nil
}

// ForgetRenames implements meta.Objects.
func (s *Store) ForgetRenames(ctx context.Context, before time.Time, limit int) (done int, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return 0, err
	}
	err = s.run.Write(ctx, func(tx Tx) error {
		tokens, err := collect(tx, scanText, "SELECT token FROM renames WHERE made < ? ORDER BY made, token LIMIT ?"+forUpdate, micros(before), limit)
		if err != nil {
			return err
		}
		done = len(tokens)
		for _, t := range tokens {
			if err := soon(tx, ErrRetry, "DELETE FROM renames WHERE token = ?", text(t)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return done, nil
}
