package sqlstore

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

// ScanSeeds implements meta.Seeds.
func (s *Store) ScanSeeds(ctx context.Context, after meta.SeedPosition, limit int) (seeds []meta.BucketSeed, err error) {
	if err := checkCount("rows", limit, meta.MaxPage); err != nil {
		return nil, err
	}
	err = s.run.Read(ctx, func(tx Tx) (err error) {
		seeds, err = collect(tx, scanSeed, "SELECT "+seedColumns+" FROM bucket_seeds WHERE (bucket_id, generation) > (?, ?)"+
			" ORDER BY bucket_id, generation LIMIT ?", after.Bucket[:], int64(after.Generation), limit)
		return err
	})
	return seeds, err
}

// RewrapSeeds implements meta.Seeds. The lease is held first, so that a holder that was
// replaced changes nothing.
func (s *Store) RewrapSeeds(ctx context.Context, l meta.Lease, cs []meta.SeedChange) (done int, err error) {
	if err := checkCount("seeds", len(cs), meta.MaxBatch); err != nil {
		return 0, err
	}
	for i := range cs {
		if err := checkCount("bytes of a wrapped seed", len(cs[i].Wrapped), meta.MaxWrappedSeed); err != nil {
			return 0, err
		}
	}
	err = s.run.Write(ctx, func(tx Tx) error {
		done = 0
		if err := holdLease(tx, l); err != nil {
			return err
		}
		for i := range cs {
			c := &cs[i]
			n, err := tx.Exec("UPDATE bucket_seeds SET wrapped = ? WHERE bucket_id = ? AND generation = ? AND wrapped = ?",
				blob(c.Wrapped), c.Bucket[:], int64(c.Generation), blob(c.Was))
			if err != nil {
				return err
			}
			done += int(n)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return done, nil
}

// RewrapSystemSeed implements meta.Seeds.
func (s *Store) RewrapSystemSeed(ctx context.Context, l meta.Lease, was, wrapped []byte) error {
	if err := checkCount("bytes of a wrapped seed", len(wrapped), meta.MaxWrappedSeed); err != nil {
		return err
	}
	return s.run.Write(ctx, func(tx Tx) error {
		if err := holdLease(tx, l); err != nil {
			return err
		}
		return changed(tx, meta.ErrConflict, "UPDATE deployment SET seed = ? WHERE seed = ?", blob(wrapped), blob(was))
	})
}

// Job implements meta.Jobs.
func (s *Store) Job(ctx context.Context, name string) (document []byte, err error) {
	if err := checkCount("bytes of a job's name", len(name), meta.MaxJobName); err != nil {
		return nil, err
	}
	err = s.run.Read(ctx, func(tx Tx) error {
		found, err := collect(tx, func(r Row) (b []byte, err error) {
			err = r.Scan(&b)
			return b, err
		}, "SELECT document FROM jobs WHERE name = ?", text(name))
		if document = nil; len(found) > 0 {
			document = found[0]
		}
		return err
	})
	return document, err
}

// SetJob implements meta.Jobs.
func (s *Store) SetJob(ctx context.Context, name string, was, now []byte) error {
	if err := checkCount("bytes of a job's name", len(name), meta.MaxJobName); err != nil {
		return err
	}
	if now != nil {
		if err := checkCount("bytes of a job", len(now), meta.MaxJob); err != nil {
			return err
		}
	}
	return s.run.Write(ctx, func(tx Tx) error {
		switch {
		case was == nil && now == nil:
			there, err := exists(tx, "SELECT 1 FROM jobs WHERE name = ?", text(name))
			if err == nil && there {
				err = meta.ErrConflict
			}
			return err
		case was == nil:
			return inserted(tx, meta.ErrConflict, "INSERT INTO jobs (name, document) VALUES (?, ?) ON CONFLICT DO NOTHING", text(name), blob(now))
		case now == nil:
			return changed(tx, meta.ErrConflict, "DELETE FROM jobs WHERE name = ? AND document = ?", text(name), blob(was))
		}
		return changed(tx, meta.ErrConflict, "UPDATE jobs SET document = ? WHERE name = ? AND document = ?", blob(now), text(name), blob(was))
	})
}
