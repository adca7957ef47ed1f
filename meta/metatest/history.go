package metatest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// A random history: several gateways run all intents at once on few keys, so that
// they collide. Other tests check the answers. This one checks that the ledger is
// consistent at the end, and that nothing refers to a forgotten blob.

const (
	historyActors = 6
	historySteps  = 250
)

// world is shared by the actors: names only. The store has the state.
type world struct {
	*fixture
	mu      sync.Mutex
	buckets []meta.ID
	names   map[meta.ID]string
	uploads []meta.ID
}

// actor plays a gateway.
type actor struct {
	*world
	r      *rand.Rand
	holder meta.ID
	blobs  []meta.BlobID // reserved, as far as the actor knows
}

func testHistory(f *fixture) {
	seeds := f.random()
	f.addBackend(there)
	w := &world{fixture: f, names: make(map[meta.ID]string)}
	for i := range 3 {
		w.buckets = append(w.buckets, f.bucket(fmt.Sprint("b", i)))
		w.names[w.buckets[i]] = fmt.Sprint("b", i)
	}
	actors := make([]*actor, historyActors)
	for i := range actors {
		actors[i] = &actor{world: w, r: rand.New(rand.NewPCG(seeds.Uint64(), 0)), holder: meta.NewID()}
	}
	together(historyActors, func(i int) {
		for range historySteps {
			if err := actors[i].step(); !tolerable(err) {
				f.Error(err)
				return
			}
		}
	})
	f.checkLedger()
	f.sweepAll()
	f.checkLedger()
	// A collector that removes all dead blobs removes nothing that is referred to.
	f.collectAll(here)
	f.collectAll(there)
	f.checkLedger()
}

func (f *fixture) collectAll(at meta.BackendID) {
	f.Helper()
	for {
		dead, err := f.s.DeadBlobs(f.ctx, at, f.later(), meta.MaxPage)
		f.ok(err)
		if len(dead) == 0 {
			return
		}
		f.ok(f.s.Forget(f.ctx, at, dead))
	}
}

// tolerable reports whether err is an answer to an intent that came too late.
func tolerable(err error) bool {
	return err == nil || slices.ContainsFunc([]error{
		meta.ErrNotFound, meta.ErrExists, meta.ErrNoBucket, meta.ErrNotEmpty, meta.ErrConflict,
		meta.ErrReservationLost, meta.ErrBodyGone, meta.ErrVersioning,
	}, func(e error) bool { return errors.Is(err, e) })
}

func (a *actor) step() error {
	steps := []func() error{
		a.put, a.put, a.put, a.copy, a.copy, a.remove, a.remove, a.rename, a.rename, a.rename,
		a.create, a.storePart, a.storePart, a.sharePart, a.complete, a.complete, a.abort,
		a.collect, a.sweep, a.condemn, a.release, a.recreate,
		a.moveObject, a.moveObject, a.movePart, a.drain,
		a.purge, a.purge, a.purge, a.amend, a.fold, a.setVersioning,
	}
	return steps[a.r.IntN(len(steps))]()
}

func (a *actor) key() string { return string(rune('a' + a.r.IntN(4))) }

func (a *actor) bucket() meta.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.buckets[a.r.IntN(len(a.buckets))]
}

func (a *actor) anUpload() meta.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.uploads) == 0 {
		return meta.NewID()
	}
	return a.uploads[a.r.IntN(len(a.uploads))]
}

func (a *actor) blob() (meta.BlobID, error) {
	if len(a.blobs) == 0 {
		for range 5 {
			a.blobs = append(a.blobs, newBlob())
		}
		if err := a.s.Reserve(a.ctx, a.holder, a.place(), a.blobs, a.now); err != nil {
			a.blobs = nil
			return meta.BlobID{}, err
		}
	}
	id := a.blobs[0]
	a.blobs = a.blobs[1:]
	return id, nil
}

