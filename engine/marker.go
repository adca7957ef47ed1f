package engine

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// The collector deletes what the ledger calls dead. A store that was restored
// from an older copy knows an older ledger, whose dead blobs may be all that is
// left of something. So before it deletes, the collector moves the backend's
// epoch on, in the store and as a marker in the backend; a store whose epoch has
// no marker is not the one that was there at the last deletion. The marker also
// tells one backend's storage from another's.

// Errors that a backend's marker gives rise to. They come with its name.
var (
	// ErrStoreRolledBack: the backend has seen a later state of the store.
	ErrStoreRolledBack = errors.New("the store is older than what the backend has seen of it: was it restored from a backup, or is this another deployment's backend?")
	// ErrWrongBackend: the storage is that of another backend of the deployment.
	ErrWrongBackend = errors.New("the storage belongs to another backend")
)

// markerKey names the epoch markers, so that a provider cannot tell them from
// other blobs.
func markerKey(seed encrypt.Seed) []byte {
	k, err := hkdf.Key(sha256.New, seed[:], nil, "sanctum/1/epoch-marker", sha256.Size)
	if err != nil { // only for impossible lengths
		panic(err)
	}
	return k
}

// marker is the blob that stands for an epoch of a backend. Its name looks like
// any other. It is empty, so that a full backend takes it: a pass is what makes
// room there. The first backend's has no more in its name than the epoch, as
// when there was only one. The others' have the backend's name as well as its
// id, so that what a gateway left that lost the race for an id is nobody's.
func (e *Engine) marker(b meta.Backend, epoch int64) backends.BlobID {
	mac := hmac.New(sha256.New, e.markerKey)
	n := binary.BigEndian.AppendUint64(nil, uint64(epoch))
	if b.ID != meta.FirstBackend {
		n = binary.BigEndian.AppendUint32(n, uint32(b.ID))
		n = append(n, b.Name...)
	}
	mac.Write(n)
	return backends.BlobID(mac.Sum(nil)[:len(backends.BlobID{})])
}

func (e *Engine) putMarker(ctx context.Context, at backends.Backend, b meta.Backend, epoch int64) error {
	err := at.Put(ctx, e.marker(b, epoch), bytes.NewReader(nil), 0)
	if errors.Is(err, backends.ErrExists) { // left by a step that was cut short
		return nil
	}
	return err
}

// row reads a backend's row anew.
func (e *Engine) row(ctx context.Context, id meta.BackendID) (meta.Backend, error) {
	rows, err := e.store.ListBackends(ctx)
	if err != nil {
		return meta.Backend{}, err
	}
	for _, row := range rows {
		if row.ID == id {
			return row, nil
		}
	}
	return meta.Backend{}, fmt.Errorf("backend %d: %w", id, meta.ErrNotFound)
}

