//go:build linux

package s3

import (
	"io"
	"runtime"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/internal/servers"
)

// A stream costs the same memory whatever its length: what is alive on the heap
// while a large body goes through stays below a MiB, the buffers of net/http
// included.
func TestMemory(t *testing.T) {
	const size, most = 48 << 20, 1 << 20
	for _, s := range []*servers.S3Server{plainServer, tlsServer} {
		for name, single := range map[string]int64{"one PUT": 0, "parts": 16 << 20} {
			o := optionsFor(s)
			o.SingleLimit, o.PartSize = single, 24<<20
			b := mustOpen(t, o, nil)
			id := backends.NewBlobID()
			put := &heap{r: zeros{}, base: live()}
			if err := b.Put(t.Context(), id, io.LimitReader(put, size), size); err != nil {
				t.Fatal(err)
			}
			get := &heap{base: live()}
			rc, err := b.Get(t.Context(), id, 0, size)
			if err != nil {
				t.Fatal(err)
			}
			get.r = rc
			if _, err := io.Copy(io.Discard, get); err != nil {
				t.Error(err)
			}
			rc.Close()
			t.Logf("%s by %s: Put holds %d KiB, Get %d KiB", s.Endpoint, name, put.most>>10, get.most>>10)
			if put.most > most || get.most > most || put.samples < 4 || get.samples < 4 {
				t.Errorf("%s by %s: Put holds %d bytes, Get %d, want at most %d (%d and %d samples)",
					s.Endpoint, name, put.most, get.most, most, put.samples, get.samples)
			}
		}
	}
}

// heap measures what is alive each time some MiB have been read through it.
type heap struct {
	r          io.Reader
	base, most int64
	unseen     int
	samples    int
}

func (h *heap) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	if h.unseen += n; h.unseen > 8<<20 {
		h.unseen = 0
		h.samples++
		h.most = max(h.most, live()-h.base)
	}
	return n, err
}

func live() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
