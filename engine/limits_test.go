package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// wantUsage holds the exact usage of the rig's bucket against what it should be.
func (r *rig) wantUsage(size, versions int64) {
	r.t.Helper()
	want := meta.Usage{Bytes: size, Versions: versions}
	u, err := r.e.Buckets().Usage(r.t.Context(), r.b)
	if err != nil || u != want {
		r.t.Errorf("the bucket's usage is %+v, %v; want %+v", u, err, want)
	}
}

func TestQuotas(t *testing.T) {
	for name, limit := range map[string]func(*rig, meta.Limits) error{
		"bucket": func(r *rig, l meta.Limits) error { return r.e.Buckets().SetLimits(t.Context(), r.b, l) },
		"tenant": func(r *rig, l meta.Limits) error { return r.e.Accounts().SetLimits(t.Context(), r.b.Owner, l) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.mustPut("a", body(1, 100_000))
			set := func(l meta.Limits) {
				t.Helper()
				if err := limit(r, l); err != nil {
					t.Fatal(err)
				}
				r.readBucket()
			}
			full := func(err error) {
				t.Helper()
				if !errors.Is(err, s3err.QuotaExceeded) {
					t.Fatalf("%v, want QuotaExceeded", err)
				}
			}
			set(meta.Limits{Bytes: 204_000 + 3<<10}) // each version counts for 1 KiB
			r.mustPut("b", body(2, 100_000))
			_, err := r.put("c", body(3, 100_000))
			full(err)
			_, err = r.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: r.b, SourceKey: "a", Bucket: r.b, Key: "c", Owner: r.b.Owner})
			full(err)
			full(r.multi("c")) // its first part
			r.wantAbsent("c")
			full(r.multi("c")) // the upload: the one before is open
			r.abortAll()
			r.mustPut("c", body(3, 4_000))
			r.wantUsage(204_000, 3)
			r.delete("b")
			r.mustPut("d", body(4, 100_000)) // what was freed is there at once
			set(meta.Limits{Versions: 3})
			_, err = r.put("e", nil)
			full(err)
			r.delete("a")
			r.mustPut("e", nil)
			set(meta.Limits{})
			for i := range 5 {
				r.mustPut(fmt.Sprint("free", i), body(5, 100))
			}
			r.collect()
			r.wantUsage(104_500, 8)
			if err := limit(r, meta.Limits{Bytes: -1}); !errors.Is(err, s3err.InvalidArgument) {
				t.Errorf("a limit below zero: %v", err)
			}
			r.wantClean(-1)
		})
	}
}

// readBucket reads the rig's bucket anew.
func (r *rig) readBucket() {
	r.t.Helper()
	var err error
	if r.b, err = r.e.Buckets().Get(r.t.Context(), r.b.Name); err != nil {
		r.t.Fatal(err)
	}
}

