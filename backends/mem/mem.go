// Package mem keeps blobs in memory, for tests and trials. Nothing outlives the
// process, and "durable" means no more than that.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

// Store is a backends.Backend in a map. Make one with New.
type Store struct {
	// Now sets Info.Modified. Set it before first use, or leave it nil for the wall
	// clock.
	Now func() time.Time

	mu     sync.RWMutex
	blobs  map[backends.BlobID]blob
	closed bool
}

type blob struct {
	body     []byte // never changed once stored
	modified time.Time
}

var _ backends.Backend = (*Store)(nil)

// New returns an empty Store.
func New() *Store { return &Store{blobs: make(map[backends.BlobID]blob)} }

// Put implements backends.Backend.
func (s *Store) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	if err := s.put(ctx, id, r, size); err != nil {
		return fmt.Errorf("put blob %s: %w", id, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	if err := s.Check(ctx); err != nil {
		return err
	}
	if err := backends.CheckID(id); err != nil {
		return err
	}
	body, err := io.ReadAll(backends.Sized(r, size))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	if _, ok := s.blobs[id]; ok {
		return backends.ErrExists
	}
	s.blobs[id] = blob{body, s.now()}
	return nil
}

func (s *Store) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// Get implements backends.Backend. A range beyond the end fails here, and not in
// Read.
func (s *Store) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	if err := backends.CheckRange(off, n); err != nil {
		return nil, fmt.Errorf("get blob %s: %w", id, err)
	}
	b, err := s.find(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("get blob %s: %w", id, err)
	}
	size := int64(len(b.body))
	if off > size || n > size-off {
		return nil, fmt.Errorf("get blob %s: %d bytes from %d of %d: %w", id, n, off, size, io.ErrUnexpectedEOF)
	}
	if n < 0 {
		n = size - off
	}
	return &reader{ctx, bytes.NewReader(b.body[off : off+n])}, nil
}

// Stat implements backends.Backend.
func (s *Store) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	b, err := s.find(ctx, id)
	if err != nil {
		return backends.Info{}, fmt.Errorf("stat blob %s: %w", id, err)
	}
	return backends.Info{ID: id, Size: int64(len(b.body)), Modified: b.modified}, nil
}

func (s *Store) find(ctx context.Context, id backends.BlobID) (blob, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return blob{}, err
	}
	b, ok := s.blobs[id]
	if !ok {
		return blob{}, backends.ErrNotFound
	}
	return b, nil
}

// Delete implements backends.Backend.
func (s *Store) Delete(ctx context.Context, ids ...backends.BlobID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return fmt.Errorf("delete blobs: %w", err)
	}
	for _, id := range ids {
		delete(s.blobs, id)
	}
	return nil
}

// List implements backends.Backend over the ids that exist when it begins.
func (s *Store) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		ids, err := s.idsAfter(ctx, after)
		if err != nil {
			yield(backends.Info{}, fmt.Errorf("list blobs: %w", err))
			return
		}
		for _, id := range ids {
			b, err := s.find(ctx, id)
			switch {
			case err == backends.ErrNotFound: // deleted meanwhile
				continue
			case err != nil:
				yield(backends.Info{}, fmt.Errorf("list blobs: %w", err))
				return
			}
			if !yield(backends.Info{ID: id, Size: int64(len(b.body)), Modified: b.modified}, nil) {
				return
			}
		}
	}
}

func (s *Store) idsAfter(ctx context.Context, after backends.BlobID) ([]backends.BlobID, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var ids []backends.BlobID
	for id := range s.blobs {
		if after.IsZero() || id.Compare(after) > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, backends.BlobID.Compare)
	return ids, nil
}

// Check implements backends.Backend.
func (s *Store) Check(ctx context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.usable(ctx)
}

// usable returns the reason not to use the store, or nil. The lock must be held.
func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return backends.ErrClosed
	}
	return backends.Ended(ctx)
}

// Close drops every blob.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.blobs = true, nil
	return nil
}

type reader struct {
	ctx  context.Context
	body *bytes.Reader // not embedded, because its WriteTo would ignore the end of ctx
}

func (r *reader) Read(p []byte) (int, error) {
	if err := backends.Ended(r.ctx); err != nil {
		return 0, err
	}
	return r.body.Read(p)
}

func (r *reader) Close() error { return nil }
