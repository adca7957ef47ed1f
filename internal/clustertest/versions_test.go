//go:build linux

package clustertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/history"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// versionSteps are the requests of each client.
const versionSteps = 12

// versionLoad is what all clients of a history of versions share. made is guarded
// by load.mu.
type versionLoad struct {
	*load
	made map[string][]string // by key: versions and markers that were acknowledged
}

// versionClient makes requests at random, each to another engine than the last may
// be.
type versionClient struct {
	*versionLoad
	r    *rand.Rand
	id   int
	n    int
	seen map[string]string // by key: the ETag that the client read or wrote last
}

// With versions kept, and while one client suspends and enables that, there is
// still one order that explains all that three gateways say: of what is current,
// of every version by its name, and of the list of all.
func TestHistoriesOfVersions(t *testing.T) {
	start := rand.Uint64()
	all := &tally{counts: make(map[string]int)}
	t.Run("seeds", func(t *testing.T) {
		for i := range uint64(versionSeeds) {
			t.Run(fmt.Sprint(start+i), func(t *testing.T) {
				t.Parallel()
				runVersions(t, start+i, int(i), all)
			})
		}
	})
	t.Logf("%v; %d blobs moved, %d collected", all.counts, all.moved, all.gone)
	for _, kind := range []history.Kind{history.Get, history.Put, history.PutNew, history.PutIf, history.Delete, history.DeleteIf,
		history.GetVersion, history.DeleteVersion, history.ListVersions, history.Enable, history.Suspend} {
		if all.counts[string(kind)+": done"] == 0 {
			t.Errorf("no %s succeeded in any history", kind)
		}
	}
	for _, kind := range []history.Kind{history.PutNew, history.PutIf, history.DeleteIf} {
		if all.counts[string(kind)+": refused"] == 0 {
			t.Errorf("no %s was refused in any history", kind)
		}
	}
	if all.gone == 0 {
		t.Error("nothing was collected meanwhile")
	}
}

// runVersions makes one history. i chooses what disturbs it.
func runVersions(t *testing.T, seed uint64, i int, all *tally) {
	c := newCluster(t)
	l := &versionLoad{load: &load{c: c, counts: make(map[string]int), keys: []string{"key0", "key1", "key2"}}, made: make(map[string][]string)}
	c.open(c.url(), -1, func(int, *engine.Config) {})
	must(t, c.engines[0].Buckets().SetVersioning(t.Context(), c.bucket, meta.VersioningEnabled))
	b, err := c.engines[0].Buckets().Get(t.Context(), c.bucket.Name)
	must(t, err)
	c.bucket = b
	report := l.drive(seed, i%3 == 1, func(ctx context.Context, id int, r *rand.Rand) {
		c := &versionClient{versionLoad: l, r: r, id: id, seen: make(map[string]string)}
		for range versionSteps {
			c.step(ctx)
		}
	})
	for i, e := range c.engines {
		last := &versionClient{versionLoad: l, id: clients + i, seen: make(map[string]string)}
		last.list(t.Context(), e)
		for _, key := range l.keys {
			last.get(t.Context(), e, key, "")
			for _, version := range l.made[key] {
				last.get(t.Context(), e, key, version)
			}
		}
	}
	if err := history.CheckVersions(t.ArtifactDir(), seed, l.log.Operations()); err != nil {
		t.Error(err)
	}
	if err := c.close(); err != nil {
		t.Errorf("seed %d: close: %v", seed, err)
	}
	c.wantClean()
	all.add(func() {
		sum(all.counts, l.counts)
		all.moved += report.moved
		all.gone += report.deleted
	})
}

func (c *versionClient) engine() *engine.Engine { return c.c.engines[c.r.IntN(engines)] }

