package engine_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// newSeveralLifecycleRig is a lifecycleRig on the backends of a severalRig.
func newSeveralLifecycleRig(t *testing.T) (*lifecycleRig, *severalRig) {
	t.Helper()
	s := newSeveralRig(t)
	l := &lifecycleRig{rig: s.rig, now: time.Date(2030, 1, 15, 10, 30, 0, 0, time.UTC)}
	l.config.Now = func() time.Time { return l.now }
	l.reopen()
	return l, s
}

const toWest = `{"id":"w","enabled":true,"filter":{"prefix":"old/"},"transitions":[{"days":1,"class":"west"}]}`

func (r *rig) class(key string) string {
	r.t.Helper()
	o, err := r.e.HeadObject(r.t.Context(), engine.GetObject{Bucket: r.b, Key: key})
	if err != nil {
		r.t.Fatal(err)
	}
	return o.Object.StorageClass
}

func (r *rig) putClass(b meta.Bucket, key, class string, data []byte) error {
	_, err := r.e.PutObject(r.t.Context(), engine.PutObject{Bucket: b, Key: key, Owner: b.Owner, Attributes: engine.Attributes{StorageClass: class},
		Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
	return err
}

func TestTransitionToBackend(t *testing.T) {
	l, s := newSeveralLifecycleRig(t)
	large := body(1, 300_000)
	l.mustPut("old/a", large)
	l.mustPut("old/none", nil)
	l.mustPut("new", body(2, 1000))
	u := l.begin("old/parts", "", "")
	p := body(3, 5<<20)
	if _, err := l.complete(u, l.part(u, 1, p), l.part(u, 2, large)); err != nil {
		t.Fatal(err)
	}
	l.rules(toWest)
	l.now = l.now.Add(3 * oneDay)
	r := l.expire()
	if r.Moved != 3 || r.MovedBytes < 5<<20+600_000 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	for key, want := range map[string]string{"old/a": west, "old/none": west, "old/parts": west, "new": ""} {
		if got := l.class(key); got != want {
			t.Errorf("%s has class %q, want %q", key, got, want)
		}
	}
	l.wantBody("old/a", large)
	l.wantBody("old/parts", append(bytes.Clone(p), large...))
	l.wantClean(4)
	s.wantBlobs(map[string]int{east: 1, west: 3})
	page, err := l.e.ListObjects(t.Context(), meta.ListQuery{Bucket: l.b.ID, Prefix: "old/a", Limit: 1})
	if err != nil || page.Entries[0].StorageClass != west {
		t.Errorf("%+v, %v", page, err)
	}
	l.now = l.now.Add(oneDay)
	if r := l.expire(); r.Changed() != 0 || r.Failed != 0 {
		t.Errorf("the next day: %+v", r)
	}
}

// Bytes that are shared move for all who share them, unless a bucket demands that
// they stay.
func TestTransitionOfShared(t *testing.T) {
	for _, demand := range []string{"", "eu-east-1"} {
		l, s := newSeveralLifecycleRig(t)
		other := l.bucket("other-bucket", demand)
		data := body(1, 10_000)
		l.mustPut("old/a", data)
		if _, err := l.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: l.b, SourceKey: "old/a", Bucket: other, Key: "copy", Owner: other.Owner}); err != nil {
			t.Fatal(err)
		}
		l.rules(toWest)
		l.now = l.now.Add(3 * oneDay)
		r := l.expire()
		at := east
		if demand == "" {
			at = west
		}
		if wantMoved := map[string]int{east: 0, west: 1}[at]; r.Moved != wantMoved || r.Failed != 1-wantMoved {
			t.Errorf("demanding %q: %+v", demand, r)
		}
		l.wantBody("old/a", data)
		l.b, other = other, l.b
		l.wantBody("copy", data)
		l.wantClean(1)
		s.wantBlobs(map[string]int{at: 1})
	}
}

// A bucket that demands a place shares nothing with one whose rules lead elsewhere.
func TestNothingIsSharedWithWhatStrays(t *testing.T) {
	l, s := newSeveralLifecycleRig(t)
	l.mustPut("old/a", body(1, 10_000))
	l.rules(toWest)
	strict := l.bucket("strict-bucket", "eu-east-1")
	if _, err := l.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: l.b, SourceKey: "old/a", Bucket: strict, Key: "copy", Owner: strict.Owner}); err != nil {
		t.Fatal(err)
	}
	s.wantBlobs(map[string]int{east: 2})
	l.now = l.now.Add(3 * oneDay)
	if r := l.expire(); r.Moved != 1 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	l.wantClean(2)
	s.wantBlobs(map[string]int{east: 1, west: 1})
}

func TestTransitionIsRefused(t *testing.T) {
	l, _ := newSeveralLifecycleRig(t)
	l.b = l.bucket("strict-bucket", "eu-east-1")
	l.mustPut("old/a", body(1, 10_000))
	l.rules(toWest + `,{"id":"x","enabled":true,"filter":{"prefix":"tmp/"},"expiration":{"days":1}},
		{"id":"n","enabled":true,"filter":{"prefix":"no/"},"transitions":[{"days":1,"class":"nowhere"}]}`)
	l.mustPut("no/a", body(1, 10))
	l.mustPut("tmp/a", body(1, 10))
	l.now = l.now.Add(3 * oneDay)
	if r := l.expire(); r.Moved != 0 || r.Failed != 2 || r.Expired != 1 {
		t.Errorf("%+v", r)
	}
	if got := l.class("old/a"); got != "" {
		t.Errorf("its class is %q", got)
	}
	l.wantClean(2)
}

