package postgres

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sanctum-storage/gateway/meta"
)

// A gateway of the previous release, which counts and folds bytes and versions
// only, does not lose the markers, uploads and parts of others.
func TestUsageBesideTheReleaseBefore(t *testing.T) {
	name := files15.database(t)
	s, conn := openStore(t, files15.server.URL(name), Options{}), files15.conn(t, name)
	addBucket(t, s)
	b := meta.Bucket{ID: meta.NewID(), Owner: rootOf(t, s), Backend: meta.FirstBackend, Name: "versioned", Versioning: meta.VersioningEnabled}
	if err := s.CreateBucket(t.Context(), b, meta.BucketSeed{Bucket: b.ID, Generation: 1, Wrapped: []byte("seed")}, meta.MaxBucketCount); err != nil {
		t.Fatal(err)
	}
	want := meta.Usage{Bytes: 1 << 20, Versions: 1, Markers: 2, Uploads: 1, Parts: 1, PartBytes: 500}
	holder, blob := meta.NewID(), newBlobID()
	v := newVersion(b.ID, "object")
	v.Null = false
	u := meta.Upload{ID: meta.NewID(), Bucket: b.ID, Key: "upload", Owner: b.Owner, Created: time.Now(), Generation: 1}
	for _, err := range []error{
		s.CommitObject(t.Context(), meta.Commit{Version: v, Versioning: b.Versioning}),
		s.CreateUpload(t.Context(), u),
		s.Reserve(t.Context(), holder, meta.FirstBackend, []meta.BlobID{blob}, time.Now()),
		s.PutPart(t.Context(), meta.PutPart{Holder: holder, Part: meta.Part{Upload: u.ID, Number: 1, Attempt: meta.NewID(), Size: 500, Modified: time.Now(), Blobs: []meta.BlobID{blob}}}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"a", "b"} {
		marker := meta.Version{ID: meta.NewID(), Owner: b.Owner, Modified: time.Now(), Generation: 1}
		if _, err := s.RemoveObjects(t.Context(), b.ID, b.Versioning, []meta.Removal{{Key: key, Marker: marker}}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, want meta.Usage) {
		t.Helper()
		for _, read := range []func() (meta.Usage, error){
			func() (meta.Usage, error) { return s.BucketUsage(t.Context(), b.ID) },
			func() (meta.Usage, error) { return s.OwnerUsage(t.Context(), b.Owner) },
		} {
			if got, err := read(); err != nil || got != want {
				t.Errorf("%s: %+v, %v; want %+v", when, got, err, want)
			}
		}
	}
	check("before", want)
	foldAsBefore(t, conn)
	check("summed up by the release before", want)
	if err := s.AbortUpload(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	foldAsBefore(t, conn)
	want.Uploads, want.Parts, want.PartBytes = 0, 0, 0
	check("without the upload", want)
	for n := 1; n > 0; {
		var err error
		if n, err = s.FoldUsage(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
	}
	check("summed up by this one", want)
}

// foldAsBefore is FoldUsage of that release.
func foldAsBefore(t *testing.T, c *pgx.Conn) {
	t.Helper()
	for _, statement := range []string{
		`INSERT INTO usage (bucket_id, bytes, versions) SELECT bucket_id, SUM(bytes), SUM(versions) FROM usage_changes GROUP BY bucket_id
			ON CONFLICT (bucket_id) DO UPDATE SET bytes = usage.bytes + excluded.bytes, versions = usage.versions + excluded.versions`,
		"DELETE FROM usage_changes",
	} {
		if _, err := c.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}
