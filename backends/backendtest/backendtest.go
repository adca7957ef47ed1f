// Package backendtest is the conformance suite of backends.Backend: an adapter
// that passes it needs tests of its own only for what is particular to it. It
// never reaches into an adapter and asserts no timings.
package backendtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

// settle bounds the wait for goroutines of connection pools to end after Close.
const settle = 10 * time.Second

// Run tests one adapter. open returns a backend over a fresh, empty place; Run
// closes it. open may use t.Cleanup and t.TempDir.
func Run(t *testing.T, open func(t *testing.T) backends.Backend) {
	for _, c := range []struct {
		name string
		test func(*testing.T, backends.Backend)
	}{
		{"RoundTrip", testRoundTrip},
		{"CreateOnly", testCreateOnly},
		{"OneWinner", testOneWinner},
		{"ZeroID", testZeroID},
		{"FailingReader", testFailingReader},
		{"WrongSize", testWrongSize},
		{"ReaderIsCallers", testReaderIsCallers},
		{"InvisibleUntilDone", testInvisibleUntilDone},
		{"CancelledPut", testCancelledPut},
		{"CancelledGet", testCancelledGet},
		{"EndedContext", testEndedContext},
		{"Ranges", testRanges},
		{"BeyondEnd", testBeyondEnd},
		{"Absent", testAbsent},
		{"Stat", testStat},
		{"Delete", testDelete},
		{"DeleteMany", testDeleteMany},
		{"ListEmpty", testListEmpty},
		{"List", testList},
		{"ListWhileWriting", testListWhileWriting},
		{"Concurrent", testConcurrent},
		{"Check", testCheck},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t)
			t.Cleanup(func() {
				if err := b.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			c.test(t, b)
		})
	}
	t.Run("Close", func(t *testing.T) { testClose(t, open) })
}

// body makes n bytes that differ from any other body's.
func body(n int) []byte {
	var seed [32]byte
	id := backends.NewBlobID()
	copy(seed[:], id[:])
	b := make([]byte, n)
	rand.NewChaCha8(seed).Read(b)
	return b
}

// plain hides every method but Read.
type plain struct{ io.Reader }

func put(t *testing.T, b backends.Backend, data []byte) backends.BlobID {
	t.Helper()
	id := backends.NewBlobID()
	if err := b.Put(t.Context(), id, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatalf("Put of %d bytes: %v", len(data), err)
	}
	return id
}

func read(ctx context.Context, b backends.Backend, id backends.BlobID, off, n int64) ([]byte, error) {
	rc, err := b.Get(ctx, id, off, n)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(rc)
	return data, errors.Join(err, rc.Close())
}

func wantBody(t *testing.T, b backends.Backend, id backends.BlobID, want []byte) {
	t.Helper()
	got, err := read(t.Context(), b, id, 0, -1)
	if err != nil {
		t.Fatalf("Get of %d bytes: %v", len(want), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("Get returned %d bytes that are not the %d put", len(got), len(want))
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// wantAbsent asks in every way there is.
func wantAbsent(t *testing.T, b backends.Backend, id backends.BlobID, what string) {
	t.Helper()
	if rc, err := b.Get(t.Context(), id, 0, -1); !errors.Is(err, backends.ErrNotFound) {
		if err == nil {
			rc.Close()
		}
		t.Errorf("%s: Get gives %v, want ErrNotFound", what, err)
	}
	_, err := b.Stat(t.Context(), id)
	wantError(t, what+": Stat", err, backends.ErrNotFound)
	if slices.Contains(list(t, b, backends.BlobID{}), id) {
		t.Errorf("%s: List shows it", what)
	}
}

func list(t *testing.T, b backends.Backend, after backends.BlobID) []backends.BlobID {
	t.Helper()
	var ids []backends.BlobID
	for info, err := range b.List(t.Context(), after) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		ids = append(ids, info.ID)
	}
	return ids
}

func testCheck(t *testing.T, b backends.Backend) {
	for range 3 {
		if err := b.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if ids := list(t, b, backends.BlobID{}); len(ids) > 0 {
		t.Errorf("Check left blobs: %v", ids)
	}
}

func testClose(t *testing.T, open func(t *testing.T) backends.Backend) {
	before := runtime.NumGoroutine()
	b := open(t)
	id := put(t, b, body(100))
	wantBody(t, b, id, mustRead(t, b, id))
	for range b.List(t.Context(), backends.BlobID{}) {
		break
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	wantError(t, "Put", b.Put(t.Context(), backends.NewBlobID(), bytes.NewReader(nil), 0), backends.ErrClosed)
	_, err := b.Get(t.Context(), id, 0, -1)
	wantError(t, "Get", err, backends.ErrClosed)
	_, err = b.Stat(t.Context(), id)
	wantError(t, "Stat", err, backends.ErrClosed)
	wantError(t, "Delete", b.Delete(t.Context(), id), backends.ErrClosed)
	wantError(t, "Check", b.Check(t.Context()), backends.ErrClosed)
	for _, err := range b.List(t.Context(), backends.BlobID{}) {
		wantError(t, "List", err, backends.ErrClosed)
	}
	for deadline := time.Now().Add(settle); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
		}
	}
}

func mustRead(t *testing.T, b backends.Backend, id backends.BlobID) []byte {
	t.Helper()
	data, err := read(t.Context(), b, id, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