// A backend that is away keeps its objects from moving, and no others from being
// removed; once it is back they move.
func TestTransitionBackendAway(t *testing.T) {
	l, s := newSeveralLifecycleRig(t)
	plan := faults.NewPlan(1)
	for i := range l.config.Backends {
		if l.config.Backends[i].Name == west {
			l.config.Backends[i].Backend = faults.Backend(s.at[west], plan)
		}
	}
	l.reopen()
	l.mustPut("old/a", body(1, 10_000))
	l.mustPut("tmp/a", body(1, 10))
	l.rules(toWest + `,{"id":"x","enabled":true,"filter":{"prefix":"tmp/"},"expiration":{"days":1}}`)
	l.now = l.now.Add(3 * oneDay)
	plan.Add(faults.Rule{Op: "Put", Err: backends.ErrUnavailable})
	for range 10 { // a turn whose step failed goes on some minutes later
		l.e.Expire(t.Context())
		l.now = l.now.Add(10 * time.Minute)
	}
	l.wantVersions(map[string][]int64{"old/a": {10_000}})
	plan.Clear()
	l.now = l.now.Add(2 * hour)
	if r := l.expire(); r.Moved != 1 {
		t.Errorf("%+v", r)
	}
	l.wantClean(1)
	s.wantBlobs(map[string]int{west: 1})
}

// Every call of either backend and of the store fails in turn, on either side of
// its effect.
func TestTransitionEveryCallFails(t *testing.T) {
	for _, part := range []string{"store", east, west} {
		for _, when := range []faults.When{faults.Before, faults.After} {
			for n := 1; ; n++ {
				l, s := newSeveralLifecycleRig(t)
				data := body(uint64(n), 70_000)
				l.mustPut("old/a", data)
				l.rules(toWest)
				l.now = l.now.Add(3 * oneDay)
				plan := faults.NewPlan(uint64(n))
				if part == "store" {
					l.config.Store = faults.Store(l.store, plan)
				}
				for i, b := range l.config.Backends {
					if b.Name == part {
						l.config.Backends[i].Backend = faults.Backend(b.Backend, plan)
					}
				}
				l.reopen()
				plan.Add(faults.Rule{When: when, N: n})
				for range 10 {
					l.e.Expire(t.Context())
				}
				fired := plan.Fired()
				plan.Clear()
				l.now = l.now.Add(2 * hour)
				l.expire()
				l.wantBody("old/a", data)
				l.wantClean(1)
				s.wantBlobs(map[string]int{west: 1})
				if got := l.class("old/a"); got != west {
					t.Error(got)
				}
				if t.Failed() {
					t.Fatalf("%s call %d failed %v its effect", part, n, when)
				}
				if fired == 0 {
					if n < 2 {
						t.Fatalf("%s: only %d calls were swept", part, n)
					}
					break
				}
			}
		}
	}
}

// A class that names a backend places what is written.
func TestClassPlaces(t *testing.T) {
	l, s := newSeveralLifecycleRig(t)
	data := body(1, 70_000)
	if err := l.putClass(l.b, "put", west, data); err != nil {
		t.Fatal(err)
	}
	if _, err := l.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: l.b, SourceKey: "put", Bucket: l.b, Key: "copy", Owner: l.b.Owner,
		Attributes: engine.Attributes{StorageClass: swiss}}); err != nil {
		t.Fatal(err)
	}
	u, err := l.e.CreateUpload(t.Context(), engine.CreateUpload{Bucket: l.b, Key: "parts", Owner: l.b.Owner, Attributes: engine.Attributes{StorageClass: west}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.complete(u, l.part(u, 1, data)); err != nil {
		t.Fatal(err)
	}
	s.wantBlobs(map[string]int{west: 2, swiss: 1})
	for key, want := range map[string]string{"put": west, "copy": swiss, "parts": west} {
		if got := l.class(key); got != want {
			t.Errorf("%s has class %q, want %q", key, got, want)
		}
		l.wantBody(key, data)
	}
	strict := l.bucket("strict-bucket", "eu-east-1")
	for _, body := range [][]byte{data, nil} {
		if err := l.putClass(strict, "k", west, body); !errors.Is(err, s3err.InvalidStorageClass) {
			t.Errorf("outside its residency: %v", err)
		}
	}
	if _, err := l.e.CreateUpload(t.Context(), engine.CreateUpload{Bucket: strict, Key: "k", Owner: strict.Owner, Attributes: engine.Attributes{StorageClass: west}}); !errors.Is(err, s3err.InvalidStorageClass) {
		t.Errorf("an upload outside its residency: %v", err)
	}
	l.wantClean(3)
}

// With one backend its name is a class as well, and nothing has to move.
func TestClassOfTheOnlyBackend(t *testing.T) {
	r := newRig(t)
	if err := r.putClass(r.b, "k", "local", body(1, 100)); err != nil {
		t.Fatal(err)
	}
	if !r.e.PlaceClass("local") || r.e.PlaceClass("STANDARD") || r.e.PlaceClass("nowhere") {
		t.Error("what is a class is not the backend's name alone")
	}
	r.wantClean(1)
}
