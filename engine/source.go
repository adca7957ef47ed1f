package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// piece is a run of one extent: n bytes from off, counted from where the extent
// begins.
type piece struct {
	extent *encrypt.Extent
	off, n int64
}

// source is a stream of an object's plaintext, one ranged read for each blob
// that it touches. Used by one goroutine.
type source struct {
	e    *Engine
	ctx  context.Context
	of   *meta.Version         // whose bytes they are
	next func() (piece, error) // io.EOF after the last
	at   piece                 // the present one
	from blobs.Place           // where its blob is
	blob io.ReadCloser         // nil between pieces
	open *encrypt.OpenReader
	stop atomic.Bool // nobody takes what is read ahead any more
}

// newSource reads n bytes of a version from off. Its errors are reported as damage where
// they are that.
func (e *Engine) newSource(ctx context.Context, v *meta.Version, m *encrypt.Manifest, off, n int64) *source {
	s := &source{e: e, ctx: ctx, of: v}
	switch {
	case m.Parts != nil:
		w := &partWalk{e: e, ctx: ctx, parts: m.Parts, off: off, left: n}
		s.next = w.next
	default:
		w := &extentWalk{extents: m.Extents, off: off, left: n}
		s.next = w.next
	}
	return s
}

// advance opens the next piece; io.EOF when there is none.
func (s *source) advance() error {
	p, err := s.next()
	if err != nil {
		return s.e.damage.Row(s.of, err)
	}
	x := p.extent
	opener, err := encrypt.NewOpener(x.Key, encrypt.BlobAAD(s.e.deployment, x.Blob), x.Seal, x.BlobSize)
	if err != nil {
		return s.e.damage.Row(s.of, fmt.Errorf("blob %v: %w", backends.BlobID(x.Blob), err))
	}
	s.at = p
	// Whole segments: a segment can be authenticated only as a whole, so a few bytes more than
	// asked are read at both ends.
	from, length := opener.SealedRange(x.Offset+p.off, p.n)
	blob, at, err := s.e.blobs.Read(s.ctx, x.Blob, from, length)
	if err != nil {
		return s.damaged(at, err)
	}
	s.blob, s.from, s.open = blob, at, opener.NewReader(blob, x.Offset+p.off, p.n)
	return nil
}

