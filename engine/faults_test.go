package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// scenario does one of everything and keeps what was acknowledged, and for
// writes that failed what may be there instead.
func (r *rig) scenario(seed uint64) map[string][][]byte {
	may := make(map[string][][]byte) // key: acceptable bodies; nil among them: absent
	write := func(key string, data []byte, err error) {
		if err != nil {
			if len(may[key]) == 0 {
				may[key] = [][]byte{nil}
			}
			may[key] = append(may[key], data)
			return
		}
		may[key] = [][]byte{data}
	}
	put := func(key string, data []byte) {
		_, err := r.put(key, data)
		write(key, data, err)
	}
	small, large := body(seed, 5000), body(seed+1, 300_000)
	put("small", small)
	put("large", large)
	put("small", large[:100])
	_, err := r.e.CopyObject(r.t.Context(), engine.CopyObject{SourceBucket: r.b, SourceKey: "large", Bucket: r.b, Key: "copy", Owner: r.b.Owner})
	write("copy", large, err)
	err = r.rename("copy", "renamed")
	write("renamed", large, err)
	write("copy", nil, err)
	_, err = r.e.DeleteObject(r.t.Context(), r.b, engine.DeleteObject{Key: "large"})
	write("large", nil, err)
	u, err := r.e.CreateUpload(r.t.Context(), engine.CreateUpload{Bucket: r.b, Key: "multi", Owner: r.b.Owner})
	if err == nil {
		var parts []engine.CompletedPart
		for n := 1; n <= 2 && err == nil; n++ {
			var p engine.Part
			p, err = r.e.UploadPart(r.t.Context(), engine.UploadPart{Bucket: r.b, Key: "multi", Upload: u.ID, Number: 5 - n,
				Body: engine.Body{Reader: bytes.NewReader(large), Size: int64(len(large))}})
			parts = []engine.CompletedPart{{Number: 5 - n, ETag: p.ETag}}
		}
		if err == nil {
			_, err = r.complete(u, parts...)
		}
	}
	write("multi", large, err)
	r.e.Blobs().Collect(r.t.Context()) // may fail: then it is done later
	return may
}

func (r *rig) wantScenario(may map[string][][]byte, when string) {
	r.t.Helper()
	for key, bodies := range may {
		got, err := r.get(key, nil)
		ok := false
		for _, want := range bodies {
			ok = ok || want == nil && errors.Is(err, s3err.NoSuchKey) || want != nil && err == nil && bytes.Equal(got, want)
		}
		if !ok {
			r.t.Fatalf("%s: %q has %d bytes, error %v; want one of %d outcomes", when, key, len(got), err, len(bodies))
		}
	}
}

// Every call of the backend fails in turn, before and after its effect, and
// nothing acknowledged is lost, nothing else is visible, and nothing is left.
func TestEveryBackendCallFails(t *testing.T) {
	sweepScenario(t, "backend", 5, (*rig).plannedBackend)
}

// plannedBackend opens the engine over a backend that the plan, empty so far,
// makes fail.
func (r *rig) plannedBackend(seed uint64) *faults.Plan {
	plan := faults.NewPlan(seed)
	r.config.Backends = local(faults.Backend(r.backend, plan))
	r.reopen()
	return plan
}

// sweepScenario lets each call of a part fail in turn, before and after its
// effect, until a scenario has fewer calls, of which there are at least least.
func sweepScenario(t *testing.T, part string, least int, planned func(*rig, uint64) *faults.Plan) {
	for _, when := range []faults.When{faults.Before, faults.After} {
		for n := 1; ; n++ {
			r := newRig(t)
			plan := planned(r, uint64(n))
			plan.Add(faults.Rule{When: when, N: n})
			may := r.scenario(uint64(n))
			fired := plan.Fired()
			plan.Clear()
			at := fmt.Sprintf("%s call %d failed %v its effect", part, n, when)
			r.wantScenario(may, at)
			r.reopen()
			r.wantScenario(may, at+", restarted")
			r.wantClean(-1)
			r.e.Close()
			if fired == 0 {
				if n < least {
					t.Fatalf("only %d calls were swept", n)
				}
				break
			}
		}
	}
}

