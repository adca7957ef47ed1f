//go:build linux

package clustertest

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// beatEvery is far below the minute after which a silent gateway is taken for
	// dead, and longPause above it.
	beatEvery = 20 * time.Second
	longPause = 2 * time.Minute
)

// pausable is a cluster of which the first engine can be stopped in the middle of
// a request, and whose clock is the test's.
type pausable struct {
	*cluster
	clock atomic.Int64
	plan  *faults.Plan // of the first engine's way to the first backend
}

func newPausable(t *testing.T) *pausable {
	t.Helper()
	p := &pausable{cluster: newCluster(t), plan: faults.NewPlan(0)}
	p.open(p.url(), -1, func(i int, c *engine.Config) {
		c.Elapsed = func() time.Duration { return time.Duration(p.clock.Load()) }
		if i == 0 {
			c.Backends = append([]blobs.Backend{}, p.backends...)
			c.Backends[0].Backend = faults.Backend(c.Backends[0].Backend, p.plan)
		}
	})
	return p
}

// pause lets the first engine's next write to the backend reach it, and then time pass
// for all but that engine, until the others have taken it for dead. They keep the blobs
// that it wrote, which are in doubt, and condemn those that it had only reserved.
func (p *pausable) pause() {
	p.plan.Add(faults.Rule{Op: faults.OpPut, When: faults.After, N: 1, Hook: func() {
		doubtful := 0
		before := p.stored()
		condemned, deleted := 0, 0
		for now := time.Duration(0); now <= longPause; now += beatEvery {
			for _, e := range p.engines[1:] {
				if err := e.Beat(p.t.Context()); err != nil {
					p.t.Error(err)
				}
				for more := true; more; {
					r, err := e.Blobs().Collect(p.t.Context())
					if err != nil {
						p.t.Error(err)
					}
					condemned, deleted, more = condemned+r.Condemned, deleted+r.Deleted, r.More
					doubtful += r.Doubtful
				}
			}
			if now < longPause/4 && condemned > 0 {
				p.t.Errorf("condemned after %s", now)
			}
			p.clock.Add(int64(beatEvery))
		}
		if condemned == 0 || deleted == 0 || doubtful != 1 || p.stored() != before-overwritten {
			p.t.Errorf("%d condemned, %d deleted and %d kept while a gateway was paused; %d blobs of %d are left", condemned, deleted, doubtful, p.stored(), before)
		}
	}})
}

// stored is how many blobs the first backend has, its marker included.
func (p *pausable) stored() (n int) {
	for _, err := range p.backends[0].List(p.t.Context(), backends.BlobID{}) {
		if err != nil {
			p.t.Error(err)
		}
		n++
	}
	return n
}

func (p *pausable) put(e *engine.Engine, key string, data []byte) error {
	_, err := e.PutObject(p.t.Context(), engine.PutObject{Bucket: p.bucket, Key: key, Owner: p.bucket.Owner,
		Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
	return err
}

func (p *pausable) wantBody(key string, want []byte) {
	p.t.Helper()
	for i, e := range p.engines {
		r, err := e.GetObject(p.t.Context(), engine.GetObject{Bucket: p.bucket, Key: key})
		if err != nil {
			p.t.Fatalf("engine %d: %s: %v", i, key, err)
		}
		var got bytes.Buffer
		_, err = r.WriteTo(&got)
		r.Close()
		if err != nil || !bytes.Equal(got.Bytes(), want) {
			p.t.Errorf("engine %d: %s: %d bytes, %v; want %d bytes", i, key, got.Len(), err, len(want))
		}
	}
}

// A gateway that stands still between its write to the backend and its commit,
// for so long that the others take it for dead, is refused the commit, and sees to what
// it wrote; what was there before stays, and the gateway works on.
func TestPausedGateway(t *testing.T) {
	old, lost, next := bytes.Repeat([]byte("old"), 50_000), bytes.Repeat([]byte("lost"), 50_000), bytes.Repeat([]byte("next"), 50_000)
	for name, write := range map[string]func(*pausable, []byte) error{
		"put": func(p *pausable, data []byte) error { return p.put(p.engines[0], "key", data) },
		"conditional put": func(p *pausable, data []byte) error {
			_, err := p.engines[0].PutObject(p.t.Context(), engine.PutObject{Bucket: p.bucket, Key: "key", Owner: p.bucket.Owner,
				Conditions: engine.Conditions{IfMatch: plainTag(old)},
				Body:       engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
			return err
		},
		"part": putByPart,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPausable(t)
			for i, e := range p.engines {
				must(t, p.put(e, "key", old))
				must(t, p.put(e, fmt.Sprint("other", i), old))
			}
			p.pause()
			if err := write(p, lost); !errors.Is(err, s3err.ServiceUnavailable) || !errors.Is(err, meta.ErrReservationLost) {
				t.Errorf("%v, want the commit refused with ServiceUnavailable", err)
			}
			if p.plan.Fired() != 1 {
				t.Errorf("paused %d times", p.plan.Fired())
			}
			p.wantBody("key", old)
			for i := range p.engines {
				p.wantBody(fmt.Sprint("other", i), old)
			}
			must(t, write(p, next)) // as its client would at once, with the rest of the pool condemned too
			p.wantBody("key", next)
			must(t, p.close())
			p.wantClean()
		})
	}
}

// overwritten is how many objects each test has put and replaced before the pause, which
// are deleted in it.
const overwritten = engines - 1

// putByPart makes the object of one part, which the first engine takes.
func putByPart(p *pausable, data []byte) error {
	u, err := p.engines[1].CreateUpload(p.t.Context(), engine.CreateUpload{Bucket: p.bucket, Key: "key", Owner: p.bucket.Owner})
	if err != nil {
		return err
	}
	part, err := p.engines[0].UploadPart(p.t.Context(), engine.UploadPart{Bucket: p.bucket, Key: "key", Upload: u.ID, Number: 1,
		Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
	if err != nil {
		return errors.Join(err, p.engines[2].AbortUpload(p.t.Context(), p.bucket, "key", u.ID, time.Time{}))
	}
	_, err = p.engines[2].CompleteUpload(p.t.Context(), engine.CompleteUpload{Bucket: p.bucket, Key: "key", Upload: u.ID, Size: -1,
		Parts: []engine.CompletedPart{{Number: 1, ETag: part.ETag}}})
	return err
}
