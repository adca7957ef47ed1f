package blobs

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// Revocations are the keys that operators revoked, as this process knows them. A person who
// may write to the store could put an older list back, or none, before a gateway starts; the
// backends tell.
type Revocations interface {
	// Number is how often the list was changed, 0 where there never was one.
	Number() int64
	// Reread reads the list anew.
	Reread(ctx context.Context) error
	// Undone says that the list is not the last one.
	Undone()
}

// newestTimeout bounds the question how often the list was changed, at all backends at once.
const newestTimeout = 2 * time.Second

// revocationMarker is the blob that says that the list of revocations was changed so often,
// and its bytes. Each change has one, and they stay: however old a list is, the marker of the
// change after it is there. Its name looks like any other.
//
// The bytes prove that a gateway wrote it: a backend that says of any blob that it is there
// must not take the keys away from all others.
func (bs *Blobs) revocationMarker(b meta.Backend, number int64) (backends.BlobID, []byte) {
	n := binary.BigEndian.AppendUint64([]byte("sanctum/1/revocation-marker"), uint64(number))
	n = append(binary.BigEndian.AppendUint32(n, uint32(b.ID)), b.Name...)
	mac := hmac.New(sha256.New, bs.c.Keys.epoch)
	mac.Write(append([]byte("sanctum/1/revocation-proof"), n...))
	return markerName(bs.c.Keys.epoch, n), mac.Sum(nil)
}

// revocationMarkers are the names of all of a backend.
func (bs *Blobs) revocationMarkers(b meta.Backend) (all []backends.BlobID) {
	for number := range bs.c.Revocations.Number() {
		id, _ := bs.revocationMarker(b, number+1)
		all = append(all, id)
	}
	return all
}

// hasRevocationMarker reports whether a backend has one, as it was written.
func (bs *Blobs) hasRevocationMarker(ctx context.Context, p *place, b meta.Backend, number int64) (bool, error) {
	id, proof := bs.revocationMarker(b, number)
	body, err := p.Get(ctx, id, 0, -1)
	if errors.Is(err, backends.ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	got, err := io.ReadAll(io.LimitReader(body, int64(len(proof))+1))
	if err := errors.Join(err, body.Close()); err != nil {
		return false, err
	}
	return hmac.Equal(got, proof), nil
}

// newestRevocation is the number of the last change that a backend has seen after a known one.
func (bs *Blobs) newestRevocation(ctx context.Context, p *place, b meta.Backend, known int64) (int64, error) {
	for ; ; known++ {
		if next, err := bs.hasRevocationMarker(ctx, p, b, known+1); !next || err != nil {
			return known, err
		}
	}
}

// NewestRevocation is the number of the last change of the list of revocations that any
// backend which answers has seen after a known one.
func (bs *Blobs) NewestRevocation(ctx context.Context, known int64) int64 {
	s := bs.registry.now.Load()
	var ps []*place
	for _, p := range s.configured {
		if p.met.Load() {
			ps = append(ps, p)
		}
	}
	var newest atomic.Int64
	newest.Store(known)
	attend(ps, newestTimeout, func(p *place) {
		within, cancel := context.WithTimeout(ctx, newestTimeout)
		defer cancel()
		seen, _ := bs.newestRevocation(within, p, s.states[p.id], known) // as far as it answers
		for was := newest.Load(); seen > was && !newest.CompareAndSwap(was, seen); was = newest.Load() {
		}
	})
	return newest.Load()
}

// proveRevocations holds the list of revocations against a backend's markers, and brings
// those up to date. A list that the backend knows to be an older one is no fault of the
// backend, which is used.
func (bs *Blobs) proveRevocations(ctx context.Context, p *place, b meta.Backend) error {
	newer := func() (bool, error) {
		number := bs.c.Revocations.Number()
		newest, err := bs.newestRevocation(ctx, p, b, number)
		return newest > number, err
	}
	undone, err := newer()
	if err == nil && undone {
		// Another gateway may have changed the list a moment ago.
		if err = bs.c.Revocations.Reread(ctx); err == nil {
			undone, err = newer()
		}
	}
	if err != nil {
		return err
	}
	if undone {
		bs.c.Revocations.Undone()
		return nil
	}
	return bs.markRevocations(ctx, p, b)
}

// markRevocations writes the markers of all changes that the backend has not seen, the oldest
// first: a step that is cut short leaves no gap, and the next goes on where it ended.
func (bs *Blobs) markRevocations(ctx context.Context, p *place, b meta.Backend) error {
	now := bs.c.Revocations.Number()
	if bs.c.ReadOnly || p.revoked.Load() == now {
		return nil
	}
	seen, err := bs.seenRevocations(ctx, p, b, now)
	if err != nil {
		return err
	}
	for ; seen < now; seen++ {
		id, proof := bs.revocationMarker(b, seen+1)
		err := p.Put(ctx, id, bytes.NewReader(proof), int64(len(proof)))
		if err != nil && !errors.Is(err, backends.ErrExists) {
			return err
		}
	}
	p.revoked.Store(now)
	return nil
}

// seenRevocations is the number of the last change, of so many, that a backend has seen. As
// there is no gap, it is found by halves; one call suffices where the backend has seen all.
func (bs *Blobs) seenRevocations(ctx context.Context, p *place, b meta.Backend, now int64) (seen int64, err error) {
	for at, unseen := now, now+1; seen+1 < unseen; at = (seen + unseen) / 2 {
		has, err := bs.hasRevocationMarker(ctx, p, b, at)
		if err != nil {
			return 0, err
		}
		if has {
			seen = at
		} else {
			unseen = at
		}
	}
	return seen, nil
}

// isMarked reports whether a backend has the markers of the present list.
func (bs *Blobs) isMarked(p *place) bool { return p.revoked.Load() == bs.c.Revocations.Number() }

// remarkRevocations is markRevocations of a backend that was proved before the list changed.
// A failure is tried again with the next beat.
func (bs *Blobs) remarkRevocations(ctx context.Context, s *places, p *place) {
	ctx, cancel := context.WithTimeout(ctx, proveTimeout)
	defer cancel()
	if err := bs.markRevocations(ctx, p, s.states[p.id]); err != nil {
		bs.c.Log.Warn("the marker of the revoked keys could not be written and will be tried again", "backend", p.Name, "error", err)
	}
}
