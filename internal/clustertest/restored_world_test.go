//go:build linux

package clustertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/fs"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/backends/s3"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/postgres"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/s3err"
)

// ground is what a deployment of these tests stands on.
type ground struct{ store, backend string }

func (g ground) String() string { return g.store + " and " + g.backend }

// grounds are those that operators have, and the one that is fast.
var grounds = []ground{{"sqlite", "mem"}, {"sqlite", "folder"}, {"sqlite", "s3"}, {"postgres", "folder"}, {"postgres", "s3"}}

// storage is the S3 server that the tests of restored stores share.
var storage struct {
	sync.Once
	server *servers.S3Server
	err    error
	n      atomic.Int64
}

const storageBucket = "sealed"

func s3Storage(t *testing.T) *servers.S3Server {
	t.Helper()
	storage.Do(func() {
		dir := filepath.Join(folder, "s3")
		if storage.err = os.Mkdir(dir, 0o755); storage.err != nil {
			return
		}
		if storage.server, storage.err = servers.StartVersitygw(context.Background(), dir, filepath.Join(folder, "s3.log")); storage.err == nil {
			storage.err = storage.server.MakeBucket(context.Background(), storageBucket)
		}
	})
	must(t, storage.err)
	return storage.server
}

// world is a deployment whose store can be copied and put back, and what clients
// know of it.
type world struct {
	t        *testing.T
	ground   ground
	dir      string
	keys     encrypt.Provider
	backends []blobs.Backend
	clock    atomic.Int64
	copies   int
	bucket   meta.Bucket
	objects  map[string][]byte // as the latest store has them; nil: deleted
	upload   engine.Upload     // begun before the copy
	parts    []engine.CompletedPart
}

func newWorld(t *testing.T, g ground) *world {
	t.Helper()
	w := &world{t: t, ground: g, dir: t.TempDir(), objects: make(map[string][]byte)}
	var err error
	w.keys, err = keyring.Create(filepath.Join(w.dir, "keyring"), nil)
	must(t, err)
	t.Cleanup(func() { w.keys.Close() })
	for _, name := range []string{first, second} {
		b, err := w.openBackend(name)
		must(t, err)
		t.Cleanup(func() { b.Close() })
		w.backends = append(w.backends, blobs.Backend{Name: name, Backend: b})
	}
	return w
}

func (w *world) openBackend(name string) (backends.Backend, error) {
	switch w.ground.backend {
	case "folder":
		return fs.Open(filepath.Join(w.dir, name), fs.Options{})
	case "s3":
		s := s3Storage(w.t)
		return s3.Open(w.t.Context(), s3.Options{Endpoint: s.Endpoint, Bucket: storageBucket, Region: s.Region, Addressing: "path",
			AccessKey: s.AccessKey, SecretKey: s.SecretKey, Prefix: fmt.Sprint("world", storage.n.Add(1))})
	}
	return mem.New(), nil
}

// newStore is the name of an empty store.
func (w *world) newStore() string {
	w.t.Helper()
	if w.ground.store == "postgres" {
		return newDatabase(w.t)
	}
	w.copies++
	return filepath.Join(w.dir, fmt.Sprintf("store%d.db", w.copies))
}

func (w *world) openStore(name string) meta.Store {
	w.t.Helper()
	var s meta.Store
	var err error
	if w.ground.store == "postgres" {
		s, err = postgres.Open(w.t.Context(), database.server.URL(name), postgres.Options{MaxConnections: poolSize})
	} else {
		s, err = sqlite.Open(name, sqlite.Options{})
	}
	must(w.t, err)
	return s
}

// copyStore copies a store that is served, and at rest.
func (w *world) copyStore(name string) string {
	w.t.Helper()
	if w.ground.store == "postgres" {
		return w.copyDatabase(name)
	}
	to := w.newStore()
	for _, part := range []string{"", "-wal"} {
		data, err := os.ReadFile(name + part)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		must(w.t, err)
		must(w.t, os.WriteFile(to+part, data, 0o600))
	}
	return to
}

