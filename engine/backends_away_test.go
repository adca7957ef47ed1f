package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// A new backend that is away at the start is registered once it is back. Until then
// nothing is placed there, and nothing elsewhere that belongs there.
func TestNewBackendAwayAtStart(t *testing.T) {
	s := newSeveralRig(t)
	plan := faults.NewPlan(1, faults.Rule{Err: backends.ErrUnavailable})
	const north = "north"
	s.at[north] = mem.New()
	s.config.Backends = append(slices.Clone(s.config.Backends), blobs.Backend{Name: north, Backend: faults.Backend(s.at[north], plan), Jurisdiction: "NO"})
	s.config.Default = north
	s.reopen()
	s.wantAway(north)
	create := func(name, constraint string) (meta.Bucket, error) {
		return s.e.Buckets().Create(t.Context(), name, constraint, s.e.Accounts().Root().ID)
	}
	for name, constraint := range map[string]string{"default": "", "demanded": "NO"} {
		if b, err := create(name, constraint); !errors.Is(err, s3err.ServiceUnavailable) {
			t.Errorf("%s: placed at %d, %v; want ServiceUnavailable", name, b.Backend, err)
		}
	}
	if _, err := create("elsewhere", west); err != nil {
		t.Error(err)
	}
	for _, there := range []string{"elsewhere", s.b.Name} {
		if _, err := create(there, ""); !errors.Is(err, s3err.BucketAlreadyOwnedByYou) {
			t.Errorf("%s, which is there: %v", there, err)
		}
	}
	s.mustPut("k", body(1, 1000))
	for range 2 { // one registers, one proves
		if err := s.e.Beat(t.Context()); err != nil {
			t.Errorf("a beat: %v", err)
		}
	}
	if n := blobsAt(t, s.at[north]); n != 0 {
		t.Errorf("%d blobs at a backend that was away", n)
	}
	plan.Clear()
	for range 2 {
		if err := s.e.Beat(t.Context()); err != nil {
			t.Errorf("a beat: %v", err)
		}
	}
	s.wantAway()
	for name, constraint := range map[string]string{"default": "", "demanded": "NO"} {
		b, err := create(name, constraint)
		if err != nil || b.Backend != s.status(north).Row.ID {
			t.Errorf("%s: placed at %d, %v", name, b.Backend, err)
		}
	}
}

// meeting is a backend that answers once all of several have been asked.
type meeting struct {
	backends.Backend
	came func()
	all  <-chan struct{}
}

func (m *meeting) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	m.came()
	select {
	case <-m.all:
		return m.Backend.Stat(ctx, id)
	case <-ctx.Done():
		return backends.Info{}, backends.ErrUnavailable
	}
}

// Backends that were away are asked all at once: a beat takes as long as one that is
// frozen, not as all of them.
func TestAwayAskedAtOnce(t *testing.T) {
	s := newSeveralRig(t)
	plan := faults.NewPlan(1, faults.Rule{Err: backends.ErrUnavailable})
	all := make(chan struct{})
	var waiting atomic.Int64
	waiting.Store(int64(len(s.config.Backends)))
	s.config.Backends = slices.Clone(s.config.Backends)
	away := atomic.Bool{}
	away.Store(true)
	for i, b := range s.config.Backends {
		came := sync.OnceFunc(func() {
			if waiting.Add(-1) == 0 {
				close(all)
			}
		})
		asked := func() {
			if !away.Load() {
				came()
			}
		}
		s.config.Backends[i].Backend = faults.Backend(&meeting{b.Backend, asked, all}, plan)
	}
	s.reopen()
	away.Store(false)
	plan.Clear()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := s.e.Beat(ctx); err != nil {
		t.Errorf("a beat: %v", err)
	}
	for _, b := range s.config.Backends {
		if !s.status(b.Name).Proved {
			t.Errorf("%s was not proved", b.Name)
		}
	}
}

