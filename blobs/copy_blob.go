package blobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/sanctum-storage/gateway/backends"
)

var (
	// errBadCopy: a copy that was just made is not what it was made of.
	errBadCopy = errors.New("the copy differs from what it was made of")
	// errBadSource: what a copy was made of is not what was sealed.
	errBadSource = errors.New("there are other bytes than were sealed")
	// errSource: what a copy is to be made of cannot be read.
	errSource = errors.New("what is to be copied")
	// errTarget: it was the target that failed.
	errTarget = errors.New("where the copy is to be")
	// errUnreadable: the target is there, and cannot read the copy back.
	errUnreadable = errors.New("the copy cannot be read back")
)

// copyBlob copies sealed bytes under the same id and returns how many. The source of the
// copy is deleted later, and neither backend is trusted: so the copy is read back and
// opened, or where nothing proves it, compared with a second reading. A copy that is there
// already, from a step that was cut short, is judged alike; one that is proved needs
// nothing to be made of.
func (bs *Blobs) copyBlob(ctx context.Context, proves Proof, from, to *place) (int64, error) {
	id := backends.BlobID(proves.ID)
	if err := to.watched().refuseDoomed(); err != nil {
		return 0, fmt.Errorf("copy from backend %s to %s: %w: %w", from.Name, to.Name, errTarget, err)
	}
	info, err := from.Stat(ctx, id)
	if errors.Is(err, backends.ErrNotFound) {
		// Only a missing source is looked for at the target. A source that is there is always
		// compared.
		if n, moved := isMoved(ctx, proves, to); moved {
			return n, nil
		}
	}
	if err != nil {
		return 0, unread(from, err)
	}
	if proves.Bytes != nil {
		if want, err := proves.Bytes.Size(); err != nil || info.Size != want {
			return 0, fmt.Errorf("backend %s: %w: it has %d bytes of %d", from.Name, backends.ErrCorrupt, info.Size, want)
		}
	}
	// No more is written to the target than a blob may have.
	if !bs.c.Possible(info.Size) {
		return 0, fmt.Errorf("backend %s: %w: no blob has %d bytes", from.Name, backends.ErrCorrupt, info.Size)
	}
	body, err := from.Get(ctx, id, 0, -1) // all of it, which some backends check by what they know of the whole
	if err != nil {
		return 0, unread(from, err)
	}
	source := &watchedSource{Reader: body}
	err = to.Put(ctx, id, source, info.Size)
	closed := body.Close()
	switch {
	// A blob id is written once, so bytes under it at the target are from an earlier try, or
	// from somebody who writes to the backend. judgeCopy tells which.
	case errors.Is(err, backends.ErrExists):
		return info.Size, bs.judgeCopy(ctx, proves, info.Size, from, to)
	// The next three cases assign the blame, because the error decides what happens: damage is
	// reported of the backend that has it, and a target that fails ends the step, while a bad
	// source leaves the other blobs to be moved.
	case err != nil && source.err == nil && !errors.Is(err, backends.ErrSize):
		return 0, fmt.Errorf("copy from backend %s to %s: %w: %w", from.Name, to.Name, errTarget, err)
	case err != nil && source.err != nil:
		return 0, fmt.Errorf("copy to backend %s: %w", to.Name, unread(from, source.err))
	case err != nil:
		return 0, fmt.Errorf("copy from backend %s to %s: %w", from.Name, to.Name, err)
	case closed != nil:
		return 0, unread(from, closed)
	}
	// The acknowledgement of Put is not enough. The source is deleted because this copy is
	// there, so the copy is read once before that.
	err = bs.judgeCopy(ctx, proves, info.Size, from, to)
	// This process wrote the copy a moment ago, so it is the copy that is wrong, and it may be
	// deleted. A copy that was there before keeps ErrOtherBytes: nobody knows which of the two
	// is right.
	if errors.Is(err, ErrOtherBytes) {
		err = errBadCopy
	} else if errors.Is(err, errUnreadable) {
		err = fmt.Errorf("%w: %w", errBadCopy, err)
	}
	return info.Size, err
}

