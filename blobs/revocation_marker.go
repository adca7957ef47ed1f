package blobs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// Revocations are the keys that operators revoked, as this process knows them. A person who
// may write to the store could put an older list back, or none, before a gateway starts; the
// backends tell.
type Revocations interface {
	// Numbers are the number of the list, 0 where there never was one, and those before it
	// as far as they are known, the newest first.
	Numbers() (now int64, past []int64)
	// Reread reads the list anew.
	Reread(ctx context.Context) error
	// Undone says that the list is not the last one.
	Undone()
}

// revocationMarker is the blob that says which list of revocations is the last one; that of
// number 0, which stays, that there was one. Its name looks like any other, and it is empty.
func (bs *Blobs) revocationMarker(b meta.Backend, number int64) backends.BlobID {
	n := binary.BigEndian.AppendUint64([]byte("sanctum/1/revocation-marker"), uint64(number))
	return markerName(bs.c.Keys.epoch, append(binary.BigEndian.AppendUint32(n, uint32(b.ID)), b.Name...))
}

// proveRevocations holds the list of revocations against a backend's markers, and brings
// those up to date. A list that the backend knows to be an older one is no fault of the
// backend, which is used.
func (bs *Blobs) proveRevocations(ctx context.Context, p *place, b meta.Backend) error {
	any, err := holds(ctx, p.Backend, bs.revocationMarker(b, 0))
	if err != nil {
		return err
	}
	now, past := bs.c.Revocations.Numbers()
	if any {
		if known, err := bs.knowsRevocations(ctx, p, b, now, past); err != nil {
			return err
		} else if !known {
			// Another gateway may have changed the list a moment ago.
			if err := bs.c.Revocations.Reread(ctx); err != nil {
				return err
			}
			now, past = bs.c.Revocations.Numbers()
			if known, err = bs.knowsRevocations(ctx, p, b, now, past); err != nil {
				return err
			} else if !known {
				bs.c.Revocations.Undone()
				return nil
			}
		}
	}
	return bs.markRevocations(ctx, p, b, now, past)
}

// knowsRevocations reports whether the list is the one that the backend saw last, or follows
// it.
func (bs *Blobs) knowsRevocations(ctx context.Context, p *place, b meta.Backend, now int64, past []int64) (bool, error) {
	if now == 0 {
		return false, nil
	}
	for _, number := range append([]int64{now}, past...) {
		if found, err := holds(ctx, p.Backend, bs.revocationMarker(b, number)); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// markRevocations writes the markers of the present list, and deletes those before it, which
// would vouch for an older one.
func (bs *Blobs) markRevocations(ctx context.Context, p *place, b meta.Backend, now int64, past []int64) error {
	if now == 0 || bs.c.ReadOnly || p.revoked.Load() == now {
		return nil
	}
	for _, number := range []int64{now, 0} {
		err := p.Put(ctx, bs.revocationMarker(b, number), bytes.NewReader(nil), 0)
		if err != nil && !errors.Is(err, backends.ErrExists) {
			return err
		}
	}
	var before []backends.BlobID
	for _, number := range past {
		before = append(before, bs.revocationMarker(b, number))
	}
	if len(before) > 0 {
		if err := p.Delete(ctx, before...); err != nil {
			return err
		}
	}
	p.revoked.Store(now)
	return nil
}

// isMarked reports whether a backend has the markers of the present list.
func (bs *Blobs) isMarked(p *place) bool {
	now, _ := bs.c.Revocations.Numbers()
	return p.revoked.Load() == now
}

// remarkRevocations is markRevocations of a backend that was proved before the list changed.
// A failure is tried again with the next beat.
func (bs *Blobs) remarkRevocations(ctx context.Context, s *places, p *place) {
	now, past := bs.c.Revocations.Numbers()
	ctx, cancel := context.WithTimeout(ctx, proveTimeout)
	defer cancel()
	if err := bs.markRevocations(ctx, p, s.states[p.id], now, past); err != nil {
		bs.c.Log.Warn("the marker of the revoked keys could not be written and will be tried again", "backend", p.Name, "error", err)
	}
}
