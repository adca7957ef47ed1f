package metatest

import (
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// renewal is that of a version as it was read.
func renewal(v meta.Version, generation uint32) meta.Renewal {
	return meta.Renewal{
		Bucket: v.Bucket, Key: v.Key, Version: v.ID, Revision: v.Revision, Old: v.Marker || !v.Latest,
		Generation: generation, WrappedKey: []byte("wrapped anew"), ListRecord: []byte("record anew"), Marks: []byte("marks anew"),
	}
}

// renewed is a version after its renewal.
func renewed(v meta.Version, r meta.Renewal) meta.Version {
	v.Revision, v.Generation, v.WrappedKey, v.ListRecord, v.Marks = v.Revision+1, r.Generation, r.WrappedKey, r.ListRecord, r.Marks
	return v
}

// Versions, current and not, and markers are renewed where they are still as they were read,
// by the holder of the lease and by nobody else. Nothing else of them changes.
func testRenewVersions(f *fixture) {
	id := f.versioned("photos")
	for i := range 3 {
		for range 2 {
			f.putVersion(id, fmt.Sprint("k", i), meta.VersioningEnabled)
		}
	}
	_, err := f.s.RemoveObjects(f.ctx, id, meta.VersioningEnabled, []meta.Removal{{Key: "k1", Marker: meta.Version{
		ID: meta.NewID(), Owner: f.root, Modified: f.now, Generation: 1, ListRecord: []byte("record"), Marker: true}}}, f.now)
	f.ok(err)
	scan := func() (rows []meta.Version) {
		page, err := f.s.ScanKeys(f.ctx, meta.ObjectPosition{}, meta.MaxPage)
		f.ok(err)
		for _, v := range page {
			f.ok(v.Err)
			rows = append(rows, v.Version)
		}
		return rows
	}
	rows := scan()
	plain, err := f.s.ScanObjects(f.ctx, meta.ObjectPosition{}, meta.MaxPage)
	f.ok(err)
	if len(rows) != 7 {
		f.Fatalf("%d versions", len(rows))
	}
	for i := range rows {
		if !rows[i].Marker && len(rows[i].WrappedKey) == 0 {
			f.Errorf("%s has the wrapped key %q", rows[i].Key, rows[i].WrappedKey)
		}
		v := rows[i]
		v.WrappedKey = nil
		same(f, v, plain[i].Version)
	}

	l := f.lease("rotate")
	var rs []meta.Renewal
	want := append([]meta.Version(nil), rows...)
	for i, v := range rows[:5] {
		rs = append(rs, renewal(v, 2))
		want[i] = renewed(v, rs[i])
	}
	stale, moved, gone := renewal(rows[5], 2), renewal(rows[6], 2), renewal(rows[5], 2)
	stale.Revision, moved.Old, gone.Version = 7, !moved.Old, meta.NewID()
	n, err := f.s.RenewVersions(f.ctx, l, append(rs, stale, moved, gone))
	f.ok(err)
	same(f, n, 5)
	now := scan()
	same(f, now, want)
	n, err = f.s.RenewVersions(f.ctx, l, rs)
	f.ok(err)
	same(f, n, 0) // they have another revision
	for _, not := range f.notLease(l) {
		_, err := f.s.RenewVersions(f.ctx, not, []meta.Renewal{renewal(now[0], 3)})
		f.is(err, meta.ErrConflict)
	}
	long := renewal(now[0], 3)
	long.Marks = make([]byte, meta.MaxMarks+1)
	for _, rs := range [][]meta.Renewal{nil, make([]meta.Renewal, meta.MaxBatch+1), {long}} {
		_, err := f.s.RenewVersions(f.ctx, l, rs)
		f.is(err, meta.ErrLimit)
	}
	// A change that was made of the row as it was is none of what it is.
	f.is(f.s.AmendVersion(f.ctx, id, meta.Amendment{Key: rows[0].Key, Version: rows[0].ID, Revision: rows[0].Revision}), meta.ErrConflict)
	f.checkLedger()
}

// The keys of uploads are renewed in any state, where they are still wrapped as they were
// read.
func testRenewUploads(f *fixture) {
	id := f.bucket("photos")
	for i := range 3 {
		u := meta.Upload{ID: meta.NewID(), Bucket: id, Key: fmt.Sprint(i), Created: f.now, Generation: 1, WrappedKey: []byte("wrapped")}
		f.ok(f.s.CreateUpload(f.ctx, u))
		if i == 1 {
			f.ok(f.s.AbortUpload(f.ctx, u.ID))
		}
	}
	all, err := f.s.ScanUploadKeys(f.ctx, meta.ID{}, meta.MaxPage)
	f.ok(err)
	same(f, len(all), 3)
	some, err := f.s.ScanUploadKeys(f.ctx, all[0].ID, 1)
	f.ok(err)
	same(f, some, all[1:2])
	l := f.lease("rotate")
	var rs []meta.UploadRenewal
	for i := range all {
		if all[i].Generation != 1 || all[i].Bucket != id || string(all[i].WrappedKey) != "wrapped" {
			f.Fatalf("%+v", all[i])
		}
		rs = append(rs, meta.UploadRenewal{Upload: all[i].ID, Was: []byte("wrapped"), Generation: 2, WrappedKey: []byte("anew")})
		all[i].Generation, all[i].WrappedKey = 2, []byte("anew")
	}
	for _, not := range f.notLease(l) {
		_, err := f.s.RenewUploads(f.ctx, not, rs)
		f.is(err, meta.ErrConflict)
	}
	n, err := f.s.RenewUploads(f.ctx, l, append(rs, meta.UploadRenewal{Upload: meta.NewID(), Was: []byte("wrapped"), WrappedKey: []byte("anew")}))
	f.ok(err)
	same(f, n, 3)
	n, err = f.s.RenewUploads(f.ctx, l, rs)
	f.ok(err)
	same(f, n, 0)
	now, err := f.s.ScanUploadKeys(f.ctx, meta.ID{}, meta.MaxPage)
	f.ok(err)
	same(f, now, all)
	for _, rs := range [][]meta.UploadRenewal{nil, make([]meta.UploadRenewal, meta.MaxBatch+1)} {
		_, err := f.s.RenewUploads(f.ctx, l, rs)
		f.is(err, meta.ErrLimit)
	}
}

// Settings are renewed together, under the bucket's revision, and none is made or removed.
func testRenewSettings(f *fixture) {
	id := f.bucket("photos")
	for i, name := range []string{"cors", "policy"} {
		f.ok(f.s.SetSetting(f.ctx, id, meta.Change{Revision: int64(i)}, meta.Setting{Name: name, Document: []byte(name)}))
	}
	l := f.lease("rotate")
	anew := []meta.Setting{{Name: "cors", Document: []byte("anew")}, {Name: "policy", Document: []byte("anew, too")}}
	for _, not := range f.notLease(l) {
		f.is(f.s.RenewSettings(f.ctx, not, id, meta.Change{Revision: 2}, anew), meta.ErrConflict)
	}
	f.is(f.s.RenewSettings(f.ctx, l, id, meta.Change{Revision: 1}, anew), meta.ErrConflict)
	f.is(f.s.RenewSettings(f.ctx, l, meta.NewID(), meta.Change{}, anew), meta.ErrNoBucket)
	f.is(f.s.RenewSettings(f.ctx, l, id, meta.Change{Revision: 2}, []meta.Setting{anew[0], {Name: "absent", Document: []byte("x")}}), meta.ErrNotFound)
	for _, bad := range [][]meta.Setting{nil, {{Name: "cors"}}, make([]meta.Setting, meta.MaxBatch+1), {{Name: "cors", Document: make([]byte, meta.MaxSetting+1)}}} {
		f.is(f.s.RenewSettings(f.ctx, l, id, meta.Change{Revision: 2}, bad), meta.ErrLimit)
	}
	f.ok(f.s.RenewSettings(f.ctx, l, id, meta.Change{Revision: 2, Record: []byte("record")}, anew))
	got, err := f.s.BucketSettings(f.ctx, id)
	f.ok(err)
	same(f, got.Settings, anew)
	if got.Bucket.Revision != 3 || string(got.Bucket.Record) != "record" {
		f.Errorf("%+v", got.Bucket)
	}
}