// isMoved reports whether the target has, proved by the version's keys, a blob that is to
// be moved and is not where the store has it, and how many bytes. A store is like that
// which was restored from before the move.
func isMoved(ctx context.Context, proves Proof, to *place) (int64, bool) {
	if proves.Bytes == nil {
		return 0, false
	}
	n, err := proves.Bytes.Size()
	return n, err == nil && proves.check(ctx, to) == nil
}

// judgeCopy returns nil for a copy that may take the place of what it was made of,
// ErrOtherBytes where the two differ, errBadCopy where it is proved to be bad.
func (bs *Blobs) judgeCopy(ctx context.Context, proves Proof, size int64, from, to *place) error {
	if proves.Bytes == nil {
		return compareBlob(ctx, backends.BlobID(proves.ID), size, from, to)
	}
	err := proves.check(ctx, to)
	if err == nil {
		return nil
	} else if !errors.Is(err, ErrOtherBytes) {
		return notReadBack(ctx, err)
	}
	// The copy is bad either way. The second check finds out which backend to report.
	if source := proves.check(ctx, from); errors.Is(source, ErrOtherBytes) {
		return fmt.Errorf("%w: %w: backend %s", errBadCopy, errBadSource, from.Name)
	}
	return errBadCopy
}

// notReadBack is an error of reading a copy at the target. One blob that a backend cannot
// read, as on a bad sector, says nothing of the others.
func notReadBack(ctx context.Context, err error) error {
	if ofBackend(ctx, err) || errors.Is(err, backends.ErrDenied) {
		return fmt.Errorf("%w: %w", errTarget, err)
	}
	return fmt.Errorf("%w: %w: %w", errTarget, errUnreadable, err)
}

// unread is an error of reading what a copy is to be made of.
func unread(from *place, err error) error {
	return fmt.Errorf("%w: backend %s: %w", errSource, from.Name, err)
}

// watchedSource remembers that reading failed, for which no target is to blame.
type watchedSource struct {
	io.Reader
	err error
}

func (w *watchedSource) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// compareBlob fails with ErrOtherBytes where two backends do not hold the same bytes,
// so many of them.
func compareBlob(ctx context.Context, id backends.BlobID, size int64, from, to *place) (err error) {
	info, err := to.Stat(ctx, id)
	if err != nil {
		return notReadBack(ctx, fmt.Errorf("backend %s: %w", to.Name, err))
	}
	if info.Size != size {
		return ErrOtherBytes
	}
	var open [2]io.ReadCloser
	for i, p := range []*place{from, to} {
		if open[i], err = p.Get(ctx, id, 0, -1); err != nil && p == to {
			return notReadBack(ctx, fmt.Errorf("backend %s: %w", p.Name, err))
		} else if err != nil {
			return unread(p, err)
		}
		defer func() { err = errors.Join(err, open[i].Close()) }()
	}
	a, b := comparePool.Get().(*compareBuffer), comparePool.Get().(*compareBuffer)
	defer comparePool.Put(a)
	defer comparePool.Put(b)
	// One byte more than size is asked for, so that a longer blob is noticed although its Stat
	// said otherwise.
	for left := size + 1; left > 0; left -= int64(len(a)) {
		n := min(left, int64(len(a))) // with the last goes the byte that must not be there
		these, err := fullOrEnd(open[0], a[:n])
		if err != nil {
			return unread(from, err)
		}
		those, err := fullOrEnd(open[1], b[:n])
		if err != nil {
			return notReadBack(ctx, fmt.Errorf("backend %s: %w", to.Name, err))
		}
		if want := min(n, left-1); int64(len(these)) != want || !bytes.Equal(these, those) {
			return ErrOtherBytes
		}
	}
	return nil
}

// compareBuffer takes what is compared at a time.
type compareBuffer [64 << 10]byte

var comparePool = sync.Pool{New: func() any { return new(compareBuffer) }}

// fullOrEnd reads until p is full or r ends, which is no error. Unlike io.ReadFull it
// does not take r's own io.ErrUnexpectedEOF, a connection that broke, for its end.
func fullOrEnd(r io.Reader, p []byte) ([]byte, error) {
	for n := 0; n < len(p); {
		m, err := r.Read(p[n:])
		n += m
		if err == io.EOF {
			return p[:n], nil
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}