// A hostile backend gets right bytes served, or an error: never others.
func TestEvilBackend(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	sizes := []int{1, 4096, 65535, 65536, 65537, 1 << 20, 1<<20 + 1, 3<<20 + 5}
	r := newRig(t)
	evil := faults.NewEvil(r.backend, seed)
	r.config.Backends = local(evil)
	r.reopen()
	for i, n := range sizes {
		r.mustPut(fmt.Sprint("older", n), body(seed+uint64(i)+100, n))
		r.mustPut(fmt.Sprint("k", n), body(seed+uint64(i), n))
	}
	for _, mode := range faults.ReadModes() {
		before := evil.Tampered()
		for i, n := range sizes {
			data := body(seed+uint64(i), n)
			for range 8 {
				evil.Set(mode, -1)
				got, err := r.get(fmt.Sprint("k", n), nil)
				if err == nil && !bytes.Equal(got, data) || !bytes.HasPrefix(data, got) {
					t.Fatalf("%v: %d bytes served falsely, error %v", mode, n, err)
				}
				if err != nil && n <= engine.VerifyWhole && len(got) > 0 {
					t.Errorf("%v: %d of %d bytes left before the error", mode, len(got), n)
				}
				a := rand.IntN(n)
				got, err = r.get(fmt.Sprint("k", n), &engine.Range{First: int64(a), Last: -1})
				if err == nil && !bytes.Equal(got, data[a:]) || !bytes.HasPrefix(data[a:], got) {
					t.Fatalf("%v: range from %d of %d served falsely, error %v", mode, a, n, err)
				}
			}
		}
		// Bytes behind a blob's end are never read; fsck sees them by its size.
		if evil.Tampered() == before && mode != faults.Extend {
			t.Errorf("%v: nothing was tampered with", mode)
		}
		evil.Set(faults.Honest, -1)
	}
	for i, n := range sizes {
		r.wantBody(fmt.Sprint("k", n), body(seed+uint64(i), n))
	}
	evil.Set(faults.DiskFull, -1)
	if _, err := r.put("full", body(1, 100_000)); !errors.Is(err, s3err.InsufficientStorage) {
		t.Errorf("full disk: %v, want InsufficientStorage, which clients do not repeat", err)
	}
	evil.Set(faults.Honest, -1)
	r.wantAbsent("full")
	r.wantClean(2 * len(sizes))
}

// A storage that is not the store's is not taken at a start, and one that comes late
// loses nothing.
func TestStorageOfNobody(t *testing.T) {
	r := newRig(t)
	r.mustPut("k", body(1, 1000))
	r.wantClean(1)
	r.mustPut("k", body(2, 1000))
	away := faults.NewPlan(1, faults.Rule{Err: backends.ErrUnavailable})
	c := r.config
	other := mem.New()
	c.Backends = local(other)
	if _, err := engine.Open(t.Context(), c); !errors.Is(err, blobs.ErrUnknownStorage) {
		t.Fatalf("%v, want ErrUnknownStorage", err)
	}
	c.Backends = local(faults.Backend(other, away))
	e, err := engine.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	away.Clear()
	if _, err := e.Blobs().Collect(t.Context()); !blobs.Disagrees(err) {
		t.Fatalf("%v, want a disagreement", err)
	}
	if n, err := r.store.DeadBlobs(t.Context(), meta.FirstBackend, r.e.Accounts().Root().Created.Add(100*hour), 10); err != nil || len(n) == 0 {
		t.Errorf("the ledger forgot: %v, %v", n, err)
	}
	c.AcceptStore = true
	if e, err = engine.Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Blobs().Collect(t.Context()); err != nil {
		t.Errorf("after it was accepted: %v", err)
	}
}

// Reservations of a process that is gone are collected; a process that was only
// paused cannot commit what was condemned meanwhile.
func TestAbandonedReservations(t *testing.T) {
	r := newRig(t)
	paused := r.e
	data := body(1, 200_000)
	condemn := &hookReader{data: data, hook: func() {
		r.reopen() // takes the first for dead, as the only process may
		r.collect()
	}}
	_, err := paused.PutObject(t.Context(), engine.PutObject{Bucket: r.b, Key: "k", Owner: r.b.Owner,
		Body: engine.Body{Reader: condemn, Size: int64(len(data))}})
	if !errors.Is(err, s3err.ServiceUnavailable) || !errors.Is(err, meta.ErrReservationLost) {
		t.Fatalf("%v, want a refused commit", err)
	}
	r.wantAbsent("k")
	r.mustPut("k", data)
	report, err := fsck.Run(t.Context(), r.e, fsck.Options{})
	if err != nil || report.Lost != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
}

// lateBackend stores a body once the test has had its way, and says that it failed.
type lateBackend struct {
	backends.Backend
	late func()
}

func (l *lateBackend) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	late := l.late
	if late == nil || size == 0 { // a marker
		return l.Backend.Put(ctx, id, r, size)
	}
	l.late = nil
	late()
	return errors.Join(l.Backend.Put(ctx, id, r, size), backends.ErrUnavailable)
}

// Bytes that arrive after the collector has forgotten their blob are deleted all
// the same, although the process that sent them was told that they did not.
func TestAbandonedBytesLand(t *testing.T) {
	r := newBareRig(t)
	late := &lateBackend{Backend: r.backend}
	r.config.Backends = local(late)
	r.reopen()
	r.b = r.bucket("first-bucket", "")
	paused := r.e
	late.late = func() {
		r.reopen()
		r.collect()
	}
	data := body(1, 200_000)
	_, err := paused.PutObject(t.Context(), engine.PutObject{Bucket: r.b, Key: "k", Owner: r.b.Owner,
		Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
	if !errors.Is(err, backends.ErrUnavailable) {
		t.Fatal(err)
	}
	if err := paused.Close(); err != nil {
		t.Fatal(err)
	}
	r.mustPut("k", data)
	r.wantClean(1)
}

// hookReader calls hook half way.
type hookReader struct {
	data []byte
	off  int
	hook func()
}

func (h *hookReader) Read(p []byte) (int, error) {
	if h.off >= len(h.data)/2 && h.hook != nil {
		h.hook()
		h.hook = nil
	}
	n := copy(p, h.data[h.off:])
	h.off += n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
