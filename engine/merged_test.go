package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/meta"
)

// answering is a backend that another answers for, once it is told so.
type answering struct {
	backends.Backend
	other  backends.Backend
	begun  atomic.Bool
	unites func(a *answering) backends.Backend // the answers from then on
	late   []func() error                      // yet to be replicated
}

// catchUp replicates what is late.
func (a *answering) catchUp() (err error) {
	for _, at := range a.late {
		err = errors.Join(err, at())
	}
	a.late = nil
	return err
}

func (a *answering) now() backends.Backend {
	if a.begun.Load() {
		return a.unites(a)
	}
	return a.Backend
}

func (a *answering) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	return a.now().Put(ctx, id, r, size)
}

func (a *answering) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	return a.now().Get(ctx, id, off, n)
}

func (a *answering) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	return a.now().Stat(ctx, id)
}

func (a *answering) Delete(ctx context.Context, ids ...backends.BlobID) error {
	return a.now().Delete(ctx, ids...)
}

func (a *answering) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return a.now().List(ctx, after)
}

// seesThrough reads what it has not from another.
type seesThrough struct {
	backends.Backend
	other backends.Backend
}

func (s seesThrough) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	if _, err := s.Backend.Stat(ctx, id); err != nil {
		return s.other.Get(ctx, id, off, n)
	}
	return s.Backend.Get(ctx, id, off, n)
}

func (s seesThrough) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	if info, err := s.Backend.Stat(ctx, id); err == nil {
		return info, nil
	}
	return s.other.Stat(ctx, id)
}

// replicates does all that is asked of it at another as well: at once, or if it is slow,
// when it catches up.
type replicates struct {
	backends.Backend
	other backends.Backend
	slow  bool
	late  *[]func() error
}

func (r replicates) do(at func() error) error {
	if r.slow {
		*r.late = append(*r.late, at)
		return nil
	}
	return at()
}

func (r replicates) Put(ctx context.Context, id backends.BlobID, body io.Reader, size int64) error {
	data, err := io.ReadAll(backends.Sized(body, size))
	if err != nil {
		return err
	}
	if err := r.Backend.Put(ctx, id, bytes.NewReader(data), size); err != nil {
		return err
	}
	return r.do(func() error {
		return ignoreExisting(r.other.Put(context.WithoutCancel(ctx), id, bytes.NewReader(data), size))
	})
}

func (r replicates) Delete(ctx context.Context, ids ...backends.BlobID) error {
	if err := r.Backend.Delete(ctx, ids...); err != nil {
		return err
	}
	return r.do(func() error { return r.other.Delete(context.WithoutCancel(ctx), ids...) })
}

func ignoreExisting(err error) error {
	if errors.Is(err, backends.ErrExists) {
		return nil
	}
	return err
}

// copied puts the blobs of one storage into another.
func copied(t *testing.T, from, to backends.Backend) {
	t.Helper()
	for info, err := range from.List(t.Context(), backends.BlobID{}) {
		if err != nil {
			t.Fatal(err)
		}
		rc, err := from.Get(t.Context(), info.ID, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Stat(t.Context(), info.ID); err == nil {
			continue
		}
		if err := to.Put(t.Context(), info.ID, bytes.NewReader(data), info.Size); err != nil {
			t.Fatal(err)
		}
	}
}

// Two backends that become one storage, or of which one answers for the other, lose
// nothing by draining one into the other, whenever that begins. A target that was only
// filled with a copy of the source takes its place.
func TestDrainIntoItself(t *testing.T) {
	other := func(a *answering) backends.Backend { return a.other }
	through := func(a *answering) backends.Backend { return seesThrough{a.Backend, a.other} }
	for name, kind := range map[string]struct {
		copied   func(s *severalRig) // before
		from, to func(a *answering) backends.Backend
		slow     bool
	}{
		"merged into the target":      {copied: func(s *severalRig) { copied(s.t, s.at[east], s.at[west]) }, from: other},
		"merged into the source":      {copied: func(s *severalRig) { copied(s.t, s.at[west], s.at[east]) }, to: other},
		"the target reads the source": {to: through},
		"replicated to the target": {copied: func(s *severalRig) { copied(s.t, s.at[east], s.at[west]) }, from: func(a *answering) backends.Backend {
			return replicates{Backend: a.Backend, other: a.other, late: &a.late}
		}},
		"slowly replicated to the target": {copied: func(s *severalRig) { copied(s.t, s.at[east], s.at[west]) }, from: func(a *answering) backends.Backend {
			return replicates{Backend: a.Backend, other: a.other, late: &a.late, slow: true}
		}},
		"only copied": {copied: func(s *severalRig) { copied(s.t, s.at[east], s.at[west]) }},
	} {
		for _, moved := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, moved before: %v", name, moved), func(t *testing.T) {
				s := newSeveralRig(t)
				from := &answering{Backend: s.at[east], other: s.at[west], unites: kind.from}
				to := &answering{Backend: s.at[west], other: s.at[east], unites: kind.to}
				s.config.Backends[1].Backend, s.config.Backends[2].Backend = from, to
				s.reopen()
				for i := range 5 {
					s.mustPut(fmt.Sprint("k", i), body(uint64(i), 3000))
				}
				s.drain(east, west)
				if moved {
					if _, err := s.e.Blobs().Move(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if kind.copied != nil {
					kind.copied(s)
				}
				from.begun.Store(kind.from != nil)
				to.begun.Store(kind.to != nil)
				united := kind.from != nil || kind.to != nil
				var told error
				for range 20 {
					_, err := s.e.Blobs().Move(t.Context())
					told = errors.Join(told, err, from.catchUp())
					_, err = s.e.Blobs().Collect(t.Context())
					told = errors.Join(told, err, from.catchUp())
				}
				if united && !errors.Is(told, blobs.ErrWrongBackend) {
					t.Errorf("told was %v", told)
				}
				if retired := s.status(east).Row.State == meta.BackendRetired; retired == united {
					t.Errorf("they are one: %v; retired: %v", united, retired)
				}
				for i := range 5 {
					s.wantBody(fmt.Sprint("k", i), body(uint64(i), 3000))
				}
			})
		}
	}
}

