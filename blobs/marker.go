package blobs

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// A backend's epoch is a number with two parts: above countBits the incarnation of
// the store, which AcceptStore changes, and below it a count of moves within that.
// Backends that were registered before there were incarnations are in the zeroth,
// which has no marker, until the epoch next moves.
const (
	// A move each second fills 40 bits in 34,000 years. 23 bits are left for incarnations below
	// the sign.
	countBits        = 40
	firstIncarnation = 1
	firstEpoch       = firstIncarnation<<countBits | 1
)

func incarnation(epoch int64) int64 { return epoch >> countBits }

// nextEpoch is the one after another.
func nextEpoch(epoch int64) int64 {
	return epochIn(max(incarnation(epoch), firstIncarnation), epoch+1)
}

// epochIn is the epoch with another's count in an incarnation. The count goes on from
// one incarnation to the next, so that what a step left that was cut short is found.
func epochIn(incarnation, epoch int64) int64 {
	return incarnation<<countBits | epoch&(1<<countBits-1)
}

// MarkerKeys name the markers, so that a provider cannot tell them from other blobs. They
// are secret.
type MarkerKeys struct{ epoch, incarnation []byte }

// DeriveMarkerKeys returns the keys of a deployment. derive makes 32 bytes of its seed for
// one use.
func DeriveMarkerKeys(derive func(use string) []byte) MarkerKeys {
	return MarkerKeys{epoch: derive("sanctum/1/epoch-marker"), incarnation: derive("sanctum/1/incarnation-marker")}
}

// marker is the blob that stands for an epoch of a backend. Its name looks like
// any other. It is empty, so that a full backend takes it: a pass is what makes
// room there. The first backend's has no more in its name than the epoch, as
// when there was only one. The others' have the backend's name as well as its
// id, so that what a gateway left that lost the race for an id is nobody's.
func (bs *Blobs) marker(b meta.Backend, epoch int64) backends.BlobID {
	n := binary.BigEndian.AppendUint64(nil, uint64(epoch))
	if b.ID != meta.FirstBackend {
		n = binary.BigEndian.AppendUint32(n, uint32(b.ID))
		n = append(n, b.Name...)
	}
	return markerName(bs.c.Keys.epoch, n)
}

// incarnationMarker is the blob that stands for an incarnation of the store at a
// backend. It stays while the epoch moves, so that it tells the storage of this
// deployment from others, and tells a store from one that was accepted in its place.
func (bs *Blobs) incarnationMarker(b meta.Backend, incarnation int64) backends.BlobID {
	n := binary.BigEndian.AppendUint64(nil, uint64(incarnation))
	n = binary.BigEndian.AppendUint32(n, uint32(b.ID))
	return markerName(bs.c.Keys.incarnation, append(n, b.Name...))
}

func markerName(key, n []byte) backends.BlobID {
	mac := hmac.New(sha256.New, key)
	mac.Write(n)
	return backends.BlobID(mac.Sum(nil)[:len(backends.BlobID{})])
}

// markersOf are the blobs that must be there for a storage to agree with the store
// at an epoch.
func (bs *Blobs) markersOf(b meta.Backend, epoch int64) []backends.BlobID {
	of := []backends.BlobID{bs.marker(b, epoch)}
	if n := incarnation(epoch); n >= firstIncarnation {
		of = append(of, bs.incarnationMarker(b, n))
	}
	return of
}

// putMarkers writes what stands for an epoch, the marker of its incarnation first.
func (bs *Blobs) putMarkers(ctx context.Context, at backends.Backend, b meta.Backend, epoch int64) error {
	of := bs.markersOf(b, epoch)
	if incarnation(epoch) == incarnation(b.Epoch) && epoch != b.Epoch {
		of = of[:1] // the other is there
	}
	// The incarnation's marker comes first: a storage with an epoch's marker and without its
	// incarnation's would be called unknown.
	for i := len(of) - 1; i >= 0; i-- {
		err := at.Put(ctx, of[i], bytes.NewReader(nil), 0)
		if err != nil && !errors.Is(err, backends.ErrExists) { // left by a step that was cut short
			return err
		}
	}
	return nil
}

// holds reports whether a storage has a marker.
func holds(ctx context.Context, at backends.Backend, marker backends.BlobID) (bool, error) {
	_, err := at.Stat(ctx, marker)
	if errors.Is(err, backends.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// holdsAll reports whether a storage has all of several markers.
func holdsAll(ctx context.Context, at backends.Backend, markers ...backends.BlobID) (bool, error) {
	for _, m := range markers {
		if found, err := holds(ctx, at, m); !found || err != nil {
			return false, err
		}
	}
	return true, nil
}

// earlierEpochs are how many epochs, and incarnations, back markers are looked for
// that should be gone: that of the last step, which may have been cut short, and those
// of gateways that wrote one late and died of it.
const earlierEpochs = 8

// earlierMarkers are those before an epoch within its incarnation and the one before,
// and of the incarnations before.
func (bs *Blobs) earlierMarkers(b meta.Backend, epoch int64) []backends.BlobID {
	return append(bs.earlierEpochMarkers(b, epoch), bs.earlierIncarnations(b, epoch)...)
}

func (bs *Blobs) earlierEpochMarkers(b meta.Backend, epoch int64) (earlier []backends.BlobID) {
	// The count goes on across incarnations, so a step that died during AcceptStore left a
	// marker with the same count in the incarnation before.
	for n := epoch - 1; n >= epoch-earlierEpochs && epochIn(0, n) > 0 && incarnation(n) == incarnation(epoch); n-- {
		earlier = append(earlier, bs.marker(b, n))
		if before := incarnation(epoch) - 1; before >= 0 {
			earlier = append(earlier, bs.marker(b, epochIn(before, n)))
		}
	}
	return earlier
}

func (bs *Blobs) earlierIncarnations(b meta.Backend, epoch int64) (earlier []backends.BlobID) {
	for n := incarnation(epoch) - 1; n >= firstIncarnation && n >= incarnation(epoch)-earlierEpochs; n-- {
		earlier = append(earlier, bs.incarnationMarker(b, n))
	}
	return earlier
}

// presentMarkers are those of the sealing, of the revocations, of the present epoch and incarnation of a
// backend, and of those before and after, which a step that was cut short leaves.
func (bs *Blobs) presentMarkers(b meta.Backend) (all []backends.BlobID) {
	all = append(all, bs.sealingMarker(b))
	all = append(all, bs.revocationMarkers(b)...)
	for n := incarnation(b.Epoch) - 1; n <= incarnation(b.Epoch)+1; n++ {
		all = append(all, bs.incarnationMarker(b, n))
		for epoch := b.Epoch - 1; epoch <= b.Epoch+1; epoch++ {
			all = append(all, bs.marker(b, epochIn(n, epoch)))
		}
	}
	return all
}

// markers are the present markers of all backends.
func (bs *Blobs) markers(rows []meta.Backend) map[backends.BlobID]bool {
	all := make(map[backends.BlobID]bool)
	for _, row := range rows {
		for _, m := range bs.presentMarkers(row) {
			all[m] = true
		}
	}
	return all
}
