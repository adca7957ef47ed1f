package late

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/backendtest"
	"github.com/sanctum-storage/gateway/backends/mem"
)

var errAway = errors.Join(backends.ErrUnavailable, errors.New("nobody answers"))

// Once it is open it is the backend itself.
func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		b := New(func(context.Context) (backends.Backend, error) { return mem.New(), nil }, errAway)
		b.next = time.Time{}
		if err := b.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b
	})
}

// swept is a backend that always has something to sweep.
type swept struct{ backends.Backend }

func (swept) Sweep(context.Context, time.Time) (int, error) { return 3, nil }

// While it is away each call fails at once with the reason, one try is under way at a
// time, and what has come back is used without anybody being told.
func TestComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries, fails := 0, errAway
		b := New(func(ctx context.Context) (backends.Backend, error) {
			tries++
			if _, ok := ctx.Deadline(); !ok {
				t.Error("a try without an end")
			}
			time.Sleep(time.Second)
			if fails != nil {
				return nil, fails
			}
			return swept{mem.New()}, nil
		}, errAway)
		id := backends.NewBlobID()
		all := func(want error) {
			t.Helper()
			_, stat := b.Stat(t.Context(), id)
			_, sweep := b.Sweep(t.Context(), time.Now())
			_, get := b.Get(t.Context(), id, 0, -1)
			var list error
			for _, err := range b.List(t.Context(), backends.BlobID{}) {
				list = err
			}
			for call, err := range map[string]error{
				"put": b.Put(t.Context(), id, bytes.NewReader(nil), 0), "get": get, "stat": stat,
				"delete": b.Delete(t.Context(), id), "list": list, "check": b.Check(t.Context()),
				"sweep": sweep,
			} {
				if !errors.Is(err, want) || !errors.Is(err, fails) {
					t.Errorf("%s: %v, want %v for %v", call, err, want, fails)
				}
			}
		}
		all(backends.ErrUnavailable)
		if tries != 0 {
			t.Errorf("%d tries right after the first", tries)
		}
		time.Sleep(Pause)
		var at sync.WaitGroup
		for range 10 {
			at.Go(func() {
				began := time.Now()
				if err := b.Check(t.Context()); !errors.Is(err, backends.ErrUnavailable) {
					t.Error(err)
				}
				if waited := time.Since(began); waited != 0 && waited != time.Second {
					t.Errorf("a call waited %v", waited)
				}
			})
		}
		at.Wait()
		if tries != 1 {
			t.Errorf("%d tries at once", tries)
		}
		time.Sleep(Pause)
		hasty, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := b.Check(hasty); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call whose time is up: %v", err)
		}
		time.Sleep(time.Second)
		synctest.Wait() // for the try that nobody waited for
		fails = errors.New("no such bucket")
		time.Sleep(Pause)
		b.Check(t.Context())
		all(backends.ErrDenied)
		fails = nil
		time.Sleep(Pause)
		if err := b.Put(t.Context(), id, bytes.NewReader([]byte("body")), 4); err != nil {
			t.Fatal(err)
		}
		r, err := b.Get(t.Context(), id, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); string(got) != "body" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if n, err := b.Sweep(t.Context(), time.Now()); n != 3 || err != nil {
			t.Errorf("swept %d, %v", n, err)
		}
		if err := b.Close(); err != nil || !errors.Is(b.Check(t.Context()), backends.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// Closing ends a try that is under way.
func TestCloseEndsTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(func(ctx context.Context) (backends.Backend, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, errAway)
		time.Sleep(Pause)
		asked := make(chan error)
		go func() { asked <- b.Check(t.Context()) }()
		synctest.Wait()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := <-asked; !errors.Is(err, backends.ErrUnavailable) {
			t.Error(err)
		}
		if err := b.Check(t.Context()); !errors.Is(err, backends.ErrClosed) {
			t.Errorf("after it was closed: %v", err)
		}
	})
}