// It returns no byte that was not verified. After an error it is of no further use.
func (s *source) Read(p []byte) (int, error) {
	for {
		if s.open == nil {
			if err := s.advance(); err != nil {
				return 0, err
			}
		}
		n, err := s.open.Read(p)
		if err == io.EOF {
			err = s.endPiece()
		} else if err != nil {
			err = s.damaged(s.from, err)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// damaged is an error of the present blob, reported if it is damage.
func (s *source) damaged(at blobs.Place, err error) error {
	return s.e.damage.Blob(s.ctx, s.of, s.at.extent.Blob, at, err)
}

// Both are closed whatever the first one says, so that no connection to the backend is left open.
func (s *source) endPiece() error {
	err := errors.Join(s.open.Close(), s.blob.Close())
	s.open, s.blob = nil, nil
	return s.damaged(s.from, err)
}

func (s *source) Close() error {
	if s.open == nil {
		return nil
	}
	return s.endPiece()
}

// extentWalk cuts [off, off+left) into pieces of a list of extents.
// It shares the extents with the manifest, and does not change them.
type extentWalk struct {
	extents   []encrypt.Extent
	off, left int64
}

func (w *extentWalk) next() (piece, error) {
	for w.left > 0 && len(w.extents) > 0 {
		x := &w.extents[0]
		if w.off >= x.Length {
			w.off -= x.Length
			w.extents = w.extents[1:]
			continue
		}
		p := piece{x, w.off, min(w.left, x.Length-w.off)}
		w.off, w.left = w.off+p.n, w.left-p.n
		return p, nil
	}
	if w.left > 0 {
		return piece{}, fmt.Errorf("%w: an object's extents end before its length", damage.ErrUnlike)
	}
	return piece{}, io.EOF
}

// partWalk does the same for a completed upload, reading part rows one group at
// a time.
type partWalk struct {
	e         *Engine
	ctx       context.Context
	parts     *encrypt.Parts
	off, left int64
	part      extentWalk // the rest of the present part
	rows      []meta.Part
	group     int // of rows, when rows is not nil
}

func (w *partWalk) next() (piece, error) {
	for {
		p, err := w.part.next()
		if err != io.EOF {
			return p, err
		}
		if w.left == 0 {
			return piece{}, io.EOF
		}
		number, in, ok := w.parts.Find(w.off)
		if !ok {
			return piece{}, fmt.Errorf("%w: an object's parts end before its length", damage.ErrUnlike)
		}
		before := w.rows
		record, err := w.record(number)
		if err != nil {
			return piece{}, err
		}
		// Once for each group of parts: without it, each part would cost a look at the store
		// for its place.
		if before == nil || &before[0] != &w.rows[0] { // another group
			if err := w.e.blobs.PrefetchPlaces(w.ctx, w.rows); err != nil {
				return piece{}, err
			}
		}
		n := min(w.left, record.Size-in)
		w.part = extentWalk{extents: record.Extents, off: in, left: n}
		w.off, w.left = w.off+n, w.left-n
	}
}

// record reads a chosen part's row, verifies its group and opens it.
func (w *partWalk) record(number uint32) (*encrypt.PartRecord, error) {
	row, err := w.row(number)
	if err != nil {
		return nil, err
	}
	name := encrypt.PartName{
		Deployment: w.e.deployment, Bucket: w.parts.Bucket, Upload: w.parts.Upload,
		Number: number, Attempt: row.Attempt,
	}
	record, err := encrypt.OpenPart(w.parts.Key, name, row.Record)
	if err != nil {
		return nil, fmt.Errorf("part %d: %w", number, err)
	}
	if record.Size != row.Size {
		return nil, fmt.Errorf("%w: the size in the row of part %d differs from its sealed record", damage.ErrUnlike, number)
	}
	return record, nil
}

// Calls in ascending order read each group once.
func (w *partWalk) row(number uint32) (*meta.Part, error) {
	index, ok := w.parts.Index(number)
	if !ok {
		return nil, fmt.Errorf("part %d was not chosen", number)
	}
	if group := index / encrypt.PartGroup; w.rows == nil || w.group != group {
		rows, err := w.e.partGroup(w.ctx, w.parts, group)
		if err != nil {
			return nil, err
		}
		w.rows, w.group = rows, group
	}
	return &w.rows[index%encrypt.PartGroup], nil
}

// partGroup reads the chosen rows of one group and holds them against the
// manifest. Rows of parts that were not chosen may still be among them.
// A group has at most encrypt.PartGroup rows.
func (e *Engine) partGroup(ctx context.Context, parts *encrypt.Parts, group int) ([]meta.Part, error) {
	numbers := parts.GroupNumbers(group)
	rows := make([]meta.Part, 0, len(numbers))
	chosen := make([]encrypt.ChosenPart, 0, len(numbers))
	for after := 0; len(rows) < len(numbers); {
		after = max(after, int(numbers[len(rows)])-1)
		page, err := e.store.Parts(ctx, parts.Upload, after, encrypt.PartGroup)
		if err != nil {
			return nil, meta.Coded(err)
		}
		if len(page) == 0 {
			return nil, fmt.Errorf("%w: part %d of a completed upload is missing", damage.ErrUnlike, numbers[len(rows)])
		}
		for _, p := range page {
			after = p.Number
			if len(rows) < len(numbers) && uint32(p.Number) == numbers[len(rows)] {
				rows = append(rows, p)
				chosen = append(chosen, encrypt.ChosenPart{Number: uint32(p.Number), Attempt: p.Attempt, Size: p.Size})
			}
		}
	}
	// The manifest has one digest for each group. A part that was replaced, left out or
	// reordered by an edit of the store does not match.
	if err := parts.VerifyGroup(group, chosen); err != nil {
		return nil, err
	}
	return rows, nil
}
