// Package metatest is the contract of meta.Store as tests: a store that passes Run
// fulfils it. It uses the interface only.
package metatest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Run tests the contract. open returns an empty store that its test closes.
func Run(t *testing.T, open func(t *testing.T) meta.Store) {
	t.Run("deployment", func(t *testing.T) { testDeployment(newFixture(t, open(t))) })
	t.Run("sealing", func(t *testing.T) { testSealing(newFixture(t, open(t))) })
	t.Run("check", func(t *testing.T) { testCheck(newFixture(t, open(t))) })
	for _, c := range []struct {
		name string
		test func(*fixture)
	}{
		{"backends", testBackends},
		{"number of backends", testBackendNumbers},
		{"draining", testDraining},
		{"drain rules", testDrainRules},
		{"drain rules hold in races", testDrainRulesRaced},
		{"nothing comes to a draining backend", testDrainRaced},
		{"retire a backend", testRetire},
		{"move buckets", testMoveBuckets},
		{"move a blob", testMoveBlob},
		{"move a part's blob", testMovePart},
		{"places of copies", testCopies},
		{"places of copies meet", testCopiesRaced},
		{"moves keep to who refers", testMoveOnly},
		{"moves keep to demands", testMoveDemands},
		{"copies keep to places", testShareAt},
		{"moves and demands meet", testDemandsRaced},
		{"moves meet other intents", testMovesRaced},
		{"where blobs are", testBlobBackends},
		{"records", testRecords},
		{"scans", testScans},
		{"leases", testLeases},
		{"seeds", testSeeds},
		{"generations", testGenerations},
		{"generations of named keys", testNamedGenerations},
		{"writes go by the newest generation", testWritesGoByTheNewest},
		{"rotation meets writes", testRotationRaced},
		{"renew versions", testRenewVersions},
		{"renew uploads", testRenewUploads},
		{"renew settings", testRenewSettings},
		{"jobs", testJobs},
		{"one taker of a lease", testLeaseRaced},
		{"tenants", testTenants},
		{"residency", testResidency},
		{"access keys", testAccessKeys},
		{"limits of tenants", testTenantLimits},
		{"identities", testIdentities},
		{"list identities", testListIdentities},
		{"change identities", testChangeIdentity},
		{"identities meet", testIdentityRaced},
		{"delete a tenant with identities", testDeleteTenantWithIdentities},
		{"limits of identities", testIdentityLimits},
		{"bucket settings", testBucketSettings},
		{"bucket settings meet", testSettingsRaced},
		{"limits of bucket settings", testSettingLimits},
		{"buckets", testBuckets},
		{"list buckets", testListBuckets},
		{"bucket name used again", testBucketAgain},
		{"object round trip", testObject},
		{"empty fields", testEmptyFields},
		{"keys stay distinct", testDistinctKeys},
		{"expectations", testExpectations},
		{"one winner", testOneWinner},
		{"compare and swap counts", testCounter},
		{"reservations fence", testReservationFence},
		{"overwrite condemns", testOverwrite},
		{"rows that are not proven", testUnproven},
		{"shared bodies", testSharedBodies},
		{"copy onto itself", testCopyOntoItself},
		{"remove objects", testRemoveObjects},
		{"remove a batch", testRemoveBatch},
		{"rename", testRename},
		{"rename over another", testRenameOver},
		{"renames that are refused", testRenameRefused},
		{"tokens of renames", testRenameTokens},
		{"one winner of renames", testRenameOneWinner},
		{"renames meet", testRenameRaced},
		{"renames lose nothing", testRenameLosesNone},
		{"failed intents change nothing", testNothingChanged},
		{"ledger", testLedger},
		{"holders", testHolders},
		{"what a holder leaves", testReclaim},
		{"dead blobs", testDeadBlobs},
		{"ahead of time", testAheadOfTime},
		{"scan blobs", testScanBlobs},
		{"scan objects", testScanObjects},
		{"reseal an upload", testResealUpload},
		{"upload", testUpload},
		{"parts", testParts},
		{"replace a part", testReplacePart},
		{"shared part blobs", testSharedParts},
		{"complete", testComplete},
		{"complete once", testCompleteOnce},
		{"parts that are not proven", testUnprovenParts},
		{"unchosen parts", testUnchosen},
		{"trim", testTrim},
		{"shared upload", testSharedUpload},
		{"abort", testAbort},
		{"expire", testExpire},
		{"ended uploads wait", testEndedWait},
		{"most buckets of a tenant", testMostBuckets},
		{"buckets of removed tenants", testBucketsOfRemovedTenants},
		{"sweep a deleted bucket", testSweepBucket},
		{"sweep is bounded", testSweepBounded},
		{"listing", testListing},
		{"listing at random", testListingRandom},
		{"upload listing at random", testUploadListingRandom},
		{"set versioning", testSetVersioning},
		{"versioning meets writers", testVersioningRaced},
		{"bodies of versions", testVersionBodies},
		{"complete a version", testCompleteVersion},
		{"writers of versions meet", testVersionsRaced},
		{"removals of versions meet", testRemovalsRaced},
		{"amendments meet", testAmendRaced},
		{"locks", testLocks},
		{"delete a bucket of versions", testDeleteVersioned},
		{"positions among versions", testVersionPositions},
		{"usage", testUsage},
		{"usage of uploads", testUploadUsage},
		{"limits of versions", testVersionLimits},
		{"versions against a model", testVersionModel},
		{"limits", testLimits},
		{"cancelled contexts", testCancelled},
		{"random history", testHistory},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, open(t))
			f.ok(f.s.InitDeployment(f.ctx, meta.Deployment{ID: meta.NewID(), Root: f.root, Seed: []byte("the seed, wrapped"), Created: f.now, Sealing: meta.SealingWhole},
				meta.Tenant{ID: f.root, Name: "fixture's root", Created: f.now}, f.backend(here, "here")))
			c.test(f)
		})
	}
}