// A transition moves nothing between two backends of which one answers for the other.
func TestTransitionIntoItself(t *testing.T) {
	l, s := newSeveralLifecycleRig(t)
	from := &answering{Backend: s.at[east], other: s.at[west], unites: func(a *answering) backends.Backend { return a.other }}
	s.config.Backends[1].Backend = from
	l.reopen()
	l.mustPut("old/a", body(1, 3000))
	copied(t, s.at[east], s.at[west])
	from.begun.Store(true)
	l.rules(toWest)
	l.now = l.now.Add(3 * oneDay)
	if r, err := l.step(); !errors.Is(err, blobs.ErrWrongBackend) || r.Moved > 0 {
		t.Errorf("%+v, %v", r, err)
	}
	from.begun.Store(false)
	if at := blobsAt(t, s.at[east]); at != 1+markers {
		t.Errorf("%d blobs are where it was", at-markers)
	}
	l.wantBody("old/a", body(1, 3000))
}

// clocked is a rig whose collector keeps what is dead for an hour, by a clock that the
// test moves on.
func clocked(t *testing.T) (s *severalRig, later func(time.Duration)) {
	s = newSeveralRig(t)
	start, now := time.Now(), time.Duration(0)
	s.config.Grace = time.Hour
	s.config.Now = func() time.Time { return start.Add(now) }
	s.config.Elapsed = func() time.Duration { return now }
	return s, func(d time.Duration) { now += d }
}

// A target that follows the source far behind loses nothing, however many epochs lie in
// between.
func TestDrainIntoALateFollower(t *testing.T) {
	s, later := clocked(t)
	from := &answering{Backend: s.at[east], other: s.at[west], unites: func(a *answering) backends.Backend {
		return replicates{Backend: a.Backend, other: a.other, late: &a.late, slow: true}
	}}
	s.config.Backends[1].Backend = from
	s.reopen()
	for i := range 5 {
		s.mustPut(fmt.Sprint("k", i), body(uint64(i), 3000))
	}
	copied(t, s.at[east], s.at[west])
	from.begun.Store(true)
	s.drain(east, west)
	if _, err := s.e.Blobs().Move(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		later(2 * time.Minute)
		s.mustPut("changing", body(uint64(i), 100))
		if err := s.e.Blobs().Beat(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	behind := from.late[len(from.late)/2:]
	from.late = from.late[:len(from.late)/2]
	if err := from.catchUp(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.e.Blobs().Collect(t.Context()); !errors.Is(err, blobs.ErrWrongBackend) {
		t.Errorf("the collection says %v", err)
	}
	from.late = append(behind, from.late...)
	if err := from.catchUp(); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		s.wantBody(fmt.Sprint("k", i), body(uint64(i), 3000))
	}
}

// A target that was filled with a copy of the source takes its place once it had an hour
// to show that it follows, as each process begins anew to wait.
func TestDrainIntoACopy(t *testing.T) {
	s, later := clocked(t)
	s.reopen()
	for i := range 5 {
		s.mustPut(fmt.Sprint("k", i), body(uint64(i), 3000))
	}
	copied(t, s.at[east], s.at[west])
	s.drain(east, west)
	step := func(wants bool) {
		t.Helper()
		if _, err := s.e.Blobs().Move(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.e.Blobs().Collect(t.Context()); (err != nil) == wants {
			t.Errorf("the collection says %v", err)
		}
	}
	step(true)
	for range 10 { // so that the epochs that were copied are long over
		s.mustPut("changing", nil)
		if err := s.e.Blobs().Beat(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	later(61 * time.Minute)
	s.reopen()
	step(false)
	later(61 * time.Minute)
	step(true)
	s.wantBlobs(map[string]int{west: 5})
	for i := range 5 {
		s.wantBody(fmt.Sprint("k", i), body(uint64(i), 3000))
	}
}
