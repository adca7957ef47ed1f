package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// firstSchema is a deployment of the release with schema 1.
const firstSchema = "../../testdata/store/v1"

// fourthSchema is a store of the release with schema 4.
const fourthSchema = "../../testdata/store/v4"

// contents is all that the contract shows of a store. The old release wrote the
// frozen one; fields that it did not know are zero.
type contents struct {
	Epoch      int64
	Deployment []meta.Deployment
	Users      []meta.Tenant
	AccessKeys []meta.AccessKey
	Buckets    []meta.Bucket
	Seeds      []meta.BucketSeed
	Lists      []meta.ListPage
	Versions   []meta.Version
	UploadRefs []meta.UploadRef
	Uploads    []meta.Upload
	Parts      []meta.Part
	Blobs      []meta.Blob
	Holders    []meta.Holder
}

// frozen returns what the old release read, with the places that the upgrade adds.
func frozen(t *testing.T) contents {
	t.Helper()
	c := frozenIn(t, firstSchema)
	for i := range c.Buckets {
		c.Buckets[i].Backend = meta.FirstBackend
	}
	for i := range c.Blobs {
		c.Blobs[i].Backend = meta.FirstBackend
	}
	return c
}

// frozenIn returns what the release that wrote the folder read.
func frozenIn(t *testing.T, folder string) (c contents) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "store.json"))
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Versions {
		c.Versions[i].Null, c.Versions[i].Latest = true, true
	}
	for i := range c.Buckets {
		c.Buckets[i].Generation = 1
	}
	for _, page := range c.Lists {
		for i := range page.Entries {
			page.Entries[i].Null = true
		}
	}
	return c
}

// oldStore returns a copy of the old release's store.
func oldStore(t *testing.T) (path string) { return oldStoreIn(t, firstSchema) }

func oldStoreIn(t *testing.T, folder string) (path string) {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(folder, "data", "meta.db"))
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "meta.db")
	if err := os.WriteFile(path, file, fileMode); err != nil {
		t.Fatal(err)
	}
	return path
}

// must ends the test at the first error of a read.
func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// contentsOf reads a store that fits on one page.
func contentsOf(s meta.Store) (c contents) {
	ctx := context.Background()
	for _, b := range must(s.ListBackends(ctx)) {
		c.Epoch += b.Epoch // of one
	}
	c.Deployment = append(c.Deployment, must(s.Deployment(ctx)))
	c.Users = must(s.ListTenants(ctx, "", meta.MaxPage))
	for _, u := range c.Users {
		c.AccessKeys = append(c.AccessKeys, must(s.ListAccessKeys(ctx, u.ID))...)
	}
	c.Buckets = must(s.ListBuckets(ctx, meta.BucketQuery{Limit: meta.MaxPage}))
	for _, b := range c.Buckets {
		c.Seeds = append(c.Seeds, must(s.BucketSeeds(ctx, b.ID)).Seeds...)
		page := must(s.ListObjects(ctx, meta.ListQuery{Bucket: b.ID, Limit: meta.MaxPage}))
		c.Lists = append(c.Lists, page)
		for _, e := range page.Entries {
			c.Versions = append(c.Versions, must(s.Object(ctx, b.ID, e.Key)))
		}
	}
	c.UploadRefs = must(s.ScanUploads(ctx, meta.ID{}, meta.MaxPage))
	for _, u := range c.UploadRefs {
		upload := must(s.Upload(ctx, u.ID))
		upload.Chosen = nil // the contract of the frozen releases had none
		c.Uploads = append(c.Uploads, upload)
		c.Parts = append(c.Parts, must(s.ScanParts(ctx, u.ID, 0, meta.MaxPage))...)
	}
	c.Blobs = must(s.ScanBlobs(ctx, meta.BlobPosition{}, meta.MaxPage))
	c.Holders = must(s.Holders(ctx))
	return c
}

// wantUpgraded fails the test unless the store has the contents that the old
// release saw.
func wantUpgraded(t *testing.T, s meta.Store) {
	t.Helper()
	wantContents(t, s, frozen(t))
}

func wantContents(t *testing.T, s meta.Store, was contents) {
	t.Helper()
	for i := range was.Deployment {
		was.Deployment[i].Sealing = meta.SealingLegacy // the sealing of an upgraded store
	}
	got, want := reflect.ValueOf(contentsOf(s)), reflect.ValueOf(was)
	for i := range want.NumField() {
		g, w := got.Field(i).Interface(), want.Field(i).Interface()
		if reflect.ValueOf(w).IsZero() {
			t.Errorf("%s: the frozen store has none: the test sees nothing", want.Type().Field(i).Name)
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("%s: got  %+v\nwant %+v", want.Type().Field(i).Name, g, w)
		}
	}
	if err := metatest.CheckLedger(context.Background(), s); err != nil {
		t.Error(err)
	}
}

