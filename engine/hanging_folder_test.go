package engine_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
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
