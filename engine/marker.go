package engine

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

// The collector deletes what the ledger calls dead. A store that was restored
// from an older copy knows an older ledger, whose dead blobs may be all that is
// left of something. So before it deletes, the collector moves the deployment's
// epoch on, in the store and as a marker in the backend; a store whose epoch has
// no marker is not the one that was there at the last deletion.

// ErrStoreRolledBack: the backend has seen a later state of the store.
var ErrStoreRolledBack = errors.New("the store is older than what the backend has seen of it: was it restored from a backup, or is this another deployment's backend?")

// marker is the blob that stands for an epoch. Its name looks like any other.
// It is empty, so that a full backend takes it: a pass is what makes room there.
func (e *Engine) marker(epoch int64) backends.BlobID {
	mac := hmac.New(sha256.New, e.markerKey)
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(epoch))
	mac.Write(n[:])
	return backends.BlobID(mac.Sum(nil)[:len(backends.BlobID{})])
}

func (e *Engine) putMarker(ctx context.Context, epoch int64) error {
	err := e.backend.Put(ctx, e.marker(epoch), bytes.NewReader(nil), 0)
	if errors.Is(err, backends.ErrExists) { // left by a step that was cut short
		return nil
	}
	return err
}

// checkEpoch returns the store's epoch if the backend agrees with it.
func (e *Engine) checkEpoch(ctx context.Context) (int64, error) {
	d, err := e.store.Deployment(ctx)
	if err != nil {
		return 0, err
	}
	_, err = e.backend.Stat(ctx, e.marker(d.Epoch))
	if errors.Is(err, backends.ErrNotFound) {
		return 0, ErrStoreRolledBack
	}
	return d.Epoch, err
}

// advanceEpoch must succeed before anything is deleted.
func (e *Engine) advanceEpoch(ctx context.Context) error {
	epoch, err := e.checkEpoch(ctx)
	if err != nil {
		return err
	}
	if err := e.putMarker(ctx, epoch+1); err != nil {
		return fmt.Errorf("write the epoch marker: %w", err)
	}
	if err := e.store.AdvanceEpoch(ctx, epoch); err != nil {
		return err // ErrConflict: another gateway collects; its turn
	}
	// The one before as well: the step that should have deleted it may have been cut short.
	return e.backend.Delete(ctx, e.marker(epoch), e.marker(epoch-1))
}

// AcceptStore declares the store, as it is now, to be the deployment's: after
// an operator has restored it knowingly. What only the lost rows referred to
// stays in the backend until fsck's findings are dealt with.
func (e *Engine) AcceptStore(ctx context.Context) error {
	d, err := e.store.Deployment(ctx)
	if err != nil {
		return err
	}
	return e.putMarker(ctx, d.Epoch)
}

// isMarker reports whether a blob is the marker of the present epoch or of the
// one before or after, which a step that was cut short leaves.
func (e *Engine) isMarker(d meta.Deployment, id backends.BlobID) bool {
	for epoch := d.Epoch - 1; epoch <= d.Epoch+1; epoch++ {
		if e.marker(epoch) == id {
			return true
		}
	}
	return false
}