// A store of schema 1 is upgraded to this release with all its contents, on the
// backend "local".
func TestUpgradeFromFirstSchema(t *testing.T) {
	path := oldStore(t)
	if s, err := OpenReadOnly(path); !errors.Is(err, sqlstore.ErrOlderSchema) || s != nil {
		t.Fatalf("OpenReadOnly: %v", err)
	}
	s := openTest(t, path)
	wantUpgraded(t, s)
	was := frozen(t)
	bs, err := s.ListBackends(t.Context())
	want := []meta.Backend{{
		ID: meta.FirstBackend, Name: "local", State: meta.BackendActive,
		Created: was.Deployment[0].Created, Epoch: was.Epoch,
	}}
	if err != nil || !reflect.DeepEqual(bs, want) || was.Epoch < 2 {
		t.Fatalf("backends are %+v, %v, want %+v", bs, err, want)
	}
	useUpgraded(t, s, was)
	if err := metatest.CheckLedger(t.Context(), s); err != nil {
		t.Error(err)
	}
}

// A store of schema 4, with several backends, loses nothing, and its usage is
// known.
func TestUpgradeFromFourthSchema(t *testing.T) {
	s := openTest(t, oldStoreIn(t, fourthSchema))
	was := frozenIn(t, fourthSchema)
	wantContents(t, s, was)
	var want int64
	for _, v := range was.Versions {
		want += v.Size
	}
	u, err := s.OwnerUsage(t.Context(), was.Buckets[0].Owner)
	if err != nil || u.Bytes != want || u.Versions != int64(len(was.Versions)) {
		t.Errorf("usage is %+v, %v, want %d bytes in %d versions", u, err, want, len(was.Versions))
	}
}

// useUpgraded continues work that the old release began.
func useUpgraded(t *testing.T, s meta.Store, was contents) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	if err := s.AdvanceEpoch(ctx, meta.FirstBackend, was.Epoch, was.Epoch+1); err != nil {
		t.Error(err)
	}
	bucket := was.Buckets[0].ID
	for _, b := range was.Blobs {
		if b.State != meta.BlobReserved {
			continue
		}
		v := newVersion(bucket, "committed by the new release")
		v.Body = meta.Body{Kind: meta.BodyBlob, Blob: b.ID}
		if err := s.CommitObject(ctx, meta.Commit{Version: v, Holder: b.Holder}); err != nil {
			t.Error(err)
		}
		break
	}
	for _, v := range was.Versions {
		must(s.RemoveObjects(ctx, v.Bucket, meta.VersioningOff, []meta.Removal{{Key: v.Key}}, now))
	}
	for _, h := range was.Holders {
		must(metatest.CondemnHolder(ctx, s, h, meta.MaxPage, now))
	}
	for _, u := range was.Uploads {
		if u.State == meta.UploadOpen {
			if err := s.AbortUpload(ctx, u.ID); err != nil {
				t.Error(err)
			}
		}
	}
	for must(s.Sweep(ctx, meta.MaxPage, now.Add(time.Hour), now, nil))+must(metatest.TrimAll(ctx, s, meta.MaxPage, now)) > 0 {
	}
	dead := must(s.DeadBlobs(ctx, meta.FirstBackend, now.Add(time.Hour), meta.MaxPage))
	if len(dead) != len(was.Blobs)-1 {
		t.Errorf("%d blobs are dead, want all of %d but one", len(dead), len(was.Blobs))
	}
	if err := s.Forget(ctx, meta.FirstBackend, dead); err != nil {
		t.Error(err)
	}
}

// A failed upgrade changes nothing in the old schema, and continues when it can.
func TestUpgradeInterrupted(t *testing.T) {
	path := oldStore(t)
	before := tables(t, path)
	raw(t, path, "CREATE TABLE condemned_copies (in_the_way INTEGER)") // the last table that is created
	for range 2 {
		if s, err := Open(path, Options{}); err == nil {
			s.Close()
			t.Fatal("upgraded over another's table")
		}
		if n := tables(t, path); n != before+1 {
			t.Fatalf("%d tables were left, want %d and the one in the way", n, before)
		}
		if s, err := OpenReadOnly(path); !errors.Is(err, sqlstore.ErrOlderSchema) || s != nil {
			t.Fatalf("OpenReadOnly: %v", err)
		}
	}
	raw(t, path, "DROP TABLE condemned_copies")
	wantUpgraded(t, openTest(t, path))
}

// An uninitialised store of schema 1 gets no backend: the deployment adds its own.
func TestUpgradeEmpty(t *testing.T) {
	path := oldStore(t)
	raw(t, path, "DELETE FROM deployment", "DELETE FROM users", "DELETE FROM buckets", "DELETE FROM objects",
		"DELETE FROM uploads", "DELETE FROM parts", "DELETE FROM reservations", "DELETE FROM blobs", "DELETE FROM condemned")
	s := openTest(t, path)
	if bs, err := s.ListBackends(t.Context()); err != nil || len(bs) > 0 {
		t.Fatalf("backends are %+v, %v", bs, err)
	}
	root := meta.Tenant{ID: meta.NewID(), Name: "root"}
	first := meta.Backend{ID: meta.FirstBackend, Name: "mine", Created: time.Now(), Epoch: 1}
	if err := s.InitDeployment(t.Context(), meta.Deployment{ID: meta.NewID(), Root: root.ID}, root, first); err != nil {
		t.Fatal(err)
	}
	if bs, err := s.ListBackends(t.Context()); err != nil || len(bs) != 1 || bs[0].Name != "mine" {
		t.Fatalf("backends are %+v, %v", bs, err)
	}
}