// here is the backend of a fixture's blobs. Tests may add the backend there.
const (
	here  = meta.FirstBackend
	there = here + 1
)

// addBackend adds an active backend with its own name.
func (f *fixture) addBackend(id meta.BackendID) {
	f.Helper()
	f.ok(f.s.AddBackend(f.ctx, f.backend(id, fmt.Sprint("backend ", id))))
}

// backend returns a backend to add.
func (f *fixture) backend(id meta.BackendID, name string) meta.Backend {
	return meta.Backend{ID: id, Name: name, Created: f.now, Epoch: 1}
}

// fixture is one test's store and clock.
type fixture struct {
	*testing.T
	ctx    context.Context
	s      meta.Store
	now    time.Time
	holder meta.ID
	root   meta.ID // the tenant that owns the buckets
}

func newFixture(t *testing.T, s meta.Store) *fixture {
	return &fixture{
		T: t, ctx: t.Context(), s: s, holder: meta.NewID(), root: meta.NewID(),
		now: time.Date(2026, 2, 3, 4, 5, 6, 789000, time.UTC),
	}
}

// later is after every time in a fixture.
func (f *fixture) later() time.Time { return f.now.Add(24 * time.Hour) }

func (f *fixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// is fails the test unless err wraps want.
func (f *fixture) is(err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Fatalf("error is %v, want %v", err, want)
	}
}

// random returns a generator whose seed is printed if the test fails.
func (f *fixture) random() *rand.Rand {
	seed := rand.Uint64()
	f.Cleanup(func() {
		if f.Failed() {
			f.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

func (f *fixture) bucket(name string) meta.ID {
	f.Helper()
	id := meta.NewID()
	f.ok(f.s.CreateBucket(f.ctx,
		meta.Bucket{ID: id, Name: name, Owner: f.root, Backend: here, Created: f.now},
		meta.BucketSeed{Bucket: id, Generation: 1, Wrapped: []byte("seed")}, meta.MaxBucketCount))
	return id
}

func newBlob() (id meta.BlobID) {
	a, b := meta.NewID(), meta.NewID()
	copy(id[:], a[:])
	copy(id[len(a):], b[:])
	return id
}

func (f *fixture) reserve(n int) []meta.BlobID {
	f.Helper()
	ids := make([]meta.BlobID, n)
	for i := range ids {
		ids[i] = newBlob()
	}
	f.ok(f.s.Reserve(f.ctx, f.holder, here, ids, f.now))
	return ids
}

func (f *fixture) version(bucket meta.ID, key string, body meta.Body) meta.Version {
	return meta.Version{
		Bucket: bucket, Key: key, ID: meta.NewID(), Owner: meta.NewID(), Size: 12345, Modified: f.now, Generation: 7,
		WrappedKey: []byte("wrapped"), Manifest: []byte("manifest"), ListRecord: []byte("record"), Body: body,
		Null: true, Latest: true,
	}
}

func blobBody(id meta.BlobID) meta.Body { return meta.Body{Kind: meta.BodyBlob, Blob: id} }

// put commits a version with one new blob.
func (f *fixture) put(bucket meta.ID, key string) meta.Version {
	f.Helper()
	v := f.version(bucket, key, blobBody(f.reserve(1)[0]))
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: v, Holder: f.holder}))
	return v
}

// putInline commits a version without a blob.
func (f *fixture) putInline(bucket meta.ID, key string) meta.Version {
	f.Helper()
	v := f.version(bucket, key, meta.Body{})
	f.ok(f.s.CommitObject(f.ctx, meta.Commit{Version: v}))
	return v
}

func (f *fixture) remove(bucket meta.ID, key string) {
	f.Helper()
	errs, err := f.s.RemoveObjects(f.ctx, bucket, meta.VersioningOff, []meta.Removal{{Key: key}}, f.now)
	f.ok(err)
	f.ok(errs[0].Err)
}

// wantBlob fails the test unless the blob has the state and references; state 0
// means that the ledger must not have it.
func (f *fixture) wantBlob(id meta.BlobID, state meta.BlobState, refs int64) {
	f.Helper()
	b, err := f.s.Blob(f.ctx, id)
	if state == 0 {
		f.is(err, meta.ErrNotFound)
		return
	}
	f.ok(err)
	if b.ID != id || b.State != state || b.Refs != refs {
		f.Fatalf("blob is in state %d with %d references, want %d with %d", b.State, b.Refs, state, refs)
	}
}

// sweepAll sweeps until nothing is left, whatever the time of its end.
func (f *fixture) sweepAll() {
	f.Helper()
	for range 1000 {
		n, err := f.s.Sweep(f.ctx, 100, f.later(), f.now, nil)
		f.ok(err)
		m, err := TrimAll(f.ctx, f.s, 100, f.now)
		f.ok(err)
		if n+m == 0 {
			return
		}
	}
	f.Fatal("sweep finds no end")
}

// TrimAll removes surplus parts by the ledger's choice, as if that had been proven.
func TrimAll(ctx context.Context, s meta.Store, limit int, now time.Time) (int, error) {
	us, err := s.Untrimmed(ctx, meta.TrimPosition{}, meta.MaxBatch)
	if err != nil {
		return 0, err
	}
	var all []meta.Trim
	for i := range us {
		all = append(all, meta.Trim{Upload: us[i].ID, Chosen: us[i].Chosen})
	}
	return s.TrimUploads(ctx, all, limit, now)
}

// checkLedger fails the test unless the ledger is consistent.
func (f *fixture) checkLedger() {
	f.Helper()
	f.ok(CheckLedger(f.ctx, f.s))
}