func (a *actor) expect(bucket meta.ID, key string) (e meta.Expect) {
	switch a.r.IntN(4) {
	case 0:
		e.Kind = meta.ExpectAbsent
	case 1:
		if v, err := a.s.Object(a.ctx, bucket, key); err == nil {
			e = meta.Expect{Kind: meta.ExpectVersion, Version: v.ID}
		}
	}
	return e
}

// versioning returns the bucket's versioning of a moment ago.
func (a *actor) versioning(bucket meta.ID) meta.Versioning {
	a.mu.Lock()
	name := a.names[bucket]
	a.mu.Unlock()
	b, _ := a.s.Bucket(a.ctx, name) // off if the bucket is gone
	return b.Versioning
}

func (a *actor) put() error {
	id, err := a.blob()
	if err != nil {
		return err
	}
	b, k := a.bucket(), a.key()
	v := a.versioning(b)
	return a.s.CommitObject(a.ctx, meta.Commit{Version: a.versionIn(b, k, v, blobBody(id)), Expect: a.expect(b, k), Versioning: v, Holder: a.holder, Vacant: a.r.IntN(2) == 0})
}

func (a *actor) versionIn(b meta.ID, k string, in meta.Versioning, body meta.Body) meta.Version {
	v := a.version(b, k, body)
	v.Null, v.Size = in != meta.VersioningEnabled, a.r.Int64N(1000)
	return v
}

func (a *actor) copy() error {
	from, err := a.s.Object(a.ctx, a.bucket(), a.key())
	if err != nil {
		return err
	}
	b, k := a.bucket(), a.key()
	v := a.versioning(b)
	return a.s.CommitObject(a.ctx, meta.Commit{Version: a.versionIn(b, k, v, from.Body), Expect: a.expect(b, k), Versioning: v, Share: true, Vacant: a.r.IntN(2) == 0})
}

// rename fails once the bucket has versions.
func (a *actor) rename() error {
	from, err := a.s.Object(a.ctx, a.bucket(), a.key())
	if err != nil {
		return err
	}
	r := a.renaming(from, string(rune('a'+(from.Key[0]-'a'+1+byte(a.r.IntN(3)))%4)))
	r.Expect = a.expect(from.Bucket, r.To)
	if a.r.IntN(2) == 0 {
		r.Token.ID = [32]byte{byte(a.r.IntN(20)), 1}
	}
	if a.r.IntN(8) == 0 {
		_, err = a.s.ForgetRenames(a.ctx, a.later(), 1+a.r.IntN(5))
	}
	return errors.Join(err, a.s.RenameObject(a.ctx, r))
}

func (a *actor) marker() meta.Version {
	return meta.Version{ID: meta.NewID(), Owner: a.holder, Modified: a.now}
}

func (a *actor) remove() error {
	b := a.bucket()
	_, err := a.s.RemoveObjects(a.ctx, b, a.versioning(b), []meta.Removal{
		{Key: "a", Marker: a.marker()}, {Key: a.key(), Expect: a.expect(b, "a"), Marker: a.marker()}}, a.now)
	return err
}

// some returns a few versions of a key, the newest first.
func (a *actor) some(bucket meta.ID, key string) ([]meta.Version, error) {
	page, err := a.s.ListVersions(a.ctx, meta.VersionQuery{Bucket: bucket, Prefix: key, Limit: 4})
	var vs []meta.Version
	for _, e := range page.Entries {
		vs = append(vs, e.Version)
	}
	return vs, err
}

// purge removes some versions of a key for good, sometimes the current one.
func (a *actor) purge() error {
	b := a.bucket()
	vs, err := a.some(b, a.key())
	var rs []meta.Removal
	for _, v := range vs {
		if a.r.IntN(2) == 0 {
			rs = append(rs, meta.Removal{Key: v.Key, Version: v.Ref()})
		}
	}
	if err != nil || len(rs) == 0 {
		return err
	}
	_, err = a.s.RemoveObjects(a.ctx, b, a.versioning(b), rs, a.now)
	return err
}

