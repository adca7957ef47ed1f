package clienttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	killRounds  = 4
	killWorkers = 16
	keysEach    = 4        // keys of each worker
	killLargest = 20 * mib // of a body
	killLimit   = 2 * time.Minute
)

// value is what an object may hold: a size and a content of its own. The zero
// value is no object.
type value struct {
	id   int
	size int64
}

func (v value) String() string {
	if v == (value{}) {
		return "nothing"
	}
	return fmt.Sprintf("%d bytes of content %d", v.size, v.id)
}

// killedKey is what one key may hold. Its owner does one thing at a time to it.
type killedKey struct {
	acked value
	doubt *value // what the request without an answer would have made of it
}

// killedUpload is a multipart upload that the kill interrupted.
type killedUpload struct {
	key, id    string
	value      value
	parts      []minio.CompletePart // acknowledged
	completing bool                 // Complete was sent
}

const killPart = 5 * mib

func (u *killedUpload) count() int { return int((u.value.size + killPart - 1) / killPart) }

// part is the content of a part, from 1.
func (u *killedUpload) part(seed uint64, number int) []byte {
	body := random(seed, u.value.id, u.value.size)
	return body[(number-1)*killPart : min(int64(number)*killPart, u.value.size)]
}

// killTest is a bucket under load, and what is known of it.
type killTest struct {
	t      *testing.T
	seed   uint64
	c      *minio.Core
	bucket string

	mu      sync.Mutex
	nextID  int
	acks    int
	killAt  int // acknowledgements after which the process is killed
	kill    func()
	killed  bool
	counts  map[string]int // acknowledged, by what
	keys    map[string]*killedKey
	uploads []*killedUpload
}

// TestKill9 kills the process in the middle of uploads, over and over on one
// folder, and holds what it finds then against what was acknowledged.
func TestKill9(t *testing.T) {
	t.Parallel()
	k := &killTest{t: t, seed: rand.Uint64(), bucket: "killed", counts: make(map[string]int), keys: make(map[string]*killedKey)}
	t.Logf("seed %d", k.seed)
	choice := rand.New(rand.NewPCG(k.seed, 0))
	dir := t.TempDir()
	data, log := filepath.Join(dir, "data"), filepath.Join(dir, "gateway.log")
	env := []string{"SANCTUM_COLLECTOR_GRACE=1s", "SANCTUM_COLLECTOR_INTERVAL=1s", "SANCTUM_BUCKETS=" + k.bucket}
	for round := range killRounds {
		g := restart(t, data, log, env...)
		k.c, k.kill, k.killed = newMinio(t, g), g.kill, false
		k.settle()
		k.verify()
		k.acks, k.killAt = 0, 20+choice.IntN(80)
		k.load(uint64(round))
		if t.Failed() {
			t.FailNow()
		}
		t.Logf("round %d: killed after %d acknowledged changes, %d uploads open", round, k.killAt, len(k.uploads))
	}
	g := restart(t, data, log, env...)
	k.c = newMinio(t, g)
	k.settle()
	k.verify()
	collected(t, g)
	k.verify()
	must(t, g.stop())
	stoppedClean(t, g)
	t.Logf("acknowledged: %v", k.counts)
	if lines, err := g.serverErrors(); err != nil || len(lines) > 0 {
		t.Errorf("failures in the log: %v\n%s", err, lines)
	}
	for _, what := range []string{"put", "multipart", "overwrite", "delete", "copy"} {
		if k.counts[what] == 0 {
			t.Errorf("no %s was acknowledged: the test shows less than it should", what)
		}
	}
}