func (w *world) copyDatabase(name string) string {
	w.t.Helper()
	to := fmt.Sprint("restored", database.n.Add(1))
	must(w.t, database.server.Exec(w.t.Context(), "postgres", "CREATE DATABASE "+to))
	dump := exec.CommandContext(w.t.Context(), "pg_dump", "--no-owner", database.server.URL(name))
	load := exec.CommandContext(w.t.Context(), "psql", "--quiet", "-v", "ON_ERROR_STOP=1", database.server.URL(to))
	var said bytes.Buffer
	dump.Stderr, load.Stderr = &said, &said
	var err error
	load.Stdin, err = dump.StdoutPipe()
	must(w.t, err)
	must(w.t, load.Start())
	if err := errors.Join(dump.Run(), load.Wait()); err != nil {
		w.t.Fatalf("copy a database: %v\n%s", err, said.String())
	}
	return to
}

// gateway is an engine over a store of its own connections. The store below a running
// engine can be changed.
type gateway struct {
	*engine.Engine
	store  *changeable
	beside bool // the store is another gateway's to close
}

type changeable struct{ meta.Store }

func (w *world) config(store meta.Store, accept bool) engine.Config {
	return engine.Config{Store: store, Backends: w.backends, Default: first, Keys: w.keys, Grace: -1, AcceptStore: accept,
		Elapsed: func() time.Duration { return time.Duration(w.clock.Load()) }}
}

// open begins a gateway. It is killed at the end if it was not before.
func (w *world) open(name string, accept bool) (*gateway, error) {
	w.t.Helper()
	store := &changeable{w.openStore(name)}
	e, err := engine.Open(w.t.Context(), w.config(store, accept))
	if err != nil {
		must(w.t, store.Close())
		return nil, err
	}
	g := &gateway{Engine: e, store: store}
	w.t.Cleanup(g.kill)
	return g, nil
}

func (w *world) mustOpen(name string, accept bool) *gateway {
	w.t.Helper()
	g, err := w.open(name, accept)
	if err != nil {
		w.t.Fatalf("open: %v", err)
	}
	return g
}

// kill ends a gateway without a word to the store.
func (g *gateway) kill() {
	if !g.beside {
		g.store.Close()
	}
}

// stop ends it as a signal does.
func (w *world) stop(g *gateway) {
	w.t.Helper()
	must(w.t, g.Close())
	if !g.beside {
		must(w.t, g.store.Close())
	}
}

func (w *world) beat(g *gateway) {
	w.t.Helper()
	must(w.t, g.Beat(w.t.Context()))
}

// collect lets a gateway do all background work, after it has taken all others for
// dead.
func (w *world) collect(g *gateway) (r blobs.CollectReport) {
	w.t.Helper()
	for range 3 {
		w.beat(g)
		for more := true; more; {
			one, err := g.Blobs().Collect(w.t.Context())
			must(w.t, err)
			r.Condemned, r.Doubtful, r.Deleted, more = r.Condemned+one.Condemned, r.Doubtful+one.Doubtful, r.Deleted+one.Deleted, !one.Skipped && one != (blobs.CollectReport{})
		}
		w.clock.Add(int64(2 * time.Minute))
		w.beat(g)
	}
	return r
}

// data is the body of an object, by key.
func data(key string) []byte { return bytes.Repeat([]byte(key+" "), 3000) }

func (w *world) put(g *gateway, keys ...string) {
	w.t.Helper()
	for _, key := range keys {
		body := data(key)
		if strings.HasPrefix(key, "empty") {
			body = nil
		}
		w.write(g, key, body)
	}
}

func (w *world) write(g *gateway, key string, body []byte) {
	w.t.Helper()
	_, err := g.PutObject(w.t.Context(), engine.PutObject{Bucket: w.bucket, Key: key, Owner: w.bucket.Owner,
		Body: engine.Body{Reader: bytes.NewReader(body), Size: int64(len(body))}})
	must(w.t, err)
	w.objects[key] = append([]byte{}, body...)
}

func (w *world) delete(g *gateway, keys ...string) {
	w.t.Helper()
	for _, key := range keys {
		_, err := g.DeleteObject(w.t.Context(), w.bucket, engine.DeleteObject{Key: key})
		must(w.t, err)
		w.objects[key] = nil
	}
}