func (a *actor) amend() error {
	b := a.bucket()
	vs, err := a.some(b, a.key())
	if err != nil || len(vs) == 0 {
		return err
	}
	v := vs[a.r.IntN(len(vs))]
	return a.s.AmendVersion(a.ctx, b, meta.Amendment{Key: v.Key, Version: v.ID, Revision: v.Revision, Marks: []byte("marks")})
}

func (a *actor) fold() error {
	_, err := a.s.FoldUsage(a.ctx, 1+a.r.IntN(20))
	return err
}

func (a *actor) setVersioning() error {
	return SetVersioning(a.ctx, a.s, a.bucket(), meta.VersioningEnabled+meta.Versioning(a.r.IntN(2)), false)
}

func (a *actor) create() error {
	id := meta.NewID()
	err := a.s.CreateUpload(a.ctx, meta.Upload{ID: id, Bucket: a.bucket(), Key: a.key(), Created: a.now})
	if err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.uploads = append(a.uploads, id)
		a.uploads = a.uploads[max(0, len(a.uploads)-5):]
	}
	return err
}

func (a *actor) storePart() error {
	var blobs []meta.BlobID
	for range 1 + a.r.IntN(2) {
		id, err := a.blob()
		if err != nil {
			return err
		}
		blobs = append(blobs, id)
	}
	return a.s.PutPart(a.ctx, meta.PutPart{Part: a.part(a.anUpload(), 1+a.r.IntN(4), blobs...), Holder: a.holder})
}

// sharePart copies the blobs of another part or object.
func (a *actor) sharePart() error {
	var blobs []meta.BlobID
	if v, err := a.s.Object(a.ctx, a.bucket(), a.key()); err == nil && v.Body.Kind == meta.BodyBlob {
		blobs = append(blobs, v.Body.Blob)
	}
	ps, err := a.s.Parts(a.ctx, a.anUpload(), 0, 1)
	if err != nil {
		return err
	}
	for _, p := range ps {
		blobs = append(blobs, p.Blobs...)
	}
	return a.s.PutPart(a.ctx, meta.PutPart{Part: a.part(a.anUpload(), 1+a.r.IntN(4), blobs...), Share: true})
}

func (a *actor) complete() error {
	u, err := a.s.Upload(a.ctx, a.anUpload())
	if err != nil {
		return err
	}
	ps, err := a.s.Parts(a.ctx, u.ID, 0, meta.MaxPage)
	if err != nil {
		return err
	}
	var chosen []meta.PartRun
	for _, p := range ps {
		if a.r.IntN(3) > 0 {
			chosen = append(chosen, meta.PartRun{First: p.Number, Count: 1})
		}
	}
	v := a.versioning(u.Bucket)
	return a.s.CompleteUpload(a.ctx, meta.Complete{
		Upload: u.ID, Revision: u.Revision, Chosen: chosen, Settings: u.Settings, Expect: a.expect(u.Bucket, u.Key), Versioning: v,
		Version: a.versionIn(u.Bucket, u.Key, v, meta.Body{Kind: meta.BodyUpload, Upload: u.ID}),
	})
}

func (a *actor) abort() error {
	if a.r.IntN(4) == 0 {
		_, err := a.s.ExpireUploads(a.ctx, a.now.Add(time.Second), 1)
		return err
	}
	return a.s.AbortUpload(a.ctx, a.anUpload())
}

func (a *actor) collect() error {
	at := a.place()
	dead, err := a.s.DeadBlobs(a.ctx, at, a.later(), 5)
	if err != nil {
		return err
	}
	return a.s.Forget(a.ctx, at, dead)
}

func (a *actor) place() meta.BackendID { return here + meta.BackendID(a.r.IntN(2)) }

