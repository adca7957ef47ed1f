//go:build linux

package clustertest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/sanctum-storage/gateway/internal/topology"
)

const (
	workers      = 8
	keysEach     = 4 // keys of each worker at any time
	smallBody    = 32 << 10
	mediumBody   = 1 << 20
	partSize     = 5 << 20 // S3's least
	bucket       = "battle"
	requestLimit = time.Minute // after which a client gives up
	failurePause = 100 * time.Millisecond
	counters     = 2 // keys that all workers count up
)

// value is what an object may hold: a size and a content of its own. The zero
// value is no object.
type value struct {
	id   uint64
	size int
}

// battle is a bucket under load on real gateways, and what is known of it.
type battle struct {
	t       *testing.T
	seed    uint64
	top     *topology.Topology
	clients []*minio.Core // by gateway

	excused []atomic.Bool // by gateway: its requests may fail
	ended   atomic.Bool   // the workers are to end
	acks    atomic.Int64
	nextID  atomic.Uint64
	wg      sync.WaitGroup
	workers []*worker
	shared  shared

	mu     sync.Mutex
	counts map[string]int // acknowledged, by what
}

// worker does one thing at a time to keys of its own.
type worker struct {
	*battle
	id    int
	r     *rand.Rand
	slots [keysEach]*slot
	all   []*slot // those that were given up too
}

// slot is one key. One whose last request had no answer is left as it is, for
// the request may still be under way.
type slot struct {
	key   string
	acked value
	doubt *value // what the request without an answer would have made of it
}

func newBattle(t *testing.T, top *topology.Topology) *battle {
	t.Helper()
	b := &battle{t: t, seed: rand.Uint64(), top: top, counts: make(map[string]int), excused: make([]atomic.Bool, len(top.Gateways))}
	t.Logf("seed %d", b.seed)
	for _, g := range top.Gateways {
		transport := &http.Transport{MaxIdleConnsPerHost: workers}
		t.Cleanup(transport.CloseIdleConnections)
		c, err := minio.NewCore(strings.TrimPrefix(g.URL, "http://"), &minio.Options{
			Creds: credentials.NewStaticV4(top.AccessKey, top.SecretKey, ""), Region: topology.Region,
			BucketLookup: minio.BucketLookupPath, Transport: transport,
			MaxRetries: 1, // each answer is to be seen
		})
		must(t, err)
		b.clients = append(b.clients, c)
	}
	must(t, b.clients[0].MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{Region: topology.Region}))
	for id := range workers {
		w := &worker{battle: b, id: id, r: rand.New(rand.NewPCG(b.seed, uint64(id)))}
		b.workers = append(b.workers, w)
	}
	return b
}

// start lets the workers work until pause.
func (b *battle) start() {
	b.ended.Store(false)
	for _, w := range b.workers {
		b.wg.Go(func() {
			for !b.ended.Load() && !b.t.Failed() {
				w.step()
			}
		})
	}
}

func (b *battle) pause() {
	b.ended.Store(true)
	b.wg.Wait()
}

// pass waits until so many more requests were acknowledged.
func (b *battle) pass(n int64) {
	b.t.Helper()
	deadline := time.Now().Add(requestLimit)
	for end := b.acks.Load() + n; b.acks.Load() < end; time.Sleep(5 * time.Millisecond) {
		if b.t.Failed() {
			b.t.FailNow()
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("seed %d: no %d requests were acknowledged within %s", b.seed, n, requestLimit)
		}
	}
}

// content is a value's bytes.
func (b *battle) content(v value) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], b.seed)
	binary.LittleEndian.PutUint64(key[8:], v.id)
	body := make([]byte, v.size)
	rand.NewChaCha8(key).Read(body)
	return body
}

// step makes one request of a random kind to a random gateway.
func (w *worker) step() {
	gateway := w.r.IntN(len(w.clients))
	ctx, cancel := context.WithTimeout(w.t.Context(), requestLimit)
	defer cancel()
	before := w.excused[gateway].Load()
	var what string
	var err error
	switch p := w.r.IntN(100); {
	case p < 15:
		what, err = w.count(ctx, w.clients[gateway])
	case p < 25:
		what, err = w.race(ctx, w.clients[gateway])
	default:
		what, err = w.own(ctx, w.clients[gateway])
	}
	if err == nil {
		w.mu.Lock()
		w.counts[what]++
		w.mu.Unlock()
		w.acks.Add(1)
		return
	}
	if !before && !w.excused[gateway].Load() {
		w.t.Errorf("seed %d: gateway %d: %s: %v", w.seed, gateway+1, what, err)
	}
	time.Sleep(failurePause)
}

