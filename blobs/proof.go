package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// A blob that is moved is deleted where it was, and neither backend is trusted. Two
// readings of one backend that agree may both be false. Only sealed bytes open with
// the keys of the version that they belong to.

// Proof is what tells a blob's bytes from all others.
type Proof struct {
	Of    *meta.Version // whose bytes they are; nil: that is not known
	ID    meta.BlobID
	Bytes Bytes // nil: only the key of an SSE-C customer would tell
	// Sealed is how many sealed bytes the blob has by its row, where Bytes is nil; 0: the row
	// does not say.
	Sealed int64
}

// Bytes are those that were sealed under a blob's id.
type Bytes interface {
	// Size is how many sealed bytes the blob has. The error contains
	// backends.ErrCorrupt where none can be right.
	Size() (int64, error)
	// Check reads a whole blob, and fails with ErrOtherBytes unless it is what was
	// sealed, to its last byte.
	Check(blob io.Reader) error
}

// Prover knows versions and what their bytes have to be. It has the keys, which Blobs have
// not.
type Prover interface {
	// Version reads a version's row with all that is sealed of it. The error is
	// meta.ErrNotFound where there is none.
	Version(ctx context.Context, bucket meta.ID, key string, id meta.ID) (meta.Version, error)
	// Proofs yields what proves each blob of a version's body. An error is of the store,
	// or the version's own rows do not open.
	Proofs(ctx context.Context, of *meta.Version) iter.Seq2[Proof, error]
	// Judged runs a sweep with what judges the parts of ended uploads, and again after
	// that lacked keys, and returns how many rows all of them removed. Parts that could
	// not be proven are reported.
	Judged(ctx context.Context, sweep func(meta.JudgeParts) (int, error)) (int, error)
}

// ErrOtherBytes: there are other bytes under a blob's id than there should be.
var ErrOtherBytes = errors.New("there is another blob of this name")

// check reads the blob from a backend. It fails with ErrOtherBytes where that has others
// under its id.
func (p *Proof) check(ctx context.Context, at *place) (err error) {
	size, err := p.Bytes.Size()
	if err != nil {
		return err
	}
	info, err := at.Stat(ctx, backends.BlobID(p.ID))
	if err != nil {
		return fmt.Errorf("backend %s: %w", at.Name, err)
	}
	// The cheap check first. It also bounds how much is read of a backend that sends without
	// end.
	if info.Size != size {
		return ErrOtherBytes
	}
	blob, err := at.Get(ctx, backends.BlobID(p.ID), 0, -1) // all of it, which some backends check by what they know of the whole
	if err != nil {
		return fmt.Errorf("backend %s: %w", at.Name, err)
	}
	if err := errors.Join(p.Bytes.Check(blob), blob.Close()); err != nil {
		return fmt.Errorf("backend %s: %w", at.Name, err)
	}
	return nil
}
