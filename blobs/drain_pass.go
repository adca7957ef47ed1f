package blobs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// endPass begins another pass, or ends the draining when this process saw all of this
// one, and it met nothing.
func (m *mover) endPass(ctx context.Context) error {
	seen := &m.bs.proven[m.row.ID].scanned
	if !m.d.Left && seen.whole {
		// The store looks for buckets, reservations and copies once more in its transaction.
		// Round keeps a pass of an earlier draining, which was cancelled, from retiring the
		// backend.
		err := m.bs.c.Store.RetireBackend(ctx, m.lease, m.row.ID, m.d.Round)
		if err == nil {
			delete(m.bs.proven, m.row.ID)
			return m.retired(ctx)
		}
		if !errors.Is(err, meta.ErrNotEmpty) {
			return ignoreConflict(err)
		}
	}
	// Left is about one pass from the first row to the last: a blob that was reserved behind
	// the scan may have been committed since.
	m.d.After, m.d.Left = meta.BlobID{}, false
	seen.note(&m.d)
	if len(m.stuck) > 0 || m.later {
		delete(m.bs.proven, m.row.ID) // they are tried again by the keys that there are then
	}
	// The blobs that are left wait for uploads under way, or for the collector.
	m.r.More = m.r.More || m.blobs > 0
	return m.note(ctx)
}

// retired takes the markers of a retired backend away, and lets this process
// forget it.
func (m *mover) retired(ctx context.Context) error {
	m.r.Retired++
	row, err := m.bs.row(ctx, m.row.ID)
	if err != nil {
		return err
	}
	// The row first, the markers after it. A process that dies in between leaves markers at a
	// backend that is no longer asked for any.
	for markers := range slices.Chunk(m.bs.presentMarkers(row), backends.MaxDelete) {
		if err := m.from.Delete(ctx, markers...); err != nil {
			return fmt.Errorf("delete its markers: %w", err)
		}
	}
	_, err = m.bs.refresh(ctx)
	return err
}

// note records progress, even at the end of the process.
func (m *mover) note(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	return ignoreConflict(m.bs.c.Store.NoteDrain(ctx, m.lease, m.row.ID, m.d))
}

// ignoreConflict passes over the end of this mover's turn: another has the lease
// now, or the draining was cancelled or got another target.
func ignoreConflict(err error) error {
	if errors.Is(err, meta.ErrConflict) {
		return nil
	}
	return err
}
