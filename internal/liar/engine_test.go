package liar

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends/guard"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
)

// of finds a lie by its name.
func of(t *testing.T, name string) Lie {
	t.Helper()
	for _, l := range Lies() {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("there is no lie %q", name)
	return Lie{}
}

// beside is a gateway over a liar and an honest backend, with a bucket in each.
type beside struct {
	t         *testing.T
	s         *Server
	g         *gatewaytest.Gateway
	bad, good meta.Bucket
	bodies    map[string][]byte // in both
}

func newBeside(t *testing.T) *beside {
	b := &beside{t: t, s: Start(t), bodies: map[string][]byte{}}
	// The engine also calls the server where it does not lie, beside other tests.
	guarded := guard.New(openMinIO(t, b.s, 5*patience), guard.Options{Timeout: time.Second, DeleteTimeout: time.Second,
		StallTimeout: time.Second})
	b.g = gatewaytest.Start(t, gatewaytest.Options{Default: "bad", Backends: []blobs.Backend{
		{Name: "good", Backend: mem.New(), Jurisdiction: "XX"}, {Name: "bad", Backend: guarded}}})
	var err error
	if b.good, err = b.g.Engine.Buckets().Create(t.Context(), "in-good", "XX", b.g.Engine.Accounts().Root().ID); err != nil {
		t.Fatal(err)
	}
	if b.bad, err = b.g.Engine.Buckets().Create(t.Context(), "in-bad", "", b.g.Engine.Accounts().Root().ID); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *beside) put(bucket meta.Bucket, key string, body []byte) error {
	_, err := b.g.Engine.PutObject(b.t.Context(), engine.PutObject{Bucket: bucket, Key: key, Owner: b.g.Engine.Accounts().Root().ID,
		Body: engine.Body{Reader: bytes.NewReader(body), Size: int64(len(body))}})
	return err
}

func (b *beside) get(bucket meta.Bucket, key string) ([]byte, error) {
	r, err := b.g.Engine.GetObject(b.t.Context(), engine.GetObject{Bucket: bucket, Key: key})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out bytes.Buffer
	_, err = io.Copy(&out, r)
	return out.Bytes(), err
}

// A backend that lies costs what it holds at most: the other's objects are
// written and read meanwhile, nothing false is served, and collecting, draining
// and checking end.
func TestBesideALiar(t *testing.T) {
	for call, names := range map[string][]string{
		Put: {"an error in a success", "stored something else", "an endless body", "more cookies than fit", "a slow error", "a redirect"},
		Get: {"half the answer", "a slow body", "longer", "other bytes", "many cookies", "an endless body", "endless headers",
			"no such range", "all for a part", "another range, told as the right one", "gzip by the name of it"},
		Stat:   {"an endless body", "a huge object", "silence", "another size"},
		List:   {"empty pages for ever", "endless contents", "endless depth", "the same page for ever", "twice"},
		Bulk:   {"endless errors of keys", "says nothing of keys", "deleted, and not", "an error of another's", "a slow body"},
		Delete: {"deleted, and not", "endless headers", "hanging up"},
	} {
		for _, name := range names {
			t.Run(call+"/"+name, func(t *testing.T) {
				b := newBeside(t)
				for key, n := range map[string]int{"small": 5000, "large": 200_000} {
					body := random(n)
					for _, bucket := range []meta.Bucket{b.good, b.bad} {
						if err := again503(func() error { return b.put(bucket, key, body) }); err != nil {
							t.Fatal(err)
						}
					}
					b.bodies[key] = body
				}
				b.s.Tell(call, of(t, name))
				b.live()
				b.drain()
				b.s.Tell("", Lie{})
				for key, want := range b.bodies {
					var got []byte
					err := again503(func() (err error) { got, err = b.get(b.bad, key); return err })
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%s after the lies: %d bytes, %v", key, len(got), err)
					}
				}
				if r, err := fsck.Run(t.Context(), b.g.Engine, fsck.Options{Deep: true}); err != nil || r.Lost > 0 {
					t.Errorf("fsck after the lies: %+v, %v", r, err)
				}
				if b.s.Cookies.Load() > 0 || b.s.Stolen.Load() > 0 {
					t.Errorf("%d cookies came back, %d redirects were followed", b.s.Cookies.Load(), b.s.Stolen.Load())
				}
			})
		}
	}
}

// again503 waits for a breaker to let calls through again.
func again503(f func() error) (err error) {
	for range 100 {
		if err = f(); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

// live is a gateway's life while the liar lies.
func (b *beside) live() {
	t, e := b.t, b.g.Engine
	other := random(3000)
	if b.put(b.bad, "new", other) == nil {
		b.bodies["new"] = other
		defer func() {
			if err := b.put(b.good, "new", other); err != nil {
				t.Errorf("the honest backend's bucket: %v", err)
			}
		}()
	}
	for key, want := range b.bodies {
		if got, err := b.get(b.bad, key); err == nil && !bytes.Equal(got, want) {
			t.Errorf("%s is served with %d other bytes", key, len(got))
		}
		if key == "new" {
			continue
		}
		if got, err := b.get(b.good, key); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s of the honest backend: %d bytes, %v", key, len(got), err)
		}
	}
	if err := b.put(b.good, "meanwhile", other); err != nil {
		t.Errorf("a write to the honest backend: %v", err)
	}
	// These may say of the liar whatever they find; the test counts on their end.
	_, _ = e.Blobs().Collect(t.Context())
	_, _ = fsck.Run(t.Context(), e, fsck.Options{Deep: true})
}

// drain moves what the liar has to the honest backend, as far as that can be.
func (b *beside) drain() {
	t, e := b.t, b.g.Engine
	if err := e.Blobs().DrainBackend(t.Context(), "bad", "good"); err != nil {
		t.Errorf("the liar is not drained: %v", err)
	}
	for range 2 {
		_, _ = e.Blobs().Move(t.Context())
		_, _ = e.Blobs().Collect(t.Context())
	}
	_ = e.Blobs().CancelDrain(t.Context(), "bad") // it may be empty by now, and retired
}
