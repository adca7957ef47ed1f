package engine

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// A version's row is believed as far as its list record vouches for it. The fields
// that a listing shows are bound to the record; the rest of the row is in a digest
// within, for listings do not read it. Rows of earlier releases have a record that
// vouches for none of that, until they are resealed.

var (
	// errRow: what the store shows of a version is not what was sealed.
	errRow = fmt.Errorf("%w: an object's row is not what its list record vouches for", records.ErrEdited)
	// errOldRow: every row was resealed, so this one was put back.
	errOldRow = fmt.Errorf("%w: an object's row has a list record that vouches for nothing, though all were resealed", records.ErrEdited)
)

// shownOf is what listings read of a row.
func shownOf(v *meta.Version) *encrypt.RowShown {
	return &encrypt.RowShown{Null: v.Null, Marker: v.Marker, Owner: v.Owner, Size: v.Size, Modified: v.Modified.UnixMicro(), Class: v.Class}
}

// restOf is the digest of the rest of a row. The store's own are not in it: its order
// among the key's versions, and since when it is not current.
// A column on which something is decided has to be here or in shownOf, or be sealed itself.
// Otherwise an edit of it goes unnoticed.
func restOf(v *meta.Version) [32]byte {
	r := encrypt.RowRest{
		Encryption: uint8(v.Encryption), LockMode: uint8(v.Lock.Mode), LockHold: v.Lock.Hold,
		BodyKind: uint8(v.Body.Kind), Revision: v.Revision, Marks: v.Marks,
	}
	if !v.Lock.Until.IsZero() {
		until := v.Lock.Until.UnixMicro()
		r.LockUntil = &until
	}
	switch v.Body.Kind {
	case meta.BodyBlob:
		r.Body = v.Body.Blob[:]
	case meta.BodyUpload:
		r.Body = v.Body.Upload[:]
	}
	return r.Digest()
}

// sealRow gives a version a list record that says r of it. All else in v must be as
// the row will have it.
// It must be the last to touch v before the commit.
func (s *sealer) sealRow(keys *encrypt.BucketKeys, v *meta.Version, r encrypt.WholeRecord, how meta.Sealing) {
	n := s.name(v.Bucket, v.Key, v.ID)
	if how == meta.SealingLegacy {
		if !v.Marker {
			v.ListRecord = keys.SealListRecord(n, &encrypt.ListRecord{ETag: r.ETag, ChecksumAlgorithm: r.ChecksumAlgorithm, ChecksumType: r.ChecksumType})
		}
		return
	}
	v.Generation, r.Rest = keys.Generation(), restOf(v)
	v.ListRecord = keys.SealWholeRecord(n, shownOf(v), &r)
}

// openListed opens the list record of a row of which nothing was read but what
// listings show.
func (s *sealer) openListed(ctx context.Context, v *meta.Version) (r encrypt.WholeRecord, err error) {
	r, err = s.judgeListed(v, s.keysOf(ctx, v.Bucket))
	return r, s.damage.Row(v, err)
}

// judgeListed is openListed with the keys from a function, and reports no damage.
// It calls neither store nor key provider itself, so it can run in the store's transaction.
func (s *sealer) judgeListed(v *meta.Version, keysOf bucketKeys) (r encrypt.WholeRecord, err error) {
	whole := encrypt.IsWholeRecord(v.ListRecord)
	switch {
	case whole:
	// Without this, an edit could put the old record of a row back and change the columns that
	// it does not cover.
	case s.sealing.Now() == meta.SealingWhole:
		return r, errOldRow
	case v.Marker:
		return r, nil // of the release before
	}
	keys, err := keysOf(v.Generation)
	if err != nil {
		return r, err
	}
	n := s.name(v.Bucket, v.Key, v.ID)
	if !whole {
		old, err := keys.OpenListRecord(n, v.ListRecord)
		if err != nil {
			return r, internal("open a list record", err)
		}
		return encrypt.WholeRecord{ETag: old.ETag, ChecksumAlgorithm: old.ChecksumAlgorithm, ChecksumType: old.ChecksumType}, nil
	}
	if r, err = keys.OpenWholeRecord(n, shownOf(v), v.ListRecord); err != nil {
		return r, fmt.Errorf("%w: %w", errRow, internal("open a list record", err))
	}
	return r, nil
}

// openRow opens a version's list record and holds the whole row against it. An error
// says nothing of the client: the row was damaged or edited, and nothing is decided by
// it.
// Errors wrap records.ErrEdited where the row differs from its record. Those of the keys are
// s3err.ServiceUnavailable or internal.
func (s *sealer) openRow(ctx context.Context, v *meta.Version) (encrypt.WholeRecord, error) {
	return s.openRowWith(v, s.keysOf(ctx, v.Bucket))
}

// openRowWith is openRow with the keys from a function.
func (s *sealer) openRowWith(v *meta.Version, keysOf bucketKeys) (encrypt.WholeRecord, error) {
	r, err := s.judgeRow(v, keysOf)
	return r, s.damage.Row(v, err)
}

// keysOf are the keys of a bucket, which are fetched when they are needed.
func (s *sealer) keysOf(ctx context.Context, bucket meta.ID) bucketKeys {
	return func(generation uint32) (*encrypt.BucketKeys, error) { return s.buckets.KeysOf(ctx, bucket, generation) }
}

// judgeRow is openRow with the keys from a function, and reports no damage.
func (s *sealer) judgeRow(v *meta.Version, keysOf bucketKeys) (encrypt.WholeRecord, error) {
	r, err := s.judgeListed(v, keysOf)
	if err == nil && encrypt.IsWholeRecord(v.ListRecord) && r.Rest != restOf(v) {
		err = errRow
	}
	return r, err
}

// resealRow seals the list record of a version anew after change was made to its row,
// in the form that it has, or in the one that how demands.
func (s *sealer) resealRow(v *meta.Version, keysOf bucketKeys, how meta.Sealing, change func()) error {
	r, err := s.openRowWith(v, keysOf)
	if err != nil {
		return err
	}
	if encrypt.IsWholeRecord(v.ListRecord) {
		// A row that has a whole record keeps one, whatever the sealing: the change must not
		// take the proof away.
		how = max(how, meta.SealingRenewed)
	}
	generation := v.Generation
	if v.Marker && len(v.ListRecord) == 0 {
		generation = buckets.FirstGeneration // a marker of the release before names none
	}
	keys, err := keysOf(generation)
	if err != nil {
		return err
	}
	// The old row is proven before and the new one sealed after: a change never seals an edit that
	// somebody made to the rest of the row.
	change()
	s.sealRow(keys, v, r, how)
	return nil
}