func (w *world) copyObject(g *gateway, from, to string) {
	w.t.Helper()
	_, err := g.CopyObject(w.t.Context(), engine.CopyObject{SourceBucket: w.bucket, SourceKey: from, Bucket: w.bucket, Key: to, Owner: w.bucket.Owner})
	must(w.t, err)
	w.objects[to] = w.objects[from]
}

// begin begins an upload with its first part.
func (w *world) begin(g *gateway, key string) {
	w.t.Helper()
	var err error
	w.upload, err = g.CreateUpload(w.t.Context(), engine.CreateUpload{Bucket: w.bucket, Key: key, Owner: w.bucket.Owner})
	must(w.t, err)
	w.parts = nil
	w.part(g)
}

func (w *world) part(g *gateway) {
	w.t.Helper()
	n := len(w.parts) + 1
	body := w.partBody(n)
	p, err := g.UploadPart(w.t.Context(), engine.UploadPart{Bucket: w.bucket, Key: w.upload.Key, Upload: w.upload.ID, Number: n,
		Body: engine.Body{Reader: bytes.NewReader(body), Size: int64(len(body))}})
	must(w.t, err)
	w.parts = append(w.parts, engine.CompletedPart{Number: n, ETag: p.ETag})
}

func (w *world) partBody(n int) []byte {
	if n == 1 { // no other than the last may be shorter
		return bytes.Repeat([]byte("part "), 1<<20+100)
	}
	return data(fmt.Sprint("part ", n))
}

// complete ends the upload.
func (w *world) complete(g *gateway) {
	w.t.Helper()
	_, err := g.CompleteUpload(w.t.Context(), engine.CompleteUpload{Bucket: w.bucket, Key: w.upload.Key, Upload: w.upload.ID, Size: -1, Parts: w.parts})
	must(w.t, err)
	var whole []byte
	for _, p := range w.parts {
		whole = append(whole, w.partBody(p.Number)...)
	}
	w.objects[w.upload.Key] = whole
}

// drain moves everything from the first backend to the second.
func (w *world) drain(g *gateway) {
	w.t.Helper()
	must(w.t, g.Blobs().DrainBackend(w.t.Context(), first, second))
	for more := true; more; {
		r, err := g.Blobs().Move(w.t.Context())
		must(w.t, err)
		more = r.More
	}
}

func (w *world) get(g *gateway, key string) ([]byte, error) {
	r, err := g.GetObject(w.t.Context(), engine.GetObject{Bucket: w.bucket, Key: key})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var got bytes.Buffer
	_, err = r.WriteTo(&got)
	return got.Bytes(), err
}

// wantAll demands every object as the latest store has it, and that fsck finds nothing
// lost.
func (w *world) wantAll(g *gateway) {
	w.t.Helper()
	for _, key := range slices.Sorted(maps.Keys(w.objects)) {
		want := w.objects[key]
		got, err := w.get(g, key)
		if want == nil {
			if !errors.Is(err, s3err.NoSuchKey) {
				w.t.Errorf("%s was deleted: %d bytes, %v", key, len(got), err)
			}
		} else if err != nil || !bytes.Equal(got, want) {
			w.t.Errorf("%s: %d bytes, %v; want %d bytes exactly", key, len(got), err, len(want))
		}
	}
	r, err := fsck.Run(w.t.Context(), g.Engine, fsck.Options{Deep: true})
	must(w.t, err)
	if r.Lost != 0 {
		w.t.Errorf("fsck: %+v", r.Findings)
	}
}

// stored are the names of all blobs of all backends that have a byte.
func (w *world) stored() map[backends.BlobID]bool {
	w.t.Helper()
	all := make(map[backends.BlobID]bool)
	for _, b := range w.backends {
		for info, err := range b.List(w.t.Context(), backends.BlobID{}) {
			must(w.t, err)
			if info.Size > 0 {
				all[info.ID] = true
			}
		}
	}
	return all
}

// wantStored demands that none of the blobs is gone.
func (w *world) wantStored(before map[backends.BlobID]bool) {
	w.t.Helper()
	now := w.stored()
	for id := range before {
		if !now[id] {
			w.t.Errorf("blob %v was deleted", id)
		}
	}
}
