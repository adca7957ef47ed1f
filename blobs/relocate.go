package blobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

var (
	// ErrResidency: a bucket demands that the bytes stay where they are.
	ErrResidency = errors.New("a bucket demands that the bytes stay where they are")
	// ErrNoPlace: no active backend that this gateway has is of the name.
	ErrNoPlace = errors.New("no active backend has the storage class's name")
)

// Relocation moves the blobs of one version to one backend. It is used by one goroutine.
type Relocation struct {
	bs     *Blobs
	s      *places
	to     *place
	of     *meta.Version
	judges map[meta.BackendID]judge // by where a blob is
}

// Relocate begins to move a version's blobs to a backend. demands are those of its bucket.
// Errors: ErrNoPlace, ErrResidency.
func (bs *Blobs) Relocate(ctx context.Context, of *meta.Version, name string, demands []string) (*Relocation, error) {
	s, err := bs.refresh(ctx)
	if err != nil {
		return nil, err
	}
	row, ok := s.named(name)
	if !ok || row.State != meta.BackendActive || s.configured[row.ID] == nil {
		return nil, ErrNoPlace
	}
	to := s.configured[row.ID]
	if !to.meets(demands) {
		return nil, ErrResidency
	}
	if err := bs.prove(ctx, to); err != nil {
		return nil, err
	}
	return &Relocation{bs, s, to, of, make(map[meta.BackendID]judge)}, nil
}

// Move moves those of the blobs that are elsewhere, at most meta.MaxBatch, and returns how
// many sealed bytes. They are moved for every version that shares them. Errors:
// ErrResidency, and those that OwnFault knows.
func (r *Relocation) Move(ctx context.Context, proofs []Proof) (moved int64, err error) {
	ids, proves := make([]meta.BlobID, len(proofs)), make(map[meta.BlobID]Proof, len(proofs))
	for i, p := range proofs {
		ids[i], proves[p.ID] = p.ID, p
	}
	err = r.bs.EachPlace(ctx, ids, func(id meta.BlobID, at meta.BackendID) error {
		if at == 0 || at == r.to.id { // condemned: a part that was not chosen, or the version is gone
			return nil
		}
		from, err := r.s.at(at)
		if err != nil {
			return err
		}
		// The source too: MoveBlob condemns what is there, which must be the storage that the
		// store means.
		if err := r.bs.prove(ctx, from); err != nil {
			return err
		}
		if r.judges[at] == nil {
			// Nothing may be condemned there that goes with what is deleted here.
			if err := r.bs.refuseUnited(ctx, from, r.to); err != nil {
				return err
			}
			r.judges[at] = r.bs.judgeVersion(r.of, from, r.to)
		}
		n, _, err := r.bs.moveBlob(ctx, proves[id], from, r.to, r.judges[at])
		moved += n
		return err
	})
	return moved, err
}

// judgeVersion refuses to move blobs that may be part of another bucket's object if a
// bucket demands a place that the target is not. For a body of one blob, the ledger's count
// of references shows that no other version shares it. The parts of an upload have no such
// count by blob.
func (bs *Blobs) judgeVersion(v *meta.Version, from, to *place) judge {
	var had *verdict
	return func(ctx context.Context, anew bool) (verdict, error) {
		if had != nil && !anew {
			return *had, nil
		}
		if v.Body.Kind == meta.BodyBlob {
			blob, err := bs.c.Store.Blob(ctx, v.Body.Blob)
			if err != nil && !errors.Is(err, meta.ErrNotFound) { // gone: as the move will find
				return verdict{}, fmt.Errorf("read a blob's references: %w", err)
			}
			// The verdict holds only while this version is the sole referrer, which meta.Move
			// checks in its transaction. Then only the demands of its own bucket count, and
			// Relocate has checked those.
			if blob.Refs <= 1 {
				return verdict{only: &meta.Referrer{Bucket: v.Bucket, Key: v.Key, Version: v.ID}}, nil
			}
		}
		demands, err := bs.c.Store.Demands(ctx)
		if err != nil {
			return verdict{}, err
		}
		held, err := bs.heldBy(ctx, from, to)
		if err == nil && len(held) > 0 {
			err = ErrResidency
		}
		// demands is read before the buckets. If one with demands is created after that,
		// MoveBlob sees another number and asks for a new verdict.
		had = &verdict{demands: demands}
		return *had, err
	}
}