// load works on the bucket until the process has been killed.
func (k *killTest) load(round uint64) {
	ctx, cancel := context.WithTimeout(k.t.Context(), killLimit)
	defer cancel()
	var wg sync.WaitGroup
	for w := range killWorkers {
		wg.Go(func() {
			choice := rand.New(rand.NewPCG(k.seed, round<<32|uint64(w)))
			for k.step(ctx, choice, fmt.Sprintf("worker-%d/key-%d", w, choice.IntN(keysEach))) {
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		k.t.Errorf("seed %d: no kill within %s", k.seed, killLimit)
	}
}

// step does one thing to a key, and reports whether the process still lived.
func (k *killTest) step(ctx context.Context, choice *rand.Rand, key string) bool {
	k.mu.Lock()
	k.nextID++
	v := value{id: k.nextID, size: int64(math.Exp(choice.Float64() * math.Log(killLargest)))}
	state := k.keys[key]
	if state == nil {
		state = new(killedKey)
		k.keys[key] = state
	}
	old := state.acked
	k.mu.Unlock()
	what, err := "put", error(nil)
	if old != (value{}) {
		what = "overwrite"
	}
	switch p := choice.IntN(100); {
	case p < 12 && old != value{}:
		what, v = "delete", value{}
		state.doubt = &v
		err = k.c.RemoveObject(ctx, k.bucket, key, minio.RemoveObjectOptions{})
	case p < 20 && old != value{}:
		return k.outcome(ctx, key, "read", k.holds(ctx, key, old))
	case p < 28 && old != value{}:
		what, v = "copy", old
		state.doubt = &v
		src := minio.CopySrcOptions{Bucket: k.bucket, Object: key}
		_, err = k.c.Client.CopyObject(ctx, minio.CopyDestOptions{Bucket: k.bucket, Object: key, ReplaceMetadata: true}, src)
	case p < 45:
		what, v.size = "multipart", killPart+choice.Int64N(killLargest-killPart)
		err = k.multipart(ctx, key, v, state)
	default:
		state.doubt = &v
		_, err = k.c.Client.PutObject(ctx, k.bucket, key, io.LimitReader(content(k.seed, v.id), v.size), v.size,
			minio.PutObjectOptions{DisableMultipart: true, DisableContentSha256: p%2 == 0})
	}
	if err == nil {
		state.acked, state.doubt = v, nil
	}
	return k.outcome(ctx, key, what, err)
}

// outcome counts what was acknowledged and kills the process when it is time. A
// failure before that is one of the gateway.
func (k *killTest) outcome(ctx context.Context, key, what string, err error) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case err != nil && !k.killed && ctx.Err() == nil:
		k.t.Errorf("seed %d: %s %s: %v", k.seed, what, key, err)
		k.killed = true
	case err == nil:
		k.counts[what]++
		if k.acks++; k.acks == k.killAt {
			k.killed = true
			k.kill()
		}
	}
	return err == nil
}

// multipart stores a value in parts. The remains when the process dies are
// kept for settle.
func (k *killTest) multipart(ctx context.Context, key string, v value, state *killedKey) error {
	id, err := k.c.NewMultipartUpload(ctx, k.bucket, key, minio.PutObjectOptions{})
	if err != nil {
		return err // perhaps there is an upload that nobody knows the id of
	}
	u := &killedUpload{key: key, id: id, value: v}
	k.mu.Lock()
	k.uploads = append(k.uploads, u)
	k.mu.Unlock()
	for number := 1; number <= u.count(); number++ {
		if err := k.putPart(ctx, u, number); err != nil {
			return err
		}
	}
	state.doubt, u.completing = &v, true
	if _, err := k.c.CompleteMultipartUpload(ctx, k.bucket, key, id, u.parts, minio.PutObjectOptions{}); err != nil {
		return err
	}
	k.mu.Lock()
	k.uploads = slices.DeleteFunc(k.uploads, func(other *killedUpload) bool { return other == u })
	k.mu.Unlock()
	return nil
}

func (k *killTest) putPart(ctx context.Context, u *killedUpload, number int) error {
	body := u.part(k.seed, number)
	p, err := k.c.PutObjectPart(ctx, k.bucket, u.key, u.id, number, bytes.NewReader(body), int64(len(body)), minio.PutObjectPartOptions{})
	if err == nil {
		u.parts = append(u.parts, minio.CompletePart{PartNumber: number, ETag: p.ETag})
	}
	return err
}

// settle finds out what became of every request without an answer: all of it
// or nothing. Then it goes on with the uploads: one half is completed, with the
// parts that were acknowledged, and the other aborted.
func (k *killTest) settle() {
	k.t.Helper()
	ctx := k.t.Context()
	for key, state := range k.keys {
		if state.doubt == nil {
			continue
		}
		if err := k.holds(ctx, key, *state.doubt); err == nil {
			state.acked = *state.doubt
			k.counts["in doubt: done"]++
		} else if old := k.holds(ctx, key, state.acked); old != nil {
			k.t.Fatalf("seed %d: %s holds neither the old nor the new: %v; %v", k.seed, key, old, err)
		} else {
			k.counts["in doubt: undone"]++
		}
		state.doubt = nil
	}
	for i, u := range k.uploads {
		if u.completing || i%2 == 0 {
			k.resume(u)
			k.keys[u.key].acked = u.value
		} else {
			must(k.t, k.c.AbortMultipartUpload(ctx, k.bucket, u.key, u.id))
		}
	}
	k.uploads = nil
	open, err := k.c.ListMultipartUploads(ctx, k.bucket, "", "", "", "", 1000)
	must(k.t, err)
	for _, u := range open.Uploads { // begun without the answer having arrived
		must(k.t, k.c.AbortMultipartUpload(ctx, k.bucket, u.Key, u.UploadID))
	}
}

// resume completes an upload with the parts that were acknowledged before the
// kill and those that are missing. A Complete that was sent is sent again.
func (k *killTest) resume(u *killedUpload) {
	k.t.Helper()
	ctx := k.t.Context()
	if !u.completing {
		listed, err := k.c.ListObjectParts(ctx, k.bucket, u.key, u.id, 0, 1000)
		must(k.t, err)
		for i, p := range u.parts {
			if i >= len(listed.ObjectParts) || listed.ObjectParts[i].PartNumber != p.PartNumber || strings.Trim(listed.ObjectParts[i].ETag, `"`) != p.ETag {
				k.t.Fatalf("seed %d: %s: acknowledged parts %v, listed %+v", k.seed, u.key, u.parts, listed.ObjectParts)
			}
		}
		for number := len(u.parts) + 1; number <= u.count(); number++ {
			must(k.t, k.putPart(ctx, u, number))
		}
		k.counts["resumed upload"]++
	}
	_, err := k.c.CompleteMultipartUpload(ctx, k.bucket, u.key, u.id, u.parts, minio.PutObjectOptions{})
	if err != nil {
		k.t.Fatalf("seed %d: %s: complete again: %v", k.seed, u.key, err)
	}
}

// verify demands that the bucket holds what was acknowledged, byte by byte, and
// nothing else.
func (k *killTest) verify() {
	k.t.Helper()
	var want, got []string
	for _, key := range slices.Sorted(maps.Keys(k.keys)) {
		v := k.keys[key].acked
		if err := k.holds(k.t.Context(), key, v); err != nil {
			k.t.Fatalf("seed %d: acknowledged %s: %v", k.seed, v, err)
		}
		if v != (value{}) {
			want = append(want, fmt.Sprint(key, " ", v.size))
		}
	}
	for o := range k.c.Client.ListObjects(k.t.Context(), k.bucket, minio.ListObjectsOptions{Recursive: true}) {
		must(k.t, o.Err)
		got = append(got, fmt.Sprint(o.Key, " ", o.Size))
	}
	if !slices.Equal(got, want) {
		k.t.Fatalf("seed %d: visible %q instead of %q", k.seed, got, want)
	}
}

// holds returns nil when a key holds exactly a value.
func (k *killTest) holds(ctx context.Context, key string, v value) error {
	r, info, _, err := k.c.GetObject(ctx, k.bucket, key, minio.GetObjectOptions{})
	if v == (value{}) {
		if minio.ToErrorResponse(err).Code == "NoSuchKey" {
			return nil
		}
		if err == nil {
			r.Close()
			err = errors.New("it is there")
		}
		return fmt.Errorf("%s: %w", key, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	defer r.Close()
	at, err := differ(r, io.LimitReader(content(k.seed, v.id), v.size))
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if at >= 0 || info.Size != v.size {
		return fmt.Errorf("%s: size %d, other than %s at byte %d", key, info.Size, v, at)
	}
	return nil
}

// maxReserved is how many blob ids a process that rests may hold for coming
// writes: the engine reserves 128 at a time, and a second batch may have been
// begun while the first was in use.
const maxReserved = 2 * 128

// collected waits until the running gateway has collected everything, and
// demands that nothing is left but what a live process holds, and what the ledger says
// is in doubt.
func collected(t *testing.T, g *gateway) {
	t.Helper()
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(50 * time.Millisecond) {
		r, err := g.fsck("--deep")
		must(t, err)
		if !r.Clean {
			t.Fatalf("fsck beside the gateway: %+v", r)
		}
		if r.Pending == 0 && r.Backend == r.Blobs+r.Doubtful {
			t.Logf("fsck beside the gateway: %d objects, %d blobs, %d reserved, %d in doubt", r.Objects, r.Blobs, r.Reserved, r.Doubtful)
			if r.Reserved > maxReserved {
				t.Errorf("%d reservations: those of killed processes were not condemned", r.Reserved)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not collected after %s: %+v", startTimeout, r)
		}
	}
}

// stoppedClean holds the folder of a gateway that was told to end against its
// store: not a file too many, and no reservation.
func stoppedClean(t *testing.T, g *gateway) {
	t.Helper()
	r, err := g.fsck("--deep")
	must(t, err)
	if !r.Clean || r.Reserved != 0 || r.Backend != r.Blobs+r.Doubtful {
		t.Errorf("fsck after the end: %+v", r)
	}
	if left := treeOf(t, filepath.Join(g.dir, "blobs", "tmp")); len(left) > 0 {
		t.Errorf("bodies that were on their way in: %q", left)
	}
	// Three files more than blobs: the marks of the store's age, incarnation and sealing.
	if files := treeOf(t, filepath.Join(g.dir, "blobs", "blobs")); int64(len(files)) != r.Blobs+r.Doubtful+3 {
		t.Errorf("%d files for %d blobs and %d in doubt", len(files), r.Blobs, r.Doubtful)
	}
	if _, err := os.Stat(filepath.Join(g.dir, "meta.db")); err != nil {
		t.Error(err)
	}
	t.Logf("fsck after the end: %d objects, %d blobs, %d files", r.Objects, r.Blobs, r.Backend)
}