// abortAll aborts all open uploads of the bucket.
func (r *rig) abortAll() {
	r.t.Helper()
	page, err := r.e.ListUploads(r.t.Context(), meta.UploadQuery{Bucket: r.b.ID, Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, entry := range page.Entries {
		u := entry.Upload
		if err := r.e.AbortUpload(r.t.Context(), r.b, u.Key, u.ID, time.Time{}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// Whatever can be made without end is held against a quota as it comes: parts, parts
// and versions of no bytes, uploads without parts, and delete markers. Each loop ends with
// QuotaExceeded long before its own bound.
func TestQuotasBoundUploadsAndMarkers(t *testing.T) {
	const endless = 300
	part := func(r *rig, u engine.Upload, number, size int) error {
		_, err := r.e.UploadPart(t.Context(), engine.UploadPart{Bucket: r.b, Key: u.Key, Upload: u.ID, Number: number,
			Body: engine.Body{Reader: bytes.NewReader(body(9, size)), Size: int64(size)}})
		return err
	}
	begin := func(r *rig, key string) (engine.Upload, error) {
		return r.e.CreateUpload(t.Context(), engine.CreateUpload{Bucket: r.b, Key: key, Owner: r.b.Owner})
	}
	must := func(r *rig) engine.Upload {
		u, err := begin(r, "k")
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	bytesOnly, versionsOnly := meta.Limits{Bytes: 100_000}, meta.Limits{Versions: 20}
	for _, c := range []struct {
		name  string
		limit meta.Limits
		most  int // successes
		deed  func(r *rig) func(n int) error
	}{
		{"parts", bytesOnly, 9, func(r *rig) func(int) error {
			u := must(r)
			return func(n int) error { return part(r, u, 1+n, 10_000) }
		}},
		{"parts of several uploads", bytesOnly, 9, func(r *rig) func(int) error {
			us := []engine.Upload{must(r), must(r), must(r)}
			return func(n int) error { return part(r, us[n%3], 1+n, 10_000) }
		}},
		{"parts of no bytes", bytesOnly, 97, func(r *rig) func(int) error {
			u := must(r)
			return func(n int) error { return part(r, u, 1+n, 0) }
		}},
		{"versions of no bytes", bytesOnly, 97, func(r *rig) func(int) error {
			return func(n int) error { _, err := r.put(fmt.Sprint(n%3), nil); return err }
		}},
		{"uploads", bytesOnly, 97, func(r *rig) func(int) error {
			return func(n int) error { _, err := begin(r, fmt.Sprint(n)); return err }
		}},
		{"uploads, by versions", versionsOnly, 20, func(r *rig) func(int) error {
			return func(n int) error { _, err := begin(r, fmt.Sprint(n)); return err }
		}},
		{"parts that are copies", bytesOnly, 8, func(r *rig) func(int) error {
			r.mustPut("source", body(7, 10_000))
			u := must(r)
			return func(n int) error {
				_, err := r.e.CopyPart(t.Context(), engine.CopyPart{Bucket: r.b, Key: u.Key, Upload: u.ID, Number: 1 + n, SourceBucket: r.b, SourceKey: "source"})
				return err
			}
		}},
		{"markers", bytesOnly, 97, func(r *rig) func(int) error {
			return func(int) error { return r.e.DeleteObjects(t.Context(), r.b, []engine.DeleteObject{{Key: "k"}})[0].Err }
		}},
		{"markers, by versions", versionsOnly, 20, func(r *rig) func(int) error {
			return func(int) error { return r.e.DeleteObjects(t.Context(), r.b, []engine.DeleteObject{{Key: "k"}})[0].Err }
		}},
		{"markers by condition", bytesOnly, 97, func(r *rig) func(int) error {
			return func(n int) error {
				if _, err := r.put("k", nil); err != nil { // no marker meets a condition
					return err
				}
				_, err := r.e.DeleteObject(t.Context(), r.b, engine.DeleteObject{Key: "k", IfMatch: "*"})
				return err
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			if err := r.e.Buckets().SetVersioning(t.Context(), r.b, meta.VersioningEnabled); err != nil {
				t.Fatal(err)
			}
			if err := r.e.Accounts().SetLimits(t.Context(), r.b.Owner, c.limit); err != nil {
				t.Fatal(err)
			}
			r.readBucket()
			deed, n := c.deed(r), 0
			var err error
			for ; err == nil && n < endless; n++ {
				err = deed(n)
			}
			if done := n - 1; !errors.Is(err, s3err.QuotaExceeded) || done > c.most || done < c.most-2 {
				t.Errorf("%d were done, then %v; want about %d and QuotaExceeded", done, err, c.most)
			}
		})
	}
}

// An upload that a quota took in can be completed, and counts once; an abort makes
// room at once; and a bucket that is full can be deleted from.
func TestQuotasLetUploadsEnd(t *testing.T) {
	r := newRig(t)
	if err := r.e.Accounts().SetLimits(t.Context(), r.b.Owner, meta.Limits{Bytes: 8_000, Versions: 1}); err != nil {
		t.Fatal(err)
	}
	if err := r.multi("a"); err != nil { // 5,000 bytes, and what an upload and a part count for
		t.Fatal(err)
	}
	r.delete("a")
	for range 3 {
		u, err := r.e.CreateUpload(t.Context(), engine.CreateUpload{Bucket: r.b, Key: "b", Owner: r.b.Owner})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.e.CreateUpload(t.Context(), engine.CreateUpload{Bucket: r.b, Key: "b", Owner: r.b.Owner}); !errors.Is(err, s3err.QuotaExceeded) {
			t.Errorf("a second upload where there is room for one version: %v", err)
		}
		if err := r.e.AbortUpload(t.Context(), r.b, "b", u.ID, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	r.mustPut("c", body(3, 6_900))
	if err := r.e.Buckets().SetVersioning(t.Context(), r.b, meta.VersioningEnabled); err != nil {
		t.Fatal(err)
	}
	r.readBucket()
	if done, err := r.e.DeleteObject(t.Context(), r.b, engine.DeleteObject{Key: "c"}); err != nil || !done.Marker {
		t.Errorf("a deletion in a full bucket: %+v, %v", done, err)
	}
}

// A quota that cannot be read is no quota that is missing.
func TestUnreadableLimits(t *testing.T) {
	r := newRig(t)
	cred, err := r.e.Accounts().CreateTenant(t.Context(), "limited", "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if r.b, err = r.e.Buckets().Create(t.Context(), "limited", "", cred.Tenant.ID); err != nil {
		t.Fatal(err)
	}
	was, err := r.store.Tenant(t.Context(), r.b.Owner)
	if err != nil {
		t.Fatal(err)
	}
	edited := was
	edited.Limits = []byte("edited by hand")
	if err := r.store.UpdateTenant(t.Context(), was, edited); err != nil {
		t.Fatal(err)
	}
	time.Sleep(accounts.CredentialTTL) // they were read when the bucket was made
	if _, err := r.put("k", body(1, 100)); err == nil {
		t.Error("a write passed limits that cannot be read")
	}
}