// holds reports whether a storage has a marker.
func holds(ctx context.Context, at backends.Backend, marker backends.BlobID) (bool, error) {
	_, err := at.Stat(ctx, marker)
	if errors.Is(err, backends.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// checkEpoch returns the backend's row if its storage agrees with it. The epoch
// may move on while it looks.
func (e *Engine) checkEpoch(ctx context.Context, p *place) (meta.Backend, error) {
	row, err := e.row(ctx, p.id)
	if err != nil {
		return row, err
	}
	for {
		found, err := holds(ctx, p.Backend, e.marker(row, row.Epoch))
		if err != nil || found {
			return row, err
		}
		now, err := e.row(ctx, p.id)
		if err != nil {
			return row, err
		}
		if now.Epoch == row.Epoch {
			return row, ErrStoreRolledBack
		}
		row = now
	}
}

// earlierEpochs are how many epochs back markers are looked for that should be gone:
// that of the last step, which may have been cut short, and those of gateways that
// wrote one late and died of it.
const earlierEpochs = 8

// advanceEpoch must succeed before anything is deleted. A marker of an earlier epoch
// would vouch for a store rolled back to that, so an epoch does not end before the
// markers of those before it are gone.
func (e *Engine) advanceEpoch(ctx context.Context, p *place) error {
	row, err := e.checkEpoch(ctx, p)
	if err != nil {
		return err
	}
	if err := e.dropEarlier(ctx, p, row); err != nil {
		return fmt.Errorf("delete earlier epoch markers: %w", err)
	}
	if err := e.putMarker(ctx, p.Backend, row, row.Epoch+1); err != nil {
		return fmt.Errorf("write the epoch marker: %w", err)
	}
	if err := e.store.AdvanceEpoch(ctx, p.id, row.Epoch); err != nil {
		if errors.Is(err, meta.ErrConflict) { // another gateway collects; its turn
			e.overtaken.add(overtakenMarker{p, row.Epoch + 1})
			e.dropOvertaken(ctx)
		}
		return err
	}
	return p.Delete(ctx, e.marker(row, row.Epoch))
}

func (e *Engine) dropEarlier(ctx context.Context, p *place, row meta.Backend) error {
	var earlier []backends.BlobID
	for epoch := row.Epoch - 1; epoch > 0 && epoch >= row.Epoch-earlierEpochs; epoch-- {
		earlier = append(earlier, e.marker(row, epoch))
	}
	if len(earlier) == 0 {
		return nil
	}
	return p.Delete(ctx, earlier...)
}

// overtakenMarker is one that this process wrote when another gateway may have moved
// the epoch on already.
type overtakenMarker struct {
	at    *place
	epoch int64
}

// overtakenMarkers are those that are yet to be deleted.
type overtakenMarkers struct {
	mu sync.Mutex
	of []overtakenMarker
}

// maxOvertaken are remembered; of more, fsck tells.
const maxOvertaken = 1000

func (o *overtakenMarkers) add(m overtakenMarker) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.of) < maxOvertaken {
		o.of = append(o.of, m)
	}
}

func (o *overtakenMarkers) takeAll() (all []overtakenMarker) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all, o.of = o.of, nil
	return all
}

// dropOvertaken deletes markers that were written too late. What cannot be deleted is
// tried again with the next beat.
func (e *Engine) dropOvertaken(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for _, m := range e.overtaken.takeAll() {
		row, err := e.row(ctx, m.at.id)
		if err == nil && row.Epoch > m.epoch {
			err = m.at.Delete(ctx, e.marker(row, m.epoch))
		}
		if err != nil {
			e.overtaken.add(m)
			e.log.Warn("an epoch marker that was written late could not be deleted and will be tried again", "backend", m.at.Name, "error", err)
		}
	}
}

// AcceptStore declares the store, as it is now, to be the deployment's: after
// an operator has restored it knowingly. What only the lost rows referred to
// stays in the backends until fsck's findings are dealt with.
func (e *Engine) AcceptStore(ctx context.Context) error {
	s, err := e.refresh(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range s.configured {
		row := s.states[p.id]
		err := e.refuseForeign(ctx, p.Backend, row)
		if err == nil {
			err = e.putMarker(ctx, p.Backend, row, row.Epoch)
		}
		if err == nil {
			err = e.acceptSealing(ctx, p.Backend, row)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("backend %s: %w", p.Name, err))
			continue
		}
		p.proved.Store(true)
	}
	return errors.Join(errs...)
}

// markers are those of all backends' sealing, of their present epochs and of the
// epochs before and after, which a step that was cut short leaves.
func (e *Engine) markers(rows []meta.Backend) map[backends.BlobID]bool {
	all := make(map[backends.BlobID]bool)
	for _, row := range rows {
		all[e.sealingMarker(row)] = true
		for epoch := row.Epoch - 1; epoch <= row.Epoch+1; epoch++ {
			all[e.marker(row, epoch)] = true
		}
	}
	return all
}
