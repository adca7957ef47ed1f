package blobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/backendtest"
	"github.com/sanctum-storage/gateway/backends/mem"
)

// A backend that answers is the same when it is watched.
func TestWatchedAddsNothing(t *testing.T) {
	backendtest.Run(t, func(*testing.T) backends.Backend { return watch(mem.New(), 0) })
}

// frozen hangs in the calls of one kind, whatever their context says.
type frozen struct {
	backends.Backend
	kind  string
	begun atomic.Int64
	until chan struct{}
}

func (f *frozen) wait(kind string) {
	if kind == f.kind {
		f.begun.Add(1)
		<-f.until
	}
}

func (f *frozen) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	f.wait("put")
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	f.wait("flush")
	return f.Backend.Put(ctx, id, bytes.NewReader(data), size)
}

func (f *frozen) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	f.wait("get")
	r, err := f.Backend.Get(ctx, id, off, n)
	return frozenReader{r, f}, err
}

type frozenReader struct {
	io.ReadCloser
	f *frozen
}

func (r frozenReader) Read(p []byte) (int, error) {
	r.f.wait("read")
	return r.ReadCloser.Read(p)
}

func (r frozenReader) Close() error {
	r.f.wait("close")
	return r.ReadCloser.Close()
}

func (f *frozen) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	f.wait("stat")
	return f.Backend.Stat(ctx, id)
}

func (f *frozen) Delete(ctx context.Context, ids ...backends.BlobID) error {
	f.wait("delete")
	return f.Backend.Delete(ctx, ids...)
}

func (f *frozen) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		f.wait("list")
		for info, err := range f.Backend.List(ctx, after) {
			if !yield(info, err) {
				return
			}
			f.wait("next")
		}
	}
}

func (f *frozen) Check(ctx context.Context) error {
	f.wait("check")
	return f.Backend.Check(ctx)
}

func (f *frozen) Sweep(context.Context, time.Time) (int, error) {
	f.wait("sweep")
	return 0, nil
}

// use makes one call of every kind, and returns all errors.
func use(ctx context.Context, b backends.Backend, id backends.BlobID) error {
	_, err := b.Stat(ctx, id)
	errs := []error{err, b.Put(ctx, backends.NewBlobID(), bytes.NewReader([]byte("new")), 3), b.Delete(ctx, backends.NewBlobID()), b.Check(ctx)}
	_, err = backends.Sweep(ctx, b, time.Now())
	errs = append(errs, err)
	r, err := b.Get(ctx, id, 0, -1)
	if errs = append(errs, err); err == nil {
		_, err = io.ReadAll(r)
		errs = append(errs, err, r.Close())
	}
	for _, err := range b.List(ctx, backends.BlobID{}) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Calls that hang, of whatever kind, are given up and bounded in number, and when they end
// the backend is as it was.
func TestHangingCallsAreGivenUp(t *testing.T) {
	for _, kind := range []string{"put", "flush", "get", "read", "close", "stat", "delete", "list", "next", "check", "sweep"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := &frozen{Backend: mem.New(), kind: kind, until: make(chan struct{})}
			goOn := sync.OnceFunc(func() { close(f.until) })
			t.Cleanup(goOn)
			id := backends.NewBlobID()
			if err := f.Backend.Put(t.Context(), id, bytes.NewReader([]byte("text")), 4); err != nil {
				t.Fatal(err)
			}
			w := watch(f, 20*time.Millisecond)
			for range 100 {
				if err := use(t.Context(), w, id); !errors.Is(err, backends.ErrUnavailable) {
					t.Fatalf("told %v", err)
				}
			}
			if n := f.begun.Load(); n == 0 || n > maxCalls {
				t.Errorf("%d calls hang", n)
			}
			goOn()
			var err error
			for range 1000 {
				if err = use(t.Context(), w, id); err == nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("after that: %v", err)
		})
	}
}

// A list that is given up, or whose caller has gone, is never taken for a whole one.
func TestGivenUpListIsNotWhole(t *testing.T) {
	b := mem.New()
	for range 10 {
		if err := b.Put(t.Context(), backends.NewBlobID(), bytes.NewReader(nil), 0); err != nil {
			t.Fatal(err)
		}
	}
	w := watch(b, time.Minute)
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		n, last := 0, error(nil)
		for _, err := range w.List(ctx, backends.BlobID{}) {
			if last = err; err == nil {
				n++
			}
			if n == 3 {
				cancel()
			}
		}
		cancel()
		if last == nil && n < 10 || last != nil && !errors.Is(last, context.Canceled) {
			t.Fatalf("%d blobs and %v", n, last)
		}
	}
}
