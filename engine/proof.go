package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// prover proves for blobs.Move what versions' bytes are.
type prover struct{ e *Engine }

// Version implements blobs.Prover.
func (p prover) Version(ctx context.Context, bucket meta.ID, key string, id meta.ID) (meta.Version, error) {
	return p.e.versionByID(ctx, bucket, key, id)
}

// Proofs implements blobs.Prover. An error is of the store, or unopened where the
// version's own rows do not open.
// They come in the order of the bytes. The caller may stop at any of them.
func (p prover) Proofs(ctx context.Context, of *meta.Version) iter.Seq2[blobs.Proof, error] {
	row := *of // which proofs outlive
	v := &row
	return func(yield func(blobs.Proof, error) bool) {
		if v.Body.Kind == meta.BodyInline {
			return
		}
		if v.Encryption == meta.EncryptionCustomer {
			p.unproven(ctx, v, yield)
			return
		}
		m, err := p.e.openVersion(ctx, *v, nil)
		if err != nil {
			yield(blobs.Proof{}, err)
			return
		}
		if m.Parts == nil {
			p.yieldExtents(v, m.Extents, yield)
			return
		}
		w := partWalk{e: p.e, ctx: ctx, parts: m.Parts}
		for group := range m.Parts.Groups {
			for _, number := range m.Parts.GroupNumbers(group) {
				record, err := w.record(number)
				if err != nil {
					yield(blobs.Proof{}, p.e.damage.Row(v, err))
					return
				}
				if !p.yieldExtents(v, record.Extents, yield) {
					return
				}
			}
		}
	}
}

// sealedBytes are those of an extent's blob: what opens with its key.
type sealedBytes struct {
	deployment encrypt.Deployment
	extent     *encrypt.Extent
}

// sealed is where the segments of the blob are; its end is the blob's.
// The header is not among these bytes: Check reads over it.
func (s *sealedBytes) sealed() (o *encrypt.Opener, off, n int64, err error) {
	o, err = encrypt.NewOpener(s.extent.Key, encrypt.BlobAAD(s.deployment, s.extent.Blob), s.extent.Seal, s.extent.BlobSize)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("%w: %w", backends.ErrCorrupt, err)
	}
	off, n = o.SealedRange(0, s.extent.BlobSize)
	return o, off, n, nil
}

// Size implements blobs.Bytes.
func (s *sealedBytes) Size() (int64, error) {
	_, off, n, err := s.sealed()
	return off + n, err
}

// Check implements blobs.Bytes.
func (s *sealedBytes) Check(blob io.Reader) error {
	o, off, _, err := s.sealed()
	if err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, blob, off); err != nil {
		return err
	}
	r := o.NewReader(blob, 0, s.extent.BlobSize)
	defer r.Close()
	if _, err = io.Copy(io.Discard, r); err == nil {
		var more [1]byte
		// A blob with bytes behind its last segment is not what was sealed, although every
		// segment opens.
		if n, end := io.ReadFull(blob, more[:]); n > 0 {
			err = encrypt.ErrCorrupt
		} else if end != io.EOF {
			err = end
		}
	}
	if errors.Is(err, encrypt.ErrCorrupt) || errors.Is(err, encrypt.ErrWrongKey) {
		return blobs.ErrOtherBytes
	}
	return err
}

func (p prover) yieldExtents(v *meta.Version, extents []encrypt.Extent, yield func(blobs.Proof, error) bool) bool {
	for i := range extents {
		if !yield(blobs.Proof{Of: v, ID: extents[i].Blob, Bytes: &sealedBytes{p.e.deployment, &extents[i]}}, nil) {
			return false
		}
	}
	return true
}

// unproven yields the blobs of a version that cannot be opened without its customer.
func (p prover) unproven(ctx context.Context, v *meta.Version, yield func(blobs.Proof, error) bool) {
	if v.Body.Kind == meta.BodyBlob {
		yield(blobs.Proof{Of: v, ID: v.Body.Blob, Sealed: sealedSize(v.Size)}, nil)
		return
	}
	// The blobs in the rows of parts are not proved: only the customer's key opens their
	// records. They are moved by comparing two readings.
	for after := 0; ; {
		rows, err := p.e.store.Parts(ctx, v.Body.Upload, after, meta.MaxPage)
		if err != nil {
			yield(blobs.Proof{}, err)
			return
		}
		for i := range rows {
			after = rows[i].Number
			sealed := int64(0)
			if len(rows[i].Blobs) == 1 {
				sealed = sealedSize(rows[i].Size)
			}
			for _, id := range rows[i].Blobs {
				if !yield(blobs.Proof{Of: v, ID: id, Sealed: sealed}, nil) {
					return
				}
			}
		}
		if len(rows) < meta.MaxPage {
			return
		}
	}
}
