package blobs

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// sealingMarker is the blob that says that every row of the deployment has its record.
// Its name looks like any other, and it is empty. A store that says otherwise is an
// older one, or was edited.
func (bs *Blobs) sealingMarker(b meta.Backend) backends.BlobID {
	mac := hmac.New(sha256.New, bs.c.Keys.epoch)
	mac.Write(append(binary.BigEndian.AppendUint32([]byte("sanctum/1/sealing-marker"), uint32(b.ID)), b.Name...))
	return backends.BlobID(mac.Sum(nil)[:len(backends.BlobID{})])
}

// proveSealing holds the sealing against a backend's marker, and puts that where it
// belongs and is missing.
func (bs *Blobs) proveSealing(ctx context.Context, p *place, b meta.Backend) error {
	sealing := bs.c.Sealing.Now() // before the look: a marker may come with a higher one
	found, err := holds(ctx, p.Backend, bs.sealingMarker(b))
	switch {
	case err != nil:
		return err
	case found == (sealing == meta.SealingWhole):
		p.sealed.Store(found)
		return nil
	// The marker is of a higher sealing than the one that this process knows. The store is
	// asked again before it is called an older one: another gateway may have finished the
	// sealing a moment ago.
	case found:
		if err := bs.c.Sealing.Reread(ctx); err != nil || bs.c.Sealing.Now() == meta.SealingWhole {
			return err
		}
		return fmt.Errorf("%w (the backend has seen every row sealed, and the store says that some are not)", ErrStoreRolledBack)
	case bs.c.ReadOnly:
		return nil
	}
	if err := bs.putSealingMarker(ctx, p.Backend, b); err != nil {
		return fmt.Errorf("write the sealing's marker: %w", err)
	}
	p.sealed.Store(true)
	return nil
}

// markSealed puts the marker at a backend that was proved before every row had its
// record. A failure is tried again with the next beat.
func (bs *Blobs) markSealed(ctx context.Context, s *places, p *place) {
	if bs.c.ReadOnly || bs.c.Sealing.Now() < meta.SealingWhole || p.sealed.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, proveTimeout)
	defer cancel()
	if err := bs.proveSealing(ctx, p, s.states[p.id]); err != nil {
		bs.c.Log.Warn("the marker that every row is sealed could not be written and will be tried again", "backend", p.Name, "error", err)
	}
}

func (bs *Blobs) putSealingMarker(ctx context.Context, at backends.Backend, b meta.Backend) error {
	err := at.Put(ctx, bs.sealingMarker(b), bytes.NewReader(nil), 0)
	if errors.Is(err, backends.ErrExists) {
		return nil
	}
	return err
}

// acceptSealing makes a backend's marker what the store says.
func (bs *Blobs) acceptSealing(ctx context.Context, at backends.Backend, b meta.Backend) error {
	if bs.c.Sealing.Now() == meta.SealingWhole {
		return bs.putSealingMarker(ctx, at, b)
	}
	return at.Delete(ctx, bs.sealingMarker(b))
}
