package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// A blob that is moved is deleted where it was, and neither backend is trusted. Two
// readings of one backend that agree may both be false. What was sealed opens with the
// keys of the version that it belongs to, and nothing else does.

// proof is what tells a blob's bytes from all others.
type proof struct {
	of     *meta.Version // whose bytes they are
	id     meta.BlobID
	extent *encrypt.Extent // nil: only the key of an SSE-C customer would tell
}

// sealed is where the segments of the blob are; its end is the blob's.
func (p *proof) sealed(e *Engine) (o *encrypt.Opener, off, n int64, err error) {
	o, err = encrypt.NewOpener(p.extent.Key, encrypt.BlobAAD(e.deployment, p.extent.Blob), p.extent.Seal, p.extent.BlobSize)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("%w: %w", backends.ErrCorrupt, err)
	}
	off, n = o.SealedRange(0, p.extent.BlobSize)
	return o, off, n, nil
}

// size is how many sealed bytes the blob has.
func (p *proof) size(e *Engine) (int64, error) {
	_, off, n, err := p.sealed(e)
	return off + n, err
}

// check reads the blob from a backend. It fails with errOtherBytes where that has
// others under its id.
func (p *proof) check(ctx context.Context, e *Engine, at *place) (err error) {
	o, off, n, err := p.sealed(e)
	if err != nil {
		return err
	}
	info, err := at.Stat(ctx, backends.BlobID(p.id))
	if err != nil {
		return fmt.Errorf("backend %s: %w", at.Name, err)
	}
	if info.Size != off+n {
		return errOtherBytes
	}
	blob, err := at.Get(ctx, backends.BlobID(p.id), 0, -1) // all of it, which some backends check by what they know of the whole
	if err != nil {
		return fmt.Errorf("backend %s: %w", at.Name, err)
	}
	defer func() { err = errors.Join(err, blob.Close()) }()
	if _, err := io.CopyN(io.Discard, blob, off); err != nil {
		return fmt.Errorf("backend %s: %w", at.Name, err)
	}
	r := o.NewReader(blob, 0, p.extent.BlobSize)
	defer r.Close()
	if _, err = io.Copy(io.Discard, r); err == nil {
		var more [1]byte
		if n, end := io.ReadFull(blob, more[:]); n > 0 {
			err = encrypt.ErrCorrupt
		} else if end != io.EOF {
			err = end
		}
	}
	if errors.Is(err, encrypt.ErrCorrupt) || errors.Is(err, encrypt.ErrWrongKey) {
		return errOtherBytes
	}
	return err
}

// proofs yields what proves each blob of a version's body. An error is of the store, or
// unopened where the version's own rows do not open.
func (e *Engine) proofs(ctx context.Context, of *meta.Version) iter.Seq2[proof, error] {
	row := *of // which proofs outlive
	v := &row
	return func(yield func(proof, error) bool) {
		if v.Body.Kind == meta.BodyInline {
			return
		}
		if v.Encryption == meta.EncryptionCustomer {
			e.unproven(ctx, v, yield)
			return
		}
		m, err := e.openVersion(ctx, *v, nil)
		if err != nil {
			yield(proof{}, err)
			return
		}
		if m.Parts == nil {
			yieldExtents(v, m.Extents, yield)
			return
		}
		w := partWalk{e: e, ctx: ctx, parts: m.Parts}
		for group := range m.Parts.Groups {
			for _, number := range m.Parts.GroupNumbers(group) {
				record, err := w.record(number)
				if err != nil {
					yield(proof{}, e.damagedRow(v, err))
					return
				}
				if !yieldExtents(v, record.Extents, yield) {
					return
				}
			}
		}
	}
}

func yieldExtents(v *meta.Version, extents []encrypt.Extent, yield func(proof, error) bool) bool {
	for i := range extents {
		if !yield(proof{v, extents[i].Blob, &extents[i]}, nil) {
			return false
		}
	}
	return true
}

// unproven yields the blobs of a version that cannot be opened without its customer.
func (e *Engine) unproven(ctx context.Context, v *meta.Version, yield func(proof, error) bool) {
	if v.Body.Kind == meta.BodyBlob {
		yield(proof{of: v, id: v.Body.Blob}, nil)
		return
	}
	for after := 0; ; {
		rows, err := e.store.Parts(ctx, v.Body.Upload, after, meta.MaxPage)
		if err != nil {
			yield(proof{}, err)
			return
		}
		for i := range rows {
			after = rows[i].Number
			for _, id := range rows[i].Blobs {
				if !yield(proof{of: v, id: id}, nil) {
					return
				}
			}
		}
		if len(rows) < meta.MaxPage {
			return
		}
	}
}
