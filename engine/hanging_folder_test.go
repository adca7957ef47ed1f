package engine_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/meta"
)

// hanging ends no look at it, as a folder of a network file system whose server is gone.
type hanging struct {
	backends.Backend
	begun atomic.Bool
	until chan struct{}
}

func (h *hanging) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	if h.begun.Load() {
		<-h.until
	}
	return h.Backend.Stat(context.WithoutCancel(ctx), id)
}

// A backend that hangs, whatever the context of a call says, keeps the gateway from no
// further beat: without beats all of its writes would be refused, and others take it for
// dead.
func TestBeatsGoOnBesideABackendThatHangs(t *testing.T) {
	s := newSeveralRig(t)
	h := &hanging{Backend: s.at[west], until: make(chan struct{})}
	goOn := sync.OnceFunc(func() { close(h.until) })
	t.Cleanup(goOn)
	s.config.Backends[2].Backend = h
	s.reopen()
	s.mustPut("k2", body(2, 1000)) // which the epochs have yet to cover
	h.begun.Store(true)
	ended := make(chan error, 3)
	go func() {
		for range 3 {
			ended <- s.e.Blobs().Beat(context.WithoutCancel(t.Context()))
		}
	}()
	for i := range 3 {
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("beat %d: %v", i, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("beat %d does not end", i)
		}
	}
	s.mustPut("k3", body(3, 1000))
	goOn()
	s.wantBody("k3", body(3, 1000))
}

// hangingAt hangs in one kind of call, whatever the call's context says.
type hangingAt struct {
	backends.Backend
	kind  string
	begun atomic.Bool
	met   atomic.Int64
	until chan struct{}
}

func (h *hangingAt) wait(kind string) {
	if h.begun.Load() && kind == h.kind {
		h.met.Add(1)
		<-h.until
	}
}

func (h *hangingAt) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	h.wait("put")
	return h.Backend.Put(ctx, id, r, size)
}

func (h *hangingAt) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	h.wait("get")
	r, err := h.Backend.Get(ctx, id, off, n)
	return hangingReader{r, h}, err
}

type hangingReader struct {
	io.ReadCloser
	h *hangingAt
}

func (r hangingReader) Read(p []byte) (int, error) {
	r.h.wait("read")
	return r.ReadCloser.Read(p)
}

func (h *hangingAt) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	h.wait("stat")
	return h.Backend.Stat(ctx, id)
}

func (h *hangingAt) Delete(ctx context.Context, ids ...backends.BlobID) error {
	h.wait("delete")
	return h.Backend.Delete(ctx, ids...)
}

func (h *hangingAt) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	h.wait("list")
	return h.Backend.List(ctx, after)
}

func (h *hangingAt) Check(ctx context.Context) error {
	h.wait("check")
	return h.Backend.Check(ctx)
}

// A backend that hangs in any of its calls, while it is drained or filled, ends no pass of
// collector and mover, no check and no write of a background step: what is dead at another
// is deleted meanwhile, and when it answers again all goes on.
func TestStepsEndBesideABackendThatHangs(t *testing.T) {
	for _, drained := range []string{east, west} {
		for _, kind := range []string{"put", "get", "read", "stat", "delete", "list", "check"} {
			t.Run(drained+"/"+kind, func(t *testing.T) {
				t.Parallel()
				s := newSeveralRig(t)
				h := &hangingAt{Backend: s.at[east], kind: kind, until: make(chan struct{})}
				goOn := sync.OnceFunc(func() { close(h.until) })
				t.Cleanup(goOn)
				s.config.Backends[1].Backend, s.config.Backends[1].CallTimeout = h, 50*time.Millisecond
				s.reopen()
				free := s.b
				for i := range 4 {
					s.mustPut(fmt.Sprint("k", i), body(uint64(i), 3000))
				}
				s.b = s.bucket("in-swiss", "CH")
				s.mustPut("gone", body(9, 100))
				s.delete("gone")
				s.b = free
				s.drain(drained, map[string]string{east: west, west: east}[drained])
				h.begun.Store(true)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					ctx := context.WithoutCancel(t.Context())
					for range 3 {
						_, _ = s.e.Blobs().Collect(ctx)
						_, _ = s.e.Blobs().Move(ctx)
						_ = s.e.Blobs().CheckBackend(ctx, east)
						_, _ = s.put("new", body(7, 3000))
						_, _ = s.get("k1", nil)
						_, _ = fsck.Run(ctx, s.e, fsck.Options{Deep: true})
					}
				}()
				select {
				case <-ended:
				case <-time.After(2 * time.Minute):
					t.Fatal("a step does not end")
				}
				if n := blobsAt(t, s.at[swiss]); n != markers {
					t.Errorf("%d blobs are at a backend that answers", n-markers)
				}
				goOn()
				for i := 0; i < 1000 && s.e.Blobs().CheckBackend(t.Context(), east) != nil; i++ {
					time.Sleep(10 * time.Millisecond)
				}
				for i := 0; i < 1000 && s.status(drained).Row.State != meta.BackendRetired; i++ {
					_, _ = s.e.Blobs().Move(t.Context())
					_, _ = s.e.Blobs().Collect(t.Context())
					time.Sleep(10 * time.Millisecond)
				}
				if st := s.status(drained); st.Row.State != meta.BackendRetired {
					t.Errorf("when it answers again: %+v", st)
				}
				for i := range 4 {
					s.wantBody(fmt.Sprint("k", i), body(uint64(i), 3000))
				}
				s.wantClean(-1)
			})
		}
	}
}

// Nothing is copied to a backend while a deletion there, which was given up, may yet be
// carried out: a blob that comes back to a backend has the id that it had there.
func TestNothingIsCopiedUnderAHangingDeletion(t *testing.T) {
	s := newSeveralRig(t)
	h := &hangingAt{Backend: s.at[west], kind: "delete", until: make(chan struct{})}
	goOn := sync.OnceFunc(func() { close(h.until) })
	t.Cleanup(goOn)
	s.config.Backends[2].Backend, s.config.Backends[2].CallTimeout = h, 20*time.Millisecond
	s.reopen()
	free := s.b
	s.b = s.bucket("in-west", "eu-west-1")
	s.mustPut("gone", body(9, 100))
	s.delete("gone")
	if err := s.e.Buckets().Delete(t.Context(), s.b); err != nil {
		t.Fatal(err)
	}
	s.b = free
	s.mustPut("k", body(1, 3000))
	h.begun.Store(true)
	_, _ = s.e.Blobs().Collect(t.Context())
	if h.met.Load() == 0 {
		t.Fatal("nothing was deleted")
	}
	s.drain(east, west)
	for range 100 {
		if r, err := s.e.Blobs().Move(t.Context()); r.Blobs > 0 || err == nil {
			t.Fatalf("%+v, %v", r, err)
		}
		time.Sleep(5 * time.Millisecond) // in pauses all is refused
	}
	goOn()
	for i := 0; i < 1000 && s.status(east).Row.State != meta.BackendRetired; i++ {
		_, _ = s.e.Blobs().Move(t.Context())
		_, _ = s.e.Blobs().Collect(t.Context())
		time.Sleep(5 * time.Millisecond)
	}
	s.wantBody("k", body(1, 3000))
	s.wantClean(1)
}
