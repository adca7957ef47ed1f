//go:build linux

package clustertest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/history"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/weakhash"
)

const (
	largeBody = 70_000 // more than a segment
	// maxReads is how often an object is read whose bytes were collected under
	// the reader, because it was replaced and there is no grace.
	maxReads = 50
)

// load is what all clients of one history share.
type load struct {
	c       *cluster
	log     history.Log
	keys    []string
	resting map[string]bool // those of the keys that are mostly read
	faulty  bool            // requests may fail that nobody is to blame for

	mu      sync.Mutex
	bodies  map[string]bool // ETags of all that was ever sent
	uploads []upload        // ready to be completed, or completed already
	counts  map[string]int  // answers, by kind of request and of answer
}

// upload is a multipart upload of one part. Anybody may complete it.
type upload struct {
	id      meta.ID
	request history.Request
	part    engine.CompletedPart
}

// client makes requests at random, each to another engine than the last may be.
type client struct {
	*load
	r    *rand.Rand
	id   int
	n    int               // requests so far
	seen map[string]string // by key: the ETag that the client read or wrote last
}

func (c *client) engine() *engine.Engine { return c.c.engines[c.r.IntN(engines)] }

// body is one that nobody else sends.
func (c *client) body() []byte {
	return fmt.Appendf(nil, "%d/%d %0*d", c.id, c.n, c.r.IntN(4)/3*largeBody, 0)
}

// send makes an ETag known before its body is sent: nobody may read another.
func (c *client) send(etag string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies[etag] = true
	return etag
}

func plainTag(data []byte) string {
	sum := weakhash.MD5(data)
	return hex.EncodeToString(sum[:])
}

// partTag is the ETag of an object of one part.
func partTag(data []byte) string {
	sum := weakhash.MD5(data)
	return plainTag(sum[:]) + "-1"
}

// step makes one request, or several that belong together.
func (c *client) step(ctx context.Context) {
	c.n++
	key := c.keys[c.r.IntN(len(c.keys))]
	old := c.seen[key]
	if old == "" {
		old = plainTag([]byte("what never was"))
	}
	switch p := c.r.IntN(100); {
	case p < 14, c.resting[key] && c.r.IntN(8) > 0:
		c.get(ctx, c.engine(), key)
	case p < 20:
		c.head(ctx, key)
	case p < 27:
		c.list(ctx)
	case p < 40:
		c.put(ctx, history.Put, key, "")
	case p < 50:
		c.put(ctx, history.PutNew, key, "")
	case p < 60:
		c.put(ctx, history.PutIf, key, old)
	case p < 67:
		c.delete(ctx, history.Delete, key, "")
	case p < 72:
		c.delete(ctx, history.DeleteIf, key, old)
	case p < 78:
		c.copy(ctx, key)
	case p < 83:
		c.copyIf(ctx, key, old)
	case p < 91:
		kinds := []history.Kind{history.Complete, history.CompleteNew, history.CompleteIf}
		c.upload(ctx, kinds[c.r.IntN(len(kinds))], key, old)
	default:
		c.complete(ctx)
	}
}

// judge sorts an error: ok is whether the answer belongs in the history. An
// error that is neither an answer of S3 nor the fault of something injected
// fails the test.
func (l *load) judge(in history.Request, err error) (out history.Answer, ok bool) {
	what := "done"
	switch {
	case err == nil:
		ok = true
	case errors.Is(err, s3err.PreconditionFailed), errors.Is(err, s3err.NoSuchKey):
		what, out.Refused, ok = "refused", true, true
	case errors.Is(err, s3err.ConditionalRequestConflict), errors.Is(err, s3err.OperationAborted):
		what = "not decided"
	case errors.Is(err, meta.ErrUnknown):
		what, out.Unknown, ok = "unknown", true, true
	case errors.Is(err, s3err.ServiceUnavailable):
		what = "unavailable"
		switch in.Kind {
		case history.Complete, history.CompleteNew, history.CompleteIf:
			// It may be the look at what became of it that failed.
			out.Unknown, ok = true, true
		}
	default:
		what = "failed"
	}
	l.mu.Lock()
	l.counts[string(in.Kind)+": "+what]++
	l.mu.Unlock()
	if what == "failed" || !l.faulty && (what == "unknown" || what == "unavailable") {
		l.c.t.Errorf("%s %s: %v", in.Kind, in.Key, err)
	}
	return out, ok
}

