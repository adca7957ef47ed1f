package blobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// maxUnproven blobs whose bytes are not what was sealed are remembered in one pass of a
// draining. With more of them it goes no further: the backend is no good.
const maxUnproven = 10_000

// provenMoves is one pass of a draining over all versions, whose keys prove what is
// moved. Blobs that it does not come to, those of SSE-C and of open uploads, are moved
// by the ledger, which knows no keys. Another process begins it anew, which costs a
// look at each version.
type provenMoves struct {
	to    meta.BackendID
	round int64 // another draining to the same target begins anew
	after meta.ObjectPosition
	done  bool
	// unproven have to stay where they are.
	unproven map[meta.BlobID]error
	scanned  ledgerPass
}

// ledgerPass is what this process has seen of the pass over the ledger that is under way.
// The store has its progress in the clear, and an edit of that may skip what is still
// there.
type ledgerPass struct {
	whole bool        // from the first row on
	after meta.BlobID // as in meta.Drain
	left  bool
}

// resume holds the stored progress against what was seen. A pass that another process
// began, or an edit, is carried on, and retires nothing.
func (p *ledgerPass) resume(d *meta.Drain) {
	p.whole = d.After == (meta.BlobID{}) || p.whole && d.After == p.after
	d.Left = d.Left || p.left
}

// note remembers how far the pass has come.
func (p *ledgerPass) note(d *meta.Drain) { p.after, p.left = d.After, d.Left }

// errLater: it is not known what ails a blob, and nobody is told before it is.
var errLater = errors.New("it is to be tried again")

// versions goes on with the pass over versions until it or the step ends; done: it has.
func (m *mover) versions(ctx context.Context) (done bool, err error) {
	p := m.bs.proven[m.row.ID]
	if p == nil || p.to != m.to.id || p.round != m.d.Round {
		p = &provenMoves{to: m.to.id, round: m.d.Round, unproven: make(map[meta.BlobID]error)}
		if m.bs.proven == nil {
			m.bs.proven = make(map[meta.BackendID]*provenMoves)
		}
		m.bs.proven[m.row.ID] = p
	}
	m.unproven = p.unproven
	for !p.done {
		if m.full() {
			return false, nil
		}
		page, err := m.bs.c.Store.ScanObjects(ctx, p.after, meta.MaxBatch)
		if err != nil {
			return false, err
		}
		if err := m.page(ctx, page); err != nil {
			return false, err
		}
		if p.done = len(page) < meta.MaxBatch; !p.done {
			p.after = page[len(page)-1].At
		}
	}
	return true, nil
}

// page moves what versions have at the backend. A row that cannot be read proves nothing:
// the ledger moves what it refers to.
func (m *mover) page(ctx context.Context, page []meta.ScannedVersion) error {
	var ids []meta.BlobID
	var of []meta.Version
	for _, v := range page {
		switch {
		case v.Err != nil:
		case v.Body.Kind == meta.BodyBlob:
			ids, of = append(ids, v.Body.Blob), append(of, v.Version)
		case v.Body.Kind == meta.BodyUpload:
			if err := m.version(ctx, v.Version); err != nil {
				return err
			}
		}
	}
	m.rows += len(page)
	i := 0
	return m.bs.EachPlace(ctx, ids, func(_ meta.BlobID, at meta.BackendID) error {
		i++
		if at != m.row.ID {
			return nil
		}
		return m.version(ctx, of[i-1])
	})
}

// version moves the blobs of a version that its keys prove.
func (m *mover) version(ctx context.Context, ref meta.Version) error {
	v, err := m.bs.c.Prover.Version(ctx, ref.Bucket, ref.Key, ref.ID)
	if errors.Is(err, meta.ErrNotFound) {
		return nil // removed meanwhile
	}
	if err != nil {
		return err
	}
	// The gateway does not have the customer's key.
	if v.Encryption == meta.EncryptionCustomer {
		return nil
	}
	var proofs []Proof
	flush := func() error {
		err := m.proved(ctx, proofs)
		proofs = proofs[:0]
		return err
	}
	for p, err := range m.bs.c.Prover.Proofs(ctx, &v) {
		switch {
		case err != nil && passing(ctx, err):
			return fmt.Errorf("read what proves a version's bytes: %w", err)
		case err != nil: // it can be read by nobody; the ledger moves what it refers to
			return flush()
		}
		if proofs = append(proofs, p); len(proofs) == meta.MaxBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// passing reports an error that may not come again, unlike one of what a row says.
func passing(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(meta.Coded(err), s3err.ServiceUnavailable)
}

// proved moves those of the blobs that are at the backend.
func (m *mover) proved(ctx context.Context, proofs []Proof) error {
	ids := make([]meta.BlobID, len(proofs))
	for i, p := range proofs {
		ids[i] = p.ID
	}
	i := 0
	return m.bs.EachPlace(ctx, ids, func(id meta.BlobID, at meta.BackendID) error {
		i++
		if at != m.row.ID || m.unproven[id] != nil {
			return nil
		}
		err := m.moveBlob(ctx, proofs[i-1])
		switch {
		case err == nil:
			return nil
		case !OwnFault(err):
			return fmt.Errorf("move blob %v: %w", backends.BlobID(id), err)
		// These say that something changed meanwhile, and nothing of the bytes. The blob is
		// tried again with the next pass and not reported.
		case errors.Is(err, meta.ErrConflict), errors.Is(err, meta.ErrReservationLost), errors.Is(err, meta.ErrDemands):
			err = errLater
		}
		if len(m.unproven) == maxUnproven {
			return fmt.Errorf("%d blobs cannot be moved: %w", maxUnproven, err)
		}
		m.unproven[id] = err // which the ledger tells of
		return nil
	})
}
