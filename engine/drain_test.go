package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// drained moves and collects until a backend is retired.
func (r *rig) drained(name string) {
	r.t.Helper()
	for range 100 {
		if _, err := r.e.Blobs().Move(r.t.Context()); err != nil {
			r.t.Fatalf("move: %v", err)
		}
		if _, err := r.e.Blobs().Collect(r.t.Context()); err != nil {
			r.t.Fatalf("collect: %v", err)
		}
		all, err := r.e.Blobs().BackendStatus(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		if slices.ContainsFunc(all, func(b blobs.BackendStatus) bool { return b.Row.Name == name && b.Row.State == meta.BackendRetired }) {
			return
		}
	}
	r.t.Fatalf("backend %s is never retired", name)
}

func (r *rig) drain(name, to string) {
	r.t.Helper()
	if err := r.e.Blobs().DrainBackend(r.t.Context(), name, to); err != nil {
		r.t.Fatal(err)
	}
}

func TestDrain(t *testing.T) {
	s := newSeveralRig(t)
	other := s.bucket("elsewhere", "EU")
	bodies := map[string][]byte{}
	for i, n := range []int{1, 65536, 65537, 1 << 20, 3<<20 + 5} {
		key := fmt.Sprint("k", i)
		bodies[key] = body(uint64(i), n)
		s.mustPut(key, bodies[key])
	}
	if _, err := s.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: s.b, SourceKey: "k4", Bucket: other, Key: "k4", Owner: other.Owner}); !errors.Is(err, nil) {
		t.Fatal(err)
	}
	s.mustPut("deleted", body(9, 1000))
	s.delete("deleted")
	for what, err := range map[string]error{
		"unknown":     s.e.Blobs().DrainBackend(t.Context(), "nowhere", west),
		"to unknown":  s.e.Blobs().DrainBackend(t.Context(), east, "nowhere"),
		"to itself":   s.e.Blobs().DrainBackend(t.Context(), east, east),
		"not started": s.e.Blobs().CancelDrain(t.Context(), east),
	} {
		if !errors.Is(err, s3err.NoSuchEntity) && !errors.Is(err, s3err.InvalidArgument) {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.drain(east, west)
	if err := s.e.Blobs().DrainBackend(t.Context(), west, swiss); !errors.Is(err, s3err.InvalidArgument) {
		t.Errorf("draining what another drains to: %v", err)
	}
	// New blobs go to the target at once, and while the rest moves.
	bodies["new"] = body(20, 1000)
	before := blobsAt(t, s.at[west])
	s.mustPut("new", bodies["new"])
	if n := blobsAt(t, s.at[west]); n != before+1 {
		t.Errorf("%d new blobs at the target, want 1", n-before)
	}
	if got := s.status(east); got.State != "draining" || got.Target != west {
		t.Errorf("%+v", got)
	}
	if _, err := s.e.Blobs().Move(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.status(east).Row.Drain; got.Blobs != 5 || got.Bytes < 4<<20 {
		t.Errorf("progress: %+v", got)
	}
	s.drained(east)
	for key, data := range bodies {
		s.wantBody(key, data)
	}
	if n := blobsAt(t, s.at[east]); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
	s.wantClean(6)
	// Its name and storage are free again, also for a gateway that starts anew.
	s.reopen()
	if got := s.status(east); got.State != "retired" {
		t.Errorf("the first of the name: %+v", got)
	}
	c := s.bucket("third-bucket", "")
	if c.Backend == meta.FirstBackend {
		t.Error("a retired backend's number is used again")
	}
	s.drain(west, east)
	s.drained(west)
	for key, data := range bodies {
		s.wantBody(key, data)
	}
	s.wantClean(-1)
}

// A draining that is turned back half way leaves everything readable and nothing
// behind, and a blob can return to where it was.
func TestDrainAndBack(t *testing.T) {
	s := newSeveralRig(t)
	for i := range 20 {
		s.mustPut(fmt.Sprint("k", i), body(uint64(i), 1000))
	}
	s.drain(east, west)
	if r, err := s.e.Blobs().Move(t.Context()); err != nil || r.Blobs != 20 || r.Buckets != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := s.e.Blobs().CancelDrain(t.Context(), east); err != nil {
		t.Fatal(err)
	}
	s.drain(west, east) // the copies that were left have to go first
	s.drained(west)
	for i := range 20 {
		s.wantBody(fmt.Sprint("k", i), body(uint64(i), 1000))
	}
	s.wantBlobs2(map[string]int{east: 20, west: -markers})
	s.wantClean(20)
}

// wantBlobs2 is wantBlobs for the named backends; -1 for one without a marker, too.
func (s *severalRig) wantBlobs2(want map[string]int) {
	s.t.Helper()
	for name, n := range want {
		got := sealed(s.t, s.at[name])
		if n < 0 {
			got = blobsAt(s.t, s.at[name]) + n
		}
		if got != n {
			s.t.Errorf("%d blobs on %s, want %d", got, name, n)
		}
	}
}

// The other copy is deleted only when the new one has been seen, and makes a new
// one where that is gone.
func TestMovedBlobThatVanished(t *testing.T) {
	s := newSeveralRig(t)
	data := body(1, 100_000)
	s.mustPut("k", data)
	s.drain(east, west)
	if _, err := s.e.Blobs().Move(t.Context()); err != nil {
		t.Fatal(err)
	}
	for info, err := range s.at[west].List(t.Context(), backends.BlobID{}) {
		if err != nil {
			t.Fatal(err)
		}
		if info.Size > 0 { // not the marker
			if err := s.at[west].Delete(t.Context(), info.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.e.Blobs().Collect(t.Context()); err == nil {
		t.Error("nobody hears of a blob that vanished")
	}
	s.wantBody("k", data)
	s.drained(east)
	s.wantBody("k", data)
	s.wantClean(1)
}

// Other bytes that the target holds under a blob's name give way to it. Of a
// customer's, which only the customer could tell, it stays and is named.
func TestMoveMeetsOtherBytes(t *testing.T) {
	for _, customer := range []*engine.CustomerKey{nil, {7}} {
		s := newSeveralRig(t)
		in := engine.PutObject{Bucket: s.b, Key: "k", Owner: s.b.Owner, Customer: customer, Body: engine.Body{Reader: bytes.NewReader(body(1, 1000)), Size: 1000}}
		if customer != nil {
			in.Encryption = meta.EncryptionCustomer
		}
		if _, err := s.e.PutObject(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		for info, err := range s.at[east].List(t.Context(), backends.BlobID{}) {
			if err != nil {
				t.Fatal(err)
			}
			if info.Size > 0 {
				if err := s.at[west].Put(t.Context(), info.ID, bytes.NewReader(make([]byte, info.Size)), info.Size); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.mustPut("other", body(2, 1000))
		s.drain(east, west)
		r, err := s.e.Blobs().Move(t.Context())
		if customer == nil {
			for range 3 {
				_, _ = s.e.Blobs().Collect(t.Context())
				_, _ = s.e.Blobs().Move(t.Context())
			}
			s.drained(east)
			s.wantBody("k", body(1, 1000))
			s.wantClean(2)
		} else if err == nil || r.Stuck != 1 || r.Blobs != 1 {
			t.Errorf("%+v, %v; want one stuck and one moved", r, err)
		}
		s.wantBody("other", body(2, 1000))
	}
}

const sweepObjects = 2

// newSweepRig is a rig on two backends with a few objects on the first.
func newSweepRig(t *testing.T) *severalRig {
	t.Helper()
	r := newBareRig(t)
	s := &severalRig{rig: r, at: map[string]backends.Backend{east: mem.New(), west: mem.New()}}
	r.config.Backends = []blobs.Backend{{Name: east, Backend: s.at[east]}, {Name: west, Backend: s.at[west]}}
	r.config.Default = east
	r.reopen()
	r.b = r.bucket("first-bucket", "")
	for i := range sweepObjects {
		s.mustPut(fmt.Sprint("k", i), body(uint64(i), 1000+i))
	}
	s.mustPut("gone", body(9, 10))
	s.delete("gone")
	return s
}

// A draining is cut short at every call of a backend and of the store, on either
// side of its effect, and taken up by another process.
func TestDrainIsCutShortEverywhere(t *testing.T) {
	for _, before := range []string{"backends", "store"} {
		t.Run(before, func(t *testing.T) {
			seed := rand.Uint64()
			met, err := faults.Sweep(seed, faults.Any, nil, func(rule faults.Rule, plan *faults.Plan) {
				plan.Clear()
				s := newSweepRig(t)
				whole := s.config
				if before == "store" {
					s.config.Store = faults.Store(s.store, plan)
				} else {
					s.config.Backends = slices.Clone(whole.Backends)
					for i := range s.config.Backends {
						s.config.Backends[i].Backend = faults.Backend(s.config.Backends[i].Backend, plan)
					}
				}
				s.reopen()
				plan.Add(rule)
				s.e.Blobs().DrainBackend(t.Context(), east, west) // may fail: then it is asked for again
				for range 3 {
					s.e.Blobs().Move(t.Context())
					s.e.Blobs().Collect(t.Context())
				}
				plan.Clear()
				at := fmt.Sprintf("seed %d: %v", seed, rule)
				defer func() {
					if t.Failed() {
						t.Log(at)
					}
				}()
				s.config = whole
				s.reopen()
				if got := s.status(east); got.State == "active" {
					s.drain(east, west)
				}
				s.drained(east)
				for i := range sweepObjects {
					got, err := s.get(fmt.Sprint("k", i), nil)
					if err != nil || !bytes.Equal(got, body(uint64(i), 1000+i)) {
						t.Fatalf("%s: %d bytes, %v", at, len(got), err)
					}
				}
				s.wantClean(sweepObjects)
				if n := sealed(t, s.at[east]); n != 0 { // a marker there may be: the backend is registered anew
					t.Errorf("%s: %d blobs are left", at, n)
				}
				s.e.Close()
				s.store.Close()
			})
			t.Logf("%d faults were met", met)
			if err != nil || met < 20 {
				t.Fatalf("seed %d: %d faults were met, %v", seed, met, err)
			}
		})
	}
}

// Two gateways write, read, copy and delete while a backend drains and calls of
// both backends fail at random. Nothing acknowledged is lost.
func TestDrainUnderLoad(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	plan := faults.NewPlan(seed)
	s := newSweepRig(t)
	s.config.Sole = false
	s.config.Backends = slices.Clone(s.config.Backends)
	for i := range s.config.Backends {
		s.config.Backends[i].Backend = faults.Backend(s.config.Backends[i].Backend, plan)
	}
	s.e.Close()
	s.reopen()
	first := s.e
	s.reopen()
	second := s.e
	t.Cleanup(func() { first.Close() })
	s.drain(east, west)
	for _, when := range []faults.When{faults.Before, faults.After} {
		plan.Add(faults.Rule{When: when, Chance: 0.02, Err: backends.ErrUnavailable})
	}
	ctx, stop := context.WithCancel(t.Context())
	var background sync.WaitGroup
	for _, e := range []*engine.Engine{first, second} {
		background.Go(func() {
			for ctx.Err() == nil {
				e.Blobs().Move(ctx)
				e.Blobs().Collect(ctx)
				e.Beat(ctx)
			}
		})
	}
	var clients sync.WaitGroup
	var acknowledged atomic.Int64
	for i := range 4 {
		c := *s.rig
		c.e = []*engine.Engine{first, second}[i%2]
		clients.Go(func() {
			acknowledged.Add(c.writeAndRead(fmt.Sprint("client", i, "/"), rand.New(rand.NewPCG(seed, uint64(i)))))
		})
	}
	clients.Wait()
	stop()
	background.Wait()
	plan.Clear()
	if acknowledged.Load() == 0 || plan.Fired() == 0 {
		t.Errorf("%d writes, %d faults: nothing was tried", acknowledged.Load(), plan.Fired())
	}
	for _, e := range []*engine.Engine{first, second} { // what is not used is not waited for
		if err := errors.Join(e.Beat(t.Context()), e.Close()); err != nil {
			t.Fatal(err)
		}
	}
	s.drained(east)
	s.wantClean(-1)
	if n := sealed(t, s.at[east]); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}

// A gateway that has not heard of a draining reads on when the backend that it
// remembers is retired already, and the other is the only one that is left.
func TestReadAfterAnotherDrained(t *testing.T) {
	s := newSweepRig(t)
	s.config.Sole = false
	s.e.Close()
	s.reopen()
	reader := s.e
	t.Cleanup(func() { reader.Close() })
	for i := range sweepObjects {
		s.wantBody(fmt.Sprint("k", i), body(uint64(i), 1000+i))
	}
	s.reopen()
	s.drain(east, west)
	s.drained(east)
	s.e, reader = reader, s.e
	for i := range sweepObjects {
		s.wantBody(fmt.Sprint("k", i), body(uint64(i), 1000+i))
	}
}

// Such a gateway writes on too, whether it has written at the backend before or not.
func TestWriteAfterAnotherDrained(t *testing.T) {
	for _, wrote := range []bool{false, true} {
		s := newSweepRig(t)
		s.config.Sole = false
		s.e.Close()
		s.reopen()
		writer := s.e
		t.Cleanup(func() { writer.Close() })
		if wrote {
			s.mustPut("before", body(7, 1000))
		}
		s.reopen()
		s.drain(east, west)
		if wrote {
			if err := writer.Beat(t.Context()); err != nil { // it gives its pool back
				t.Fatal(err)
			}
		}
		s.drained(east)
		s.e, writer = writer, s.e
		s.mustPut("late", body(8, 1000))
		s.wantBody("late", body(8, 1000))
	}
}

// sealed counts what a backend holds besides markers, which are empty.
func sealed(t *testing.T, b backends.Backend) (n int) {
	t.Helper()
	for info, err := range b.List(t.Context(), backends.BlobID{}) {
		if err != nil {
			t.Fatal(err)
		}
		if info.Size > 0 {
			n++
		}
	}
	return n
}

// writeAndRead puts, copies, deletes and reads a client's own keys, and returns
// how many writes were acknowledged.
func (r *rig) writeAndRead(prefix string, rng *rand.Rand) (acknowledged int64) {
	may := make(map[string][][]byte) // acceptable bodies; nil among them: absent
	note := func(key string, data []byte, err error) {
		if err == nil {
			acknowledged++
			may[key] = [][]byte{data}
			return
		}
		if !errors.Is(err, faults.ErrInjected) && !errors.Is(err, backends.ErrUnavailable) && !errors.Is(err, s3err.NoSuchKey) {
			r.t.Errorf("%s: %v", key, err)
		}
		if len(may[key]) == 0 {
			may[key] = [][]byte{nil}
		}
		may[key] = append(may[key], data)
	}
	for n := range 80 {
		key := prefix + fmt.Sprint(rng.IntN(4))
		switch rng.IntN(4) {
		case 0:
			data := body(rng.Uint64(), 1+rng.IntN(100_000))
			_, err := r.put(key, data)
			note(key, data, err)
		case 1:
			from := prefix + fmt.Sprint(rng.IntN(4))
			if len(may[from]) != 1 || may[from][0] == nil {
				continue
			}
			_, err := r.e.CopyObject(r.t.Context(), engine.CopyObject{SourceBucket: r.b, SourceKey: from, Bucket: r.b, Key: key, Owner: r.b.Owner})
			note(key, may[from][0], err)
		case 2:
			_, err := r.e.DeleteObject(r.t.Context(), r.b, engine.DeleteObject{Key: key})
			note(key, nil, err)
		default:
			bodies := may[key]
			got, err := r.get(key, nil)
			ok := len(bodies) == 0 || errors.Is(err, backends.ErrUnavailable)
			for _, want := range bodies {
				ok = ok || want == nil && errors.Is(err, s3err.NoSuchKey) || want != nil && err == nil && bytes.Equal(got, want)
			}
			if !ok {
				r.t.Errorf("step %d: %q has %d bytes, error %v; want one of %d outcomes", n, key, len(got), err, len(bodies))
			}
		}
	}
	return acknowledged
}