// note judges an answer and puts it into the history.
func (c *client) note(call int64, in history.Request, err error) (out history.Answer, ok bool) {
	if out, ok = c.judge(in, err); ok {
		c.log.Return(c.id, call, in, out)
	}
	if ok && !out.Refused && !out.Unknown {
		c.seen[in.Key] = in.Value
	}
	return out, ok
}

// read notes what a request that changes nothing saw of a key.
func (c *client) read(call int64, key, etag string, err error) {
	in := history.Request{Kind: history.Get, Key: key}
	if errors.Is(err, s3err.NoSuchKey) {
		etag, err = "", nil
	}
	if _, ok := c.judge(in, err); ok && err == nil {
		c.log.Return(c.id, call, in, history.Answer{Value: etag})
		c.seen[key] = etag
	}
}

func (c *client) get(ctx context.Context, e *engine.Engine, key string) {
	call := c.log.Call()
	var etag string
	var err error
	for range maxReads {
		if etag, err = c.download(ctx, e, key); !errors.Is(err, backends.ErrNotFound) {
			break
		}
	}
	c.read(call, key, etag, err)
}

// download reads an object whole and holds it against its ETag.
func (c *client) download(ctx context.Context, e *engine.Engine, key string) (etag string, err error) {
	r, err := e.GetObject(ctx, engine.GetObject{Bucket: c.c.bucket, Key: key})
	if err != nil {
		return "", err
	}
	defer r.Close()
	var data bytes.Buffer
	if _, err := r.WriteTo(&data); err != nil {
		return "", err
	}
	etag = plainTag(data.Bytes())
	if r.Object.Parts > 0 {
		etag = partTag(data.Bytes())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if etag != r.Object.ETag || !c.bodies[etag] {
		c.c.t.Errorf("%s: %d bytes of ETag %s are sent as %s", key, data.Len(), etag, r.Object.ETag)
	}
	return etag, nil
}

func (c *client) head(ctx context.Context, key string) {
	call := c.log.Call()
	r, err := c.engine().HeadObject(ctx, engine.GetObject{Bucket: c.c.bucket, Key: key})
	if err != nil {
		c.read(call, key, "", err)
		return
	}
	c.read(call, key, r.Object.ETag, nil)
}

// list is a look at every key.
func (c *client) list(ctx context.Context) {
	call := c.log.Call()
	page, err := c.engine().ListObjects(ctx, meta.ListQuery{Bucket: c.c.bucket.ID, Limit: meta.MaxPage})
	there := map[string]string{}
	for _, entry := range page.Entries {
		there[entry.Key] = entry.ETag
	}
	for _, key := range c.keys {
		c.read(call, key, there[key], err)
		delete(there, key)
	}
	if len(there) > 0 {
		c.c.t.Errorf("listed: %v", there)
	}
}

func (c *client) put(ctx context.Context, kind history.Kind, key, old string) {
	data := c.body()
	in := history.Request{Kind: kind, Key: key, Value: c.send(plainTag(data)), Old: old}
	call := c.log.Call()
	_, err := c.engine().PutObject(ctx, engine.PutObject{Bucket: c.c.bucket, Key: key, Owner: c.c.bucket.Owner,
		Conditions: conditions(in), Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
	c.note(call, in, err)
}

func conditions(in history.Request) (c engine.Conditions) {
	switch in.Kind {
	case history.PutNew, history.CompleteNew:
		c.IfNoneMatch = "*"
	case history.PutIf, history.CompleteIf:
		c.IfMatch = in.Old
	}
	return c
}

func (c *client) delete(ctx context.Context, kind history.Kind, key, old string) {
	in := history.Request{Kind: kind, Key: key, Old: old}
	call := c.log.Call()
	_, err := c.engine().DeleteObject(ctx, c.c.bucket, engine.DeleteObject{Key: key, IfMatch: old})
	c.note(call, in, err)
}

// copy copies a key onto itself, whatever it holds.
func (c *client) copy(ctx context.Context, key string) {
	read := history.Request{Kind: history.CopyRead, Key: key, ID: fmt.Sprint(c.id, "/", c.n)}
	written := history.Request{Kind: history.CopyWrite, Key: key, ID: read.ID}
	call := c.log.Call()
	o, err := c.engine().CopyObject(ctx, engine.CopyObject{SourceBucket: c.c.bucket, SourceKey: key, Bucket: c.c.bucket, Key: key, Owner: c.c.bucket.Owner})
	if errors.Is(err, s3err.NoSuchKey) {
		c.read(call, key, "", err)
		return
	}
	if out, ok := c.judge(read, err); ok {
		out.Value = o.ETag
		c.log.Return(c.id, call, read, out)
		c.log.Return(c.id, call, written, out)
	}
}

// copyIf copies a key onto itself if it holds the right thing before and after.
func (c *client) copyIf(ctx context.Context, key, old string) {
	in := history.Request{Kind: history.PutIf, Key: key, Value: old, Old: old}
	call := c.log.Call()
	_, err := c.engine().CopyObject(ctx, engine.CopyObject{
		SourceBucket: c.c.bucket, SourceKey: key, Bucket: c.c.bucket, Key: key, Owner: c.c.bucket.Owner, Replace: true,
		SourceConditions: engine.Conditions{IfMatch: old}, Conditions: engine.Conditions{IfMatch: old}})
	c.note(call, in, err)
}

// upload makes an upload ready, on one engine and another, and tries to complete
// it at once on two.
func (c *client) upload(ctx context.Context, kind history.Kind, key, old string) {
	data := c.body()
	u := upload{request: history.Request{Kind: kind, Key: key, Value: c.send(partTag(data)), Old: old}}
	prepare := history.Request{Kind: "upload", Key: key}
	opened, err := c.engine().CreateUpload(ctx, engine.CreateUpload{Bucket: c.c.bucket, Key: key, Owner: c.c.bucket.Owner})
	if _, ok := c.judge(prepare, err); !ok || err != nil {
		return
	}
	u.id, u.request.ID = opened.ID, opened.ID.String()
	part, err := c.engine().UploadPart(ctx, engine.UploadPart{Bucket: c.c.bucket, Key: key, Upload: u.id, Number: 1,
		Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
	if _, ok := c.judge(prepare, err); !ok || err != nil {
		return
	}
	u.part = engine.CompletedPart{Number: 1, ETag: part.ETag}
	c.mu.Lock()
	c.uploads = append(c.uploads, u)
	c.mu.Unlock()
	var wg sync.WaitGroup
	for _, e := range []*engine.Engine{c.engine(), c.engine()} {
		wg.Go(func() { c.completeAt(ctx, e, u) })
	}
	wg.Wait()
}

// complete completes some upload, which may be completed or under way already.
func (c *client) complete(ctx context.Context) {
	c.mu.Lock()
	if len(c.uploads) == 0 {
		c.mu.Unlock()
		return
	}
	u := c.uploads[c.r.IntN(len(c.uploads))]
	c.mu.Unlock()
	c.completeAt(ctx, c.engine(), u)
}

func (c *client) completeAt(ctx context.Context, e *engine.Engine, u upload) {
	call := c.log.Call()
	o, err := e.CompleteUpload(ctx, engine.CompleteUpload{Bucket: c.c.bucket, Key: u.request.Key, Upload: u.id,
		Parts: []engine.CompletedPart{u.part}, Size: -1, Conditions: conditions(u.request)})
	if err == nil && o.ETag != u.request.Value {
		c.c.t.Errorf("complete %s: ETag %s instead of %s", u.request.Key, o.ETag, u.request.Value)
	}
	if errors.Is(err, s3err.NoSuchUpload) {
		err = nil // for the history that is the same: see history.Complete
	}
	if out, ok := c.judge(u.request, err); ok {
		c.log.Return(c.id, call, u.request, out)
	}
}
