package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// pretending is a backend that says of blobs which are not there that they are, with bytes of
// its own.
type pretending struct {
	backends.Backend
	bytes []byte
}

func (p *pretending) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	info, err := p.Backend.Stat(ctx, id)
	if errors.Is(err, backends.ErrNotFound) {
		return backends.Info{Size: int64(len(p.bytes))}, nil
	}
	return info, err
}

func (p *pretending) Get(ctx context.Context, id backends.BlobID, offset, length int64) (io.ReadCloser, error) {
	body, err := p.Backend.Get(ctx, id, offset, length)
	if errors.Is(err, backends.ErrNotFound) {
		return io.NopCloser(bytes.NewReader(p.bytes)), nil
	}
	return body, err
}

// forgetful is a backend that has lost every blob which is as small as a marker of
// revocations.
type forgetful struct{ backends.Backend }

func (f forgetful) Get(ctx context.Context, id backends.BlobID, offset, length int64) (io.ReadCloser, error) {
	if info, err := f.Stat(ctx, id); err == nil && info.Size <= 32 {
		return nil, backends.ErrNotFound
	}
	return f.Backend.Get(ctx, id, offset, length)
}

// A backend that lies or loses its markers takes the keys away from nobody, whether keys were
// ever revoked or not. One that says the truth still tells an old list.
func TestBackendsRevokeNothing(t *testing.T) {
	for name, wrap := range map[string]func(backends.Backend) backends.Backend{
		"bytes":    func(b backends.Backend) backends.Backend { return &pretending{b, make([]byte, 32)} },
		"no bytes": func(b backends.Backend) backends.Backend { return &pretending{b, nil} },
		"lost":     func(b backends.Backend) backends.Backend { return forgetful{b} },
	} {
		for _, changes := range []int{0, 1, 3} {
			t.Run(name, func(t *testing.T) {
				s := newSeveralRig(t)
				r := s.e.Revocations()
				for i := range changes {
					var err error
					if what := (engine.Revoked{Name: "first-bucket", Bucket: s.b.ID}); i%2 == 0 {
						err = r.Revoke(t.Context(), what, "operator")
					} else {
						err = r.Restore(t.Context(), what)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if err := s.e.Beat(t.Context()); err != nil { // marks the backends
					t.Fatal(err)
				}
				honest := s.config.Backends[2].Backend
				s.config.Backends[2].Backend = wrap(honest)
				s.reopen()
				if err := s.e.WatchRevocations(t.Context()); err != nil {
					t.Fatal(err)
				}
				if list, broken := s.e.Revocations().List(); broken != nil || len(list) != changes%2 {
					t.Errorf("after %d changes %d revocations, %v", changes, len(list), broken)
				}
				if changes == 0 {
					return
				}
				document, err := s.store.Job(t.Context(), "revocations")
				if err != nil {
					t.Fatal(err)
				}
				if err := s.store.SetJob(t.Context(), "revocations", document, nil); err != nil {
					t.Fatal(err)
				}
				s.reopen()
				if _, broken := s.e.Revocations().List(); broken == nil {
					t.Errorf("after %d changes: a list that is gone is not told", changes)
				}
				// A gateway that does not know what was revoked must not write a list of its own.
				for _, change := range []error{
					s.e.Revocations().Revoke(t.Context(), engine.Revoked{Name: "another", Bucket: meta.NewID()}, "operator"),
					s.e.Revocations().Restore(t.Context(), engine.Revoked{Name: "first-bucket"}),
				} {
					if !errors.Is(change, s3err.InvalidRequest) {
						t.Errorf("a list that is gone was changed: %v", change)
					}
				}
				// The list that is written anew counts on from the changes that the backends have seen.
				if err := s.e.Revocations().Restore(t.Context(), engine.Revoked{}); err != nil {
					t.Fatal(err)
				}
				s.reopen()
				if _, broken := s.e.Revocations().List(); broken != nil {
					t.Errorf("after it was written anew: %v", broken)
				}
			})
		}
	}
}

// Revocations at once are all in force, and no look beside them takes the list for an edited
// one, though it may have read the document before another was written.
func TestRevocationsAtOnce(t *testing.T) {
	const atOnce = 8
	s := newSeveralRig(t)
	r := s.e.Revocations()
	for round := range 3 {
		var revoking sync.WaitGroup
		for i := range atOnce {
			revoking.Go(func() {
				if err := r.Revoke(t.Context(), engine.Revoked{Bucket: meta.NewID(), Name: fmt.Sprint(round, "-", i)}, "operator"); err != nil {
					t.Error(err)
				}
			})
			revoking.Go(func() {
				if err := s.e.WatchRevocations(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		revoking.Wait()
	}
	list, broken := r.List()
	names := make(map[string]bool)
	for _, v := range list {
		names[v.Name] = true
	}
	if len(list) != 3*atOnce || len(names) != len(list) || broken != nil {
		t.Errorf("%d revocations of %d names, %v", len(list), len(names), broken)
	}
}

// countedGets counts the reads of blobs.
type countedGets struct {
	backends.Backend
	n atomic.Int64
}

func (c *countedGets) Get(ctx context.Context, id backends.BlobID, offset, length int64) (io.ReadCloser, error) {
	c.n.Add(1)
	return c.Backend.Get(ctx, id, offset, length)
}

// A backend that has seen none of many changes, and one that has seen all, are found out by
// few reads.
func TestManyRevocationsAtAnEmptyBackend(t *testing.T) {
	const changes = 64
	s := newSeveralRig(t)
	r := s.e.Revocations()
	for i := range changes {
		what, change := engine.Revoked{Name: "first-bucket", Bucket: s.b.ID}, error(nil)
		if i%2 == 0 {
			change = r.Revoke(t.Context(), what, "operator")
		} else {
			change = r.Restore(t.Context(), what)
		}
		if change != nil {
			t.Fatal(change)
		}
	}
	counted := &countedGets{Backend: s.config.Backends[2].Backend}
	s.config.Backends[2].Backend = counted
	for _, most := range []int64{10, 2} { // by halves; then one for the last, one for the next
		s.reopen()
		if err := s.e.Beat(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := counted.n.Swap(0); n > most {
			t.Errorf("%d reads for %d changes, at most %d wanted", n, changes, most)
		}
	}
}