func (c *versionClient) step(ctx context.Context) {
	c.n++
	key := c.keys[c.r.IntN(len(c.keys))]
	p := c.r.IntN(100)
	if p >= 27 && p < 37 || p >= 49 && p < 55 { // conditions that mostly hold
		c.get(ctx, c.engine(), key, "")
	}
	old := c.seen[key]
	if old == "" {
		old = plainTag([]byte("what never was"))
	}
	switch {
	case c.id == 0 && p < 30:
		c.versioning(ctx, []history.Kind{history.Enable, history.Suspend}[c.r.IntN(2)])
	case p < 20:
		c.put(ctx, history.Put, key, "")
	case p < 27:
		c.put(ctx, history.PutNew, key, "")
	case p < 37:
		c.put(ctx, history.PutIf, key, old)
	case p < 49:
		c.delete(ctx, history.VersionRequest{Kind: history.Delete, Key: key})
	case p < 55:
		c.delete(ctx, history.VersionRequest{Kind: history.DeleteIf, Key: key, Old: old})
	case p < 68:
		c.delete(ctx, history.VersionRequest{Kind: history.DeleteVersion, Key: key, Version: c.some(key)})
	case p < 78:
		c.get(ctx, c.engine(), key, "")
	case p < 90:
		c.get(ctx, c.engine(), key, c.some(key))
	default:
		c.list(ctx, c.engine())
	}
}

// some is a version of the key that somebody made, the null version, or one of
// another key.
func (c *versionClient) some(key string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := key
	if c.r.IntN(10) == 0 {
		from = c.keys[c.r.IntN(len(c.keys))]
	}
	if n := len(c.made[from]); n > 0 && c.r.IntN(5) > 0 {
		return c.made[from][c.r.IntN(n)]
	}
	return history.Null
}

// note puts an answer into the history, unless the request certainly had no effect.
func (c *versionClient) note(call int64, in history.VersionRequest, out history.VersionAnswer, err error) {
	what, write := "done", in.Kind != history.Get && in.Kind != history.GetVersion && in.Kind != history.ListVersions
	switch {
	case err == nil:
	case write && (errors.Is(err, s3err.PreconditionFailed) || errors.Is(err, s3err.NoSuchKey)):
		what, out = "refused", history.VersionAnswer{Refused: true}
	case errors.Is(err, s3err.ConditionalRequestConflict), errors.Is(err, s3err.OperationAborted):
		what = "not decided"
	default:
		what = "failed"
		c.c.t.Errorf("%s %s %s: %v", in.Kind, in.Key, in.Version, err)
	}
	c.mu.Lock()
	c.counts[string(in.Kind)+": "+what]++
	if what == "done" && out.Version != "" && write && out.Version != history.Null {
		c.made[in.Key] = append(c.made[in.Key], out.Version)
	}
	c.mu.Unlock()
	if what == "done" || what == "refused" {
		c.log.ReturnVersions(c.id, call, in, out)
	}
}

func (c *versionClient) versioning(ctx context.Context, kind history.Kind) {
	v := meta.VersioningEnabled
	if kind == history.Suspend {
		v = meta.VersioningSuspended
	}
	call := c.log.Call()
	err := c.engine().Buckets().SetVersioning(ctx, c.c.bucket, v)
	c.note(call, history.VersionRequest{Kind: kind}, history.VersionAnswer{}, err)
}