func (a *actor) moveObject() error {
	v, err := a.s.Object(a.ctx, a.bucket(), a.key())
	if err != nil || v.Body.Kind != meta.BodyBlob {
		return err
	}
	return a.move(v.Body.Blob)
}

func (a *actor) movePart() error {
	ps, err := a.s.Parts(a.ctx, a.anUpload(), 0, 1)
	if err != nil || len(ps) == 0 {
		return err
	}
	return a.move(ps[0].Blobs...)
}

// move moves blobs to the other backend.
func (a *actor) move(ids ...meta.BlobID) error {
	at, err := a.s.BlobBackends(a.ctx, ids)
	for i, from := range at {
		if from != 0 {
			err = errors.Join(err, a.moveOne(ids[i], from, here+there-from))
		}
	}
	return err
}

// moveOne moves a blob, or releases its copy.
func (a *actor) moveOne(id meta.BlobID, from, to meta.BackendID) error {
	demands, err := a.s.Demands(a.ctx)
	if err != nil {
		return err
	}
	if err := a.s.ReserveCopy(a.ctx, a.holder, id, from, to, a.now); err != nil {
		return err
	}
	if a.r.IntN(4) == 0 {
		return a.s.ReleaseCopy(a.ctx, a.holder, id, to, a.now)
	}
	return a.s.MoveBlob(a.ctx, meta.Move{ID: id, From: from, To: to, Holder: a.holder, Demands: demands, Now: a.now})
}

// drain begins to drain the second backend, or cancels it.
func (a *actor) drain() error {
	if a.r.IntN(3) == 0 {
		return a.s.DrainBackend(a.ctx, there, here)
	}
	return a.s.CancelDrain(a.ctx, there)
}

func (a *actor) sweep() error {
	if _, err := a.s.Sweep(a.ctx, 1+a.r.IntN(20), a.later(), a.now, nil); err != nil {
		return err
	}
	_, err := TrimAll(a.ctx, a.s, 1+a.r.IntN(20), a.now)
	return err
}

// condemn takes another actor for dead, although it is not.
func (a *actor) condemn() error {
	hs, err := a.s.Holders(a.ctx)
	if err != nil || len(hs) == 0 {
		return err
	}
	h := hs[a.r.IntN(len(hs))]
	held, err := a.s.Held(a.ctx, h.ID, meta.BlobPosition{}, 1+a.r.IntN(5))
	if err == nil {
		n := a.r.IntN(len(held) + 1)
		_, err = a.s.Reclaim(a.ctx, h, held[:n], held[n:], a.holder, a.now)
	}
	return errors.Join(err, a.s.Beat(a.ctx, a.holder, meta.SealingWhole))
}

func (a *actor) release() error {
	ids := a.blobs
	a.blobs = nil
	return a.s.Release(a.ctx, a.holder, ids, a.now)
}

// recreate deletes a bucket if it is empty, and creates another in its place.
func (a *actor) recreate() error {
	i := a.r.IntN(3)
	a.mu.Lock()
	old := a.buckets[i]
	a.mu.Unlock()
	for _, k := range []string{"a", "b", "c", "d"} {
		for {
			vs, err := a.some(old, k)
			if err != nil {
				return err
			}
			if len(vs) == 0 {
				break
			}
			for _, v := range vs {
				if _, err := a.s.RemoveObjects(a.ctx, old, a.versioning(old), []meta.Removal{{Key: k, Version: v.Ref()}}, a.now); err != nil {
					return err
				}
			}
		}
	}
	if err := a.s.DeleteBucket(a.ctx, old); err != nil {
		return err
	}
	id := meta.NewID()
	err := a.s.CreateBucket(a.ctx, meta.Bucket{ID: id, Name: id.String(), Owner: a.root, Backend: here, Created: a.now}, meta.BucketSeed{Bucket: id, Generation: 1}, meta.MaxBucketCount)
	if err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.buckets[i] = id
		a.names[id] = id.String()
	}
	return err
}