// own does something to one of the worker's keys.
func (w *worker) own(ctx context.Context, c *minio.Core) (what string, err error) {
	n := w.r.IntN(keysEach)
	s := w.slots[n]
	if s == nil || s.doubt != nil {
		s = &slot{key: fmt.Sprintf("worker%d/%d", w.id, len(w.all))}
		w.slots[n], w.all = s, append(w.all, s)
	}
	v := value{id: w.nextID.Add(1), size: w.r.IntN(smallBody)}
	there := s.acked != value{}
	what = "put"
	if there {
		what = "overwrite"
	}
	switch p := w.r.IntN(100); {
	case there && p < 25:
		return "read", w.holds(ctx, c, s.key, s.acked)
	case there && p < 38:
		what, v = "delete", value{}
		s.doubt = &v
		err = c.RemoveObject(ctx, bucket, s.key, minio.RemoveObjectOptions{})
	case there && p < 50:
		what, v = "copy", s.acked
		s.doubt = &v
		_, err = c.Client.CopyObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: s.key, ReplaceMetadata: true},
			minio.CopySrcOptions{Bucket: bucket, Object: s.key})
	case p < 54:
		what, v.size = "multipart", v.size+partSize
		err = w.multipart(ctx, c, s, v)
	default:
		if p < 65 {
			what, v.size = "large "+what, mediumBody+v.size
		}
		s.doubt = &v
		err = w.put(ctx, c, s.key, w.content(v), minio.PutObjectOptions{})
	}
	if err == nil {
		s.acked, s.doubt = v, nil
	}
	return what, err
}

func (w *worker) put(ctx context.Context, c *minio.Core, key string, body []byte, o minio.PutObjectOptions) error {
	o.DisableMultipart = true
	_, err := c.Client.PutObject(ctx, bucket, key, bytes.NewReader(body), int64(len(body)), o)
	return err
}

// multipart stores a value in two parts, each at another gateway than the last
// may be. An upload that fails before Complete was sent leaves no doubt.
func (w *worker) multipart(ctx context.Context, c *minio.Core, s *slot, v value) error {
	id, err := c.NewMultipartUpload(ctx, bucket, s.key, minio.PutObjectOptions{})
	if err != nil {
		return err
	}
	body := w.content(v)
	var parts []minio.CompletePart
	for i, part := range [][]byte{body[:partSize], body[partSize:]} {
		p, err := c.PutObjectPart(ctx, bucket, s.key, id, i+1, bytes.NewReader(part), int64(len(part)), minio.PutObjectPartOptions{})
		if err != nil {
			return err
		}
		parts = append(parts, minio.CompletePart{PartNumber: i + 1, ETag: p.ETag})
	}
	s.doubt = &v
	_, err = c.CompleteMultipartUpload(ctx, bucket, s.key, id, parts, minio.PutObjectOptions{})
	return err
}

// read returns an object's bytes and ETag; nothing where there is none.
func (b *battle) read(ctx context.Context, c *minio.Core, key string) (body []byte, etag string, err error) {
	r, info, _, err := c.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return nil, "", nil
	} else if err != nil {
		return nil, "", err
	}
	defer r.Close()
	body, err = io.ReadAll(r)
	return body, info.ETag, err
}

// errOther: a key holds what nobody may have written.
var errOther = errors.New("it holds something else")

// holds returns nil when a key holds exactly a value. That it holds another is
// the test's failure where only the key's owner writes to it, whatever else is
// excused.
func (b *battle) holds(ctx context.Context, c *minio.Core, key string, v value) error {
	body, etag, err := b.read(ctx, c, key)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if (etag == "") != (v == value{}) || !bytes.Equal(body, b.content(v)) {
		b.t.Errorf("seed %d: %s: %d bytes of ETag %q instead of %+v", b.seed, key, len(body), etag, v)
		return errOther
	}
	return nil
}

// settle finds out, once no request is under way, what became of each that had
// no answer: all of it or nothing.
func (b *battle) settle() {
	b.t.Helper()
	for _, w := range b.workers {
		for _, s := range w.all {
			if s.doubt == nil {
				continue
			}
			body, etag, err := b.read(b.t.Context(), b.clients[0], s.key)
			must(b.t, err)
			is := func(v value) bool { return (etag == "") == (v == value{}) && bytes.Equal(body, b.content(v)) }
			switch {
			case is(*s.doubt):
				s.acked = *s.doubt
				b.counts["in doubt: done"]++
			case is(s.acked):
				b.counts["in doubt: undone"]++
			default:
				b.t.Errorf("seed %d: %s holds %d bytes, neither the old %+v nor the new %+v", b.seed, s.key, len(body), s.acked, *s.doubt)
			}
			s.doubt = nil
			// Left alone from now on, so that whatever comes late is noticed.
			if i := slices.Index(w.slots[:], s); i >= 0 {
				w.slots[i] = nil
			}
		}
	}
}

// verify demands that every gateway shows what was acknowledged, byte by byte,
// and nothing else.
func (b *battle) verify() {
	b.t.Helper()
	want := map[string]int64{}
	for _, w := range b.workers {
		for i, s := range w.all {
			if err := b.holds(b.t.Context(), b.clients[(w.id+i)%len(b.clients)], s.key, s.acked); err != nil {
				b.t.Errorf("seed %d: acknowledged %+v: %v", b.seed, s.acked, err)
			}
			if s.acked != (value{}) {
				want[s.key] = int64(s.acked.size)
			}
		}
	}
	maps.Copy(want, b.verifyShared())
	for i, c := range b.clients {
		got := map[string]int64{}
		for o := range c.Client.ListObjects(b.t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
			must(b.t, o.Err)
			got[o.Key] = o.Size
		}
		if !maps.Equal(got, want) {
			b.t.Errorf("seed %d: gateway %d lists %v instead of %v", b.seed, i+1, got, want)
		}
	}
}
