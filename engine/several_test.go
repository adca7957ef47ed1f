package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// east, west and swiss are three backends of a configuration, east the default.
const (
	east  = "east"
	west  = "west"
	swiss = "swiss"
)

// severalRig is a rig on three backends in memory.
type severalRig struct {
	*rig
	at map[string]backends.Backend
}

func newSeveralRig(t *testing.T) *severalRig {
	t.Helper()
	r := newBareRig(t)
	s := &severalRig{rig: r, at: map[string]backends.Backend{east: mem.New(), west: mem.New(), swiss: mem.New()}}
	r.config.Backends = []blobs.Backend{
		{Name: swiss, Backend: s.at[swiss], Region: "zurich", Jurisdiction: "CH"},
		{Name: east, Backend: s.at[east], Region: "eu-east-1", Jurisdiction: "EU"},
		{Name: west, Backend: s.at[west], Region: "eu-west-1", Jurisdiction: "EU"},
	}
	r.config.Default, r.config.Region = east, "us-east-1"
	r.reopen()
	r.b = r.bucket("first-bucket", "")
	return s
}

// bucket makes a bucket of root's.
func (r *rig) bucket(name, constraint string) meta.Bucket {
	r.t.Helper()
	b, err := r.e.Buckets().Create(r.t.Context(), name, constraint, r.e.Accounts().Root().ID)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// blobsAt counts what a backend holds, markers included.
func blobsAt(t *testing.T, b backends.Backend) (n int) {
	t.Helper()
	for _, err := range b.List(t.Context(), backends.BlobID{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// markers are what every backend holds beside blobs: those of its epoch, of its
// incarnation and of its sealing.
const markers = 3

// wantBlobs demands so many blobs on each backend, besides markers.
func (s *severalRig) wantBlobs(want map[string]int) {
	s.t.Helper()
	for name, b := range s.at {
		if n := sealed(s.t, b); n != want[name] {
			s.t.Errorf("%d blobs on %s, want %d", n, name, want[name])
		}
	}
}

func (s *severalRig) status(name string) blobs.BackendStatus {
	s.t.Helper()
	all, err := s.e.Blobs().BackendStatus(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(b blobs.BackendStatus) bool { return b.Row.Name == name })
	if i < 0 {
		s.t.Fatalf("no backend %s", name)
	}
	return all[i]
}

// wantAway asks each backend, and wants these, and no others, to show as away.
func (s *severalRig) wantAway(want ...string) {
	s.t.Helper()
	for _, name := range s.e.Blobs().BackendNames() {
		if err := s.e.Blobs().CheckBackend(s.t.Context(), name); (err != nil) != slices.Contains(want, name) {
			s.t.Errorf("backend %s: %v", name, err)
		}
	}
	var got []string
	for _, h := range s.e.Blobs().BackendHealth() {
		if h.Away {
			got = append(got, h.Name)
		}
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("away: %q, want %q", got, want)
	}
}

func TestPlacement(t *testing.T) {
	s := newSeveralRig(t)
	for _, u := range []struct{ name, residency string }{{"anybody", ""}, {"european", "EU"}, {"helvetian", "CH"}, {"westerner", west}} {
		if _, err := s.e.Accounts().CreateTenant(t.Context(), u.name, "", "", u.residency); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.e.Accounts().CreateTenant(t.Context(), "martian", "", "", "MARS"); !errors.Is(err, s3err.InvalidArgument) {
		t.Errorf("a residency that no backend has: %v", err)
	}
	for i, c := range []struct {
		user, constraint, want string
		refused                error
	}{
		{"anybody", "", east, nil},
		{"anybody", "us-east-1", east, nil}, // the gateway's own region
		{"anybody", "EU", east, nil},        // the default satisfies it
		{"anybody", "eu-west-1", west, nil},
		{"anybody", swiss, swiss, nil},
		{"anybody", "zurich", swiss, nil},
		{"anybody", "ap-south-1", "", s3err.InvalidLocationConstraint},
		{"european", "", east, nil},
		{"european", west, west, nil},
		{"european", "CH", "", s3err.InvalidLocationConstraint},
		{"helvetian", "", swiss, nil},
		{"helvetian", east, "", s3err.InvalidLocationConstraint},
		{"westerner", "EU", west, nil},
	} {
		u, err := s.e.Accounts().TenantByName(t.Context(), c.user)
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.e.Buckets().Create(t.Context(), fmt.Sprint("bucket-", i), c.constraint, u.ID)
		if c.refused != nil {
			if !errors.Is(err, c.refused) {
				t.Errorf("%s at %q: %v, want %v", c.user, c.constraint, err, c.refused)
			}
			continue
		}
		if err != nil || b.Backend != s.status(c.want).Row.ID {
			t.Errorf("%s at %q: on backend %d, %v; want %s", c.user, c.constraint, b.Backend, err, c.want)
		}
		before := blobsAt(t, s.at[c.want])
		if _, err := s.e.PutObject(t.Context(), engine.PutObject{Bucket: b, Key: "k", Owner: u.ID,
			Body: engine.Body{Reader: bytes.NewReader(body(1, 1000)), Size: 1000}}); err != nil {
			t.Fatal(err)
		}
		if blobsAt(t, s.at[c.want]) != before+1 {
			t.Errorf("%s at %q: the blob is not on %s", c.user, c.constraint, c.want)
		}
	}
	if err := s.e.Accounts().SetResidency(t.Context(), "anybody", "CH"); err != nil {
		t.Fatal(err)
	}
	u, err := s.e.Accounts().TenantByName(t.Context(), "anybody")
	if err != nil || u.Residency != "CH" {
		t.Fatalf("%+v, %v", u, err)
	}
	// Nobody meets it once the only one that does takes no more.
	if err := s.e.Blobs().DrainBackend(t.Context(), swiss, east); !errors.Is(err, s3err.InvalidArgument) || !strings.Contains(err.Error(), "bucket-4") {
		t.Errorf("draining against buckets' demands: %v", err)
	}
	s.wantClean(-1)
}

// With one backend of which nothing is said, any constraint is stored as before.
func TestPlacementOfOne(t *testing.T) {
	r := newRig(t)
	b, err := r.e.Buckets().Create(t.Context(), "another", "eu-central-1", r.e.Accounts().Root().ID)
	if err != nil || b.Region != "eu-central-1" || len(b.Residency) != 0 {
		t.Errorf("%+v, %v", b, err)
	}
}

// A copy brings bytes to where the bucket demands them, and moves none where they
// are right already.
func TestCopyAcrossResidency(t *testing.T) {
	s := newSeveralRig(t)
	eu, ch := s.bucket("european", "EU"), s.bucket("helvetian", "CH")
	data := body(1, 300_000)
	s.mustPut("k", data)
	first, last := body(2, 5<<20), body(3, 1000)
	u, err := s.e.CreateUpload(t.Context(), engine.CreateUpload{Bucket: s.b, Key: "multi", Owner: s.b.Owner})
	if err != nil {
		t.Fatal(err)
	}
	var parts []engine.CompletedPart
	for i, p := range [][]byte{first, last} {
		part, err := s.e.UploadPart(t.Context(), engine.UploadPart{Bucket: s.b, Key: "multi", Upload: u.ID, Number: i + 1,
			Body: engine.Body{Reader: bytes.NewReader(p), Size: int64(len(p))}})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, engine.CompletedPart{Number: i + 1, ETag: part.ETag})
	}
	if _, err := s.complete(u, parts...); err != nil {
		t.Fatal(err)
	}
	s.wantBlobs(map[string]int{east: 3})
	copyTo := func(b meta.Bucket, key string) engine.Object {
		t.Helper()
		o, err := s.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: s.b, SourceKey: key, Bucket: b, Key: key, Owner: b.Owner})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	shared := copyTo(eu, "multi")
	copyTo(eu, "k")
	s.wantBlobs(map[string]int{east: 3})
	o := copyTo(ch, "multi")
	copyTo(ch, "k")
	s.wantBlobs(map[string]int{east: 3, swiss: 2})
	if shared.Parts != 2 || o.Parts != 0 || o.Size != shared.Size || o.ETag == shared.ETag {
		t.Errorf("a copy of two parts: shared %+v, copied %+v", shared, o)
	}
	if o.Checksum == nil || o.Checksum.Type != engine.FullObject || o.Checksum.Algorithm != shared.Checksum.Algorithm {
		t.Errorf("checksum of the copy: %+v", o.Checksum)
	}
	// A part of which the whole blob could be shared.
	for b, want := range map[string]int{"european": 0, "helvetian": 1} {
		before := blobsAt(t, s.at[swiss])
		dst, err := s.e.Buckets().Get(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		u, err := s.e.CreateUpload(t.Context(), engine.CreateUpload{Bucket: dst, Key: "part", Owner: dst.Owner})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.e.CopyPart(t.Context(), engine.CopyPart{SourceBucket: s.b, SourceKey: "k", Bucket: dst, Key: "part", Upload: u.ID, Number: 1}); err != nil {
			t.Fatal(err)
		}
		if n := blobsAt(t, s.at[swiss]) - before; n != want {
			t.Errorf("a part copied into %s: %d new blobs on %s, want %d", b, n, swiss, want)
		}
	}
	s.delete("multi")
	s.delete("k")
	s.b = ch
	s.wantBody("k", data)
	s.wantBody("multi", append(bytes.Clone(first), last...))
	s.wantClean(-1)
}

// A configuration may not contradict the backends that the store knows.
func TestBackendsAtOpen(t *testing.T) {
	s := newSeveralRig(t)
	three := s.config.Backends
	open := func(bs ...blobs.Backend) error {
		c := s.config
		c.Backends, c.Default = bs, bs[0].Name
		e, err := engine.Open(t.Context(), c)
		if err == nil {
			e.Close()
		}
		return err
	}
	named := func(b blobs.Backend, name string) blobs.Backend { b.Name = name; return b }
	for what, c := range map[string]struct {
		bs   []blobs.Backend
		want string
	}{
		"missing":      {three[:2], `backend "west" is active and may hold objects, but is not configured`},
		"twice":        {append(slices.Clone(three), three[0]), "configured twice"},
		"shared":       {append(slices.Clone(three), named(three[1], "new")), "it is that of east"},
		"exchanged":    {[]blobs.Backend{named(three[0], east), named(three[1], swiss), three[2]}, blobs.ErrWrongBackend.Error()},
		"empty":        {[]blobs.Backend{three[0], three[1], {Name: west, Backend: mem.New()}}, blobs.ErrUnknownStorage.Error()},
		"without name": {append(slices.Clone(three), named(three[1], "")), "a name at least one"},
	} {
		if err := open(c.bs...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
	// A storage under two names, both of them new.
	one := mem.New()
	if err := open(append(slices.Clone(three), blobs.Backend{Name: "n1", Backend: one}, blobs.Backend{Name: "n2", Backend: one})...); !errors.Is(err, blobs.ErrWrongBackend) {
		t.Errorf("one storage under two new names: %v", err)
	}
	if n := blobsAt(t, one); n != markers-1 { // nothing is sealed there before it is proved
		t.Errorf("%d markers are left in it, want the first's", n)
	}
	r := newRig(t)
	c := r.config
	c.Backends = []blobs.Backend{{Name: "renamed", Backend: r.backend}}
	if _, err := engine.Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), `call it "local"`) {
		t.Errorf("the only backend renamed: %v", err)
	}
}

// A backend that is away does not keep a gateway from starting, nor the others
// from being used and collected; nothing is written to it until its marker was seen.
func TestBackendAway(t *testing.T) {
	s := newSeveralRig(t)
	ch := s.bucket("helvetian", "CH")
	plan := faults.NewPlan(1, faults.Rule{Err: backends.ErrUnavailable})
	s.config.Backends = slices.Clone(s.config.Backends)
	s.config.Backends[0].Backend = faults.Backend(s.at[swiss], plan)
	s.reopen()
	put := func(b meta.Bucket) error {
		_, err := s.e.PutObject(t.Context(), engine.PutObject{Bucket: b, Key: "k", Owner: b.Owner,
			Body: engine.Body{Reader: bytes.NewReader(body(1, 1000)), Size: 1000}})
		return err
	}
	if err := put(ch); !errors.Is(err, s3err.ServiceUnavailable) || !strings.Contains(err.Error(), swiss) {
		t.Errorf("%v, want ServiceUnavailable that names the backend", err)
	}
	if err := put(s.b); err != nil {
		t.Error(err)
	}
	if err := s.e.Ready(t.Context()); err != nil {
		t.Errorf("a backend that is away makes the gateway not ready: %v", err)
	}
	s.wantAway(swiss)
	if err := s.e.Beat(t.Context()); err != nil {
		t.Errorf("a beat: %v", err)
	}
	plan.Clear()
	if err := s.e.Beat(t.Context()); err != nil || !s.status(swiss).Proved {
		t.Errorf("it is back, and not in use: %v", err)
	}
	s.wantAway()
	if err := put(ch); err != nil {
		t.Error(err)
	}
	if _, err := s.e.DeleteObject(t.Context(), ch, engine.DeleteObject{Key: "k"}); err != nil {
		t.Fatal(err)
	}
	s.delete("k")
	plan.Add(faults.Rule{Err: backends.ErrUnavailable})
	if r, err := s.e.Blobs().Collect(t.Context()); err == nil || !strings.Contains(err.Error(), swiss) || r.Deleted != 1 {
		t.Errorf("collected %+v, %v; want one deleted, and an error of %s", r, err, swiss)
	}
	plan.Clear()
	s.wantClean(0)
	plan.Add(faults.Rule{Err: &backends.Throttled{After: 17 * time.Second}})
	var e *s3err.Error
	if err := put(ch); !errors.Is(err, s3err.SlowDown) || !errors.As(err, &e) || e.RetryAfter != 17*time.Second {
		t.Errorf("throttled: %v", err)
	}
	plan.Clear()
	plan.Add(faults.Rule{Err: backends.ErrDenied})
	if _, err := engine.Open(t.Context(), s.config); !errors.Is(err, backends.ErrDenied) {
		t.Errorf("opened although a backend denies access: %v", err)
	}
}

// A gateway that was not given a backend which another has says so, and serves
// the rest. With it, it needs no restart to see what was placed there.
func TestBackendOfAnotherGateway(t *testing.T) {
	r := newBareRig(t)
	r.config.Sole = false
	r.reopen()
	r.b = r.bucket("first-bucket", "")
	older := r.e
	t.Cleanup(func() { older.Close() })
	r.config.Backends = append(slices.Clone(r.config.Backends), blobs.Backend{Name: west, Backend: mem.New()})
	r.config.Default = "local"
	r.reopen()
	far, data := r.bucket("far-bucket", west), body(1, 1000)
	put := func(b meta.Bucket) error {
		_, err := r.e.PutObject(t.Context(), engine.PutObject{Bucket: b, Key: "k", Owner: b.Owner,
			Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
		return err
	}
	if err := put(far); err != nil {
		t.Fatal(err)
	}
	newer := r.e
	r.e = older
	near := r.b
	if err := put(far); !errors.Is(err, s3err.ServiceUnavailable) || !strings.Contains(err.Error(), west) {
		t.Errorf("a write to a backend that is not configured: %v", err)
	}
	r.b = far
	if _, err := r.get("k", nil); !errors.Is(err, s3err.ServiceUnavailable) || !strings.Contains(err.Error(), west) {
		t.Errorf("a read from a backend that is not configured: %v", err)
	}
	r.b = near
	if err := put(near); err != nil {
		t.Error(err)
	}
	r.wantBody("k", data)
	r.e = newer
	r.wantClean(2)
}

// stillClock is a clock for Config.Elapsed that a test moves.
type stillClock struct{ now atomic.Int64 }

func (c *stillClock) Elapsed() time.Duration  { return time.Duration(c.now.Load()) }
func (c *stillClock) advance(d time.Duration) { c.now.Add(int64(d)) }

// Two gateways on one store: one collects at a time, and takes the other for dead
// only when that shows no sign of life. A blob that it condemned is not
// committed.
func TestTwoGateways(t *testing.T) {
	r := newBareRig(t)
	clock := &stillClock{}
	r.config.Sole, r.config.Elapsed = false, clock.Elapsed
	r.reopen()
	r.b = r.bucket("first-bucket", "")
	first := r.e
	r.reopen()
	second := r.e
	t.Cleanup(func() { first.Close(); second.Close() })
	collect := func(e *engine.Engine, skipped bool) blobs.CollectReport {
		t.Helper()
		report, err := e.Blobs().Collect(t.Context())
		if err != nil || report.Skipped != skipped {
			t.Fatalf("collect: %+v, %v; want skipped %v", report, err, skipped)
		}
		return report
	}
	beat := func(e *engine.Engine) {
		t.Helper()
		if err := e.Beat(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	collect(first, false)
	collect(second, true)
	for range 30 { // both live for minutes
		clock.advance(10 * time.Second)
		beat(first)
		beat(second)
		collect(first, false)
		collect(second, true)
	}
	data := body(1, 200_000)
	_, err := first.PutObject(t.Context(), engine.PutObject{Bucket: r.b, Key: "k", Owner: r.b.Owner,
		Body: engine.Body{Size: int64(len(data)), Reader: &hookReader{data: data, hook: func() {
			collect(second, true)
			clock.advance(59 * time.Second) // the first is paused, but not for long enough
			collect(second, true)
			clock.advance(2 * time.Second)
			if c := collect(second, false); c.Condemned == 0 {
				t.Error("nothing was condemned")
			}
			for c := collect(second, false); c.More; c = collect(second, false) {
			}
		}}}})
	if !errors.Is(err, s3err.ServiceUnavailable) || !errors.Is(err, meta.ErrReservationLost) {
		t.Fatalf("%v, want a refused commit", err)
	}
	r.wantAbsent("k")
	beat(first)
	collect(first, true) // its lease is gone
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	collect(first, false)
	r.e = first
	r.mustPut("k", data) // although the rest of the pool was condemned as well
	r.wantBody("k", data)
	r.wantClean(1)
}

// One gateway collects without pause while the other writes.
func TestCollectWhileAnotherWrites(t *testing.T) {
	r := newBareRig(t)
	r.config.Sole = false
	r.reopen()
	r.b = r.bucket("first-bucket", "")
	writer := r.e
	r.reopen()
	collector := r.e
	t.Cleanup(func() { collector.Close(); writer.Close() })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		for ctx.Err() == nil {
			if _, err := collector.Blobs().Collect(ctx); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	r.e = writer
	for i := range 300 {
		r.mustPut(fmt.Sprint("k", i%7), body(uint64(i), 2000))
		r.wantBody(fmt.Sprint("k", i%7), body(uint64(i), 2000))
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.e = collector
	r.wantClean(7)
}