// changing is a backend behind which another may be put. It counts what is done to it
// beyond looking for markers.
type changing struct {
	atomic.Pointer[backends.Backend]
	touched atomic.Int64
}

func (c *changing) set(b backends.Backend) { c.Store(&b) }

// through is the backend of a configuration.
type through struct {
	backends.Backend
	c *changing
}

func (c *changing) backend() backends.Backend { return &through{*c.Load(), c} }

func (b *through) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	b.c.touched.Add(1)
	return (*b.c.Load()).Put(ctx, id, r, size)
}

func (b *through) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	b.c.touched.Add(1)
	return (*b.c.Load()).Get(ctx, id, off, n)
}

func (b *through) Delete(ctx context.Context, ids ...backends.BlobID) error {
	b.c.touched.Add(1)
	return (*b.c.Load()).Delete(ctx, ids...)
}

func (b *through) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	return (*b.c.Load()).Stat(ctx, id)
}

func (b *through) Check(ctx context.Context) error {
	b.c.touched.Add(1)
	return (*b.c.Load()).Check(ctx)
}

// A backend that was away at the start and comes back as another storage is refused
// alone: nothing is read, written or deleted there, and the rest is served. The same
// storage at a start is refused.
func TestComesBackAsAnother(t *testing.T) {
	s := newSeveralRig(t)
	ch := s.bucket("helvetian", "CH")
	put := func(key string) error {
		_, err := s.e.PutObject(t.Context(), engine.PutObject{Bucket: ch, Key: key, Owner: ch.Owner,
			Body: engine.Body{Reader: bytes.NewReader(body(1, 1000)), Size: 1000}})
		return err
	}
	read := func() error {
		r, err := s.e.GetObject(t.Context(), engine.GetObject{Bucket: ch, Key: "kept"})
		if err == nil {
			r.Close()
		}
		return err
	}
	for _, key := range []string{"kept", "deleted"} {
		if err := put(key); err != nil {
			t.Fatal(err)
		}
	}
	c := &changing{}
	away := faults.NewPlan(1, faults.Rule{Err: backends.ErrUnavailable})
	c.set(faults.Backend(s.at[swiss], away))
	s.config.Backends = slices.Clone(s.config.Backends)
	s.config.Backends[0].Backend = c.backend()
	s.reopen()
	if _, err := s.e.DeleteObject(t.Context(), ch, engine.DeleteObject{Key: "deleted"}); err != nil {
		t.Fatal(err)
	}
	refused := func(state string) {
		t.Helper()
		c.touched.Store(0)
		if err := read(); !errors.Is(err, s3err.ServiceUnavailable) {
			t.Errorf("%s: a read: %v", state, err)
		}
		if err := put("new"); !errors.Is(err, s3err.ServiceUnavailable) {
			t.Errorf("%s: a write: %v", state, err)
		}
		if err := s.e.Beat(t.Context()); err != nil {
			t.Errorf("%s: a beat: %v", state, err)
		}
		if _, err := s.e.Blobs().Collect(t.Context()); err == nil {
			t.Errorf("%s: collected without a word", state)
		}
		s.wantAway(swiss)
		if n := c.touched.Load(); n != 0 {
			t.Errorf("%s: %d calls that are more than a look for markers", state, n)
		}
		s.mustPut("k", body(1, 1000))
		s.wantBody("k", body(1, 1000))
	}
	refused("away")
	c.set(mem.New())
	refused("another storage")
	if err := read(); !blobs.Disagrees(err) {
		t.Errorf("a read at another storage: %v", err)
	}
	if _, err := engine.Open(t.Context(), s.config); !errors.Is(err, blobs.ErrUnknownStorage) {
		t.Errorf("a start with another storage: %v", err)
	}
	c.set(s.at[swiss])
	if err := s.e.Beat(t.Context()); err != nil {
		t.Error(err)
	}
	if err := errors.Join(read(), put("new")); err != nil {
		t.Errorf("the right storage is back: %v", err)
	}
	s.wantAway()
}