func (c *versionClient) put(ctx context.Context, kind history.Kind, key, old string) {
	data := fmt.Appendf(nil, "%d/%d %0*d", c.id, c.n, c.r.IntN(4)/3*largeBody, 0)
	in := history.VersionRequest{Kind: kind, Key: key, Value: plainTag(data), Old: old}
	call := c.log.Call()
	o, err := c.engine().PutObject(ctx, engine.PutObject{Bucket: c.c.bucket, Key: key, Owner: c.c.bucket.Owner,
		Conditions: conditions(history.Request{Kind: kind, Old: old}), Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
	c.note(call, in, history.VersionAnswer{Version: o.Version.String()}, err)
	if err == nil {
		c.seen[key] = in.Value
	}
}

func (c *versionClient) delete(ctx context.Context, in history.VersionRequest) {
	d := engine.DeleteObject{Key: in.Key, Owner: c.c.bucket.Owner, IfMatch: in.Old}
	if in.Version != "" {
		var err error
		d.Version, err = engine.ParseVersion(in.Version)
		must(c.c.t, err)
	}
	call := c.log.Call()
	done, err := c.engine().DeleteObject(ctx, c.c.bucket, d)
	out := history.VersionAnswer{Version: done.Version.String()}
	if in.Version != "" {
		out = history.VersionAnswer{Marker: done.Marker}
	} else if err == nil && !done.Marker {
		c.c.t.Errorf("deleting %s made no marker: %+v", in.Key, done)
	}
	c.note(call, in, out, err)
}

// get reads what a key holds, or the version that is named.
func (c *versionClient) get(ctx context.Context, e *engine.Engine, key, version string) {
	in := history.VersionRequest{Kind: history.Get, Key: key, Version: version}
	g := engine.GetObject{Bucket: c.c.bucket, Key: key}
	if version != "" {
		in.Kind = history.GetVersion
		var err error
		g.Version, err = engine.ParseVersion(version)
		must(c.c.t, err)
	}
	call := c.log.Call()
	var out history.VersionAnswer
	var err error
	for range maxReads {
		if out, err = c.read(ctx, e, g); !errors.Is(err, backends.ErrNotFound) {
			break
		}
	}
	switch {
	case errors.Is(err, s3err.NoSuchKey), errors.Is(err, s3err.NoSuchVersion):
		out, err = history.VersionAnswer{}, nil
	case version != "" && errors.Is(err, s3err.MethodNotAllowed):
		out, err = history.VersionAnswer{Marker: true}, nil
	}
	c.note(call, in, out, err)
	if err == nil && version == "" {
		c.seen[key] = out.Value
	}
}

func (c *versionClient) read(ctx context.Context, e *engine.Engine, g engine.GetObject) (out history.VersionAnswer, err error) {
	r, err := e.GetObject(ctx, g)
	if err != nil {
		return out, err
	}
	defer r.Close()
	var data bytes.Buffer
	if _, err := r.WriteTo(&data); err != nil {
		return out, err
	}
	if etag := plainTag(data.Bytes()); etag != r.Object.ETag {
		c.c.t.Errorf("%s: %d bytes of ETag %s are sent as %s", g.Key, data.Len(), etag, r.Object.ETag)
	}
	return history.VersionAnswer{Version: r.Object.Version.String(), Value: r.Object.ETag}, nil
}

// list is a look at every version of every key.
func (c *versionClient) list(ctx context.Context, e *engine.Engine) {
	call := c.log.Call()
	page, err := e.ListVersions(ctx, meta.VersionQuery{Bucket: c.c.bucket.ID, Limit: meta.MaxPage})
	if page.More {
		c.c.t.Error("a page is too short for the history")
	}
	all, listed := make(map[string][]history.KeptVersion), make(map[string]bool)
	for _, v := range page.Entries {
		if v.Latest != (len(all[v.Key]) == 0) || v.Marker != (v.ETag == "") || v.Latest != v.Displaced.IsZero() {
			c.c.t.Errorf("listed after %d versions of its key: %+v", len(all[v.Key]), v)
		}
		if name := v.Key + " " + v.Version.String(); listed[name] {
			c.c.t.Errorf("%s is listed twice", name)
		} else {
			listed[name] = true
		}
		all[v.Key] = append(all[v.Key], history.KeptVersion{Version: v.Version.String(), Value: v.ETag})
	}
	for _, key := range c.keys {
		c.note(call, history.VersionRequest{Kind: history.ListVersions, Key: key}, history.VersionAnswer{All: all[key]}, err)
	}
}
