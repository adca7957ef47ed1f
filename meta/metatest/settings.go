package metatest

import (
	"fmt"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// revision returns the bucket's revision, which Bucket and BucketSettings must
// agree on.
func (f *fixture) revision(name string) int64 {
	f.Helper()
	b, err := f.s.Bucket(f.ctx, name)
	f.ok(err)
	s, err := f.s.BucketSettings(f.ctx, b.ID)
	f.ok(err)
	if s.Bucket.Revision != b.Revision {
		f.Fatalf("the bucket is of revision %d, its settings of %d", b.Revision, s.Bucket.Revision)
	}
	return b.Revision
}

func testBucketSettings(f *fixture) {
	b, other := f.bucket("b"), f.bucket("other")
	want := func(settings ...meta.Setting) {
		f.Helper()
		got, err := f.s.BucketSettings(f.ctx, b)
		f.ok(err)
		same(f, got.Settings, settings)
	}
	set := func(name, document string) {
		f.Helper()
		before := f.revision("b")
		f.ok(f.s.SetSetting(f.ctx, b, meta.Change{Revision: before}, meta.Setting{Name: name, Document: []byte(document)}))
		if now := f.revision("b"); now <= before {
			f.Fatalf("revision %d after %d", now, before)
		}
	}
	want()
	set("policy", "one")
	set("cors", "two")
	set("policy", "three\x00")
	set("z", "four")
	want(meta.Setting{Name: "cors", Document: []byte("two")}, meta.Setting{Name: "policy", Document: []byte("three\x00")},
		meta.Setting{Name: "z", Document: []byte("four")})
	set("policy", "")
	set("absent", "")
	want(meta.Setting{Name: "cors", Document: []byte("two")}, meta.Setting{Name: "z", Document: []byte("four")})

	now := f.revision("b")
	for _, wrong := range []int64{now - 1, now + 1} {
		f.is(f.s.SetSetting(f.ctx, b, meta.Change{Revision: wrong}, meta.Setting{Name: "z", Document: []byte("five")}), meta.ErrConflict)
		f.is(f.s.SetSetting(f.ctx, b, meta.Change{Revision: wrong}, meta.Setting{Name: "z"}), meta.ErrConflict)
	}
	f.is(f.s.SetSetting(f.ctx, meta.NewID(), meta.Change{Revision: now}, meta.Setting{Name: "z", Document: []byte("five")}), meta.ErrNoBucket)
	_, err := f.s.BucketSettings(f.ctx, meta.NewID())
	f.is(err, meta.ErrNoBucket)
	want(meta.Setting{Name: "cors", Document: []byte("two")}, meta.Setting{Name: "z", Document: []byte("four")})
	got, err := f.s.BucketSettings(f.ctx, other)
	f.ok(err)
	same(f, got.Settings, nil)

	f.ok(f.s.DeleteBucket(f.ctx, b))
	_, err = f.s.BucketSettings(f.ctx, b)
	f.is(err, meta.ErrNoBucket)
	f.is(f.s.SetSetting(f.ctx, b, meta.Change{Revision: now}, meta.Setting{Name: "z", Document: []byte("five")}), meta.ErrNoBucket)
	f.sweepAll()
	b = f.bucket("b")
	want()
}

// Of changes from one revision, one succeeds.
func testSettingsRaced(f *fixture) {
	b := f.bucket("b")
	from := f.revision("b")
	const callers = 8
	errs := make([]error, callers)
	together(callers, func(i int) {
		errs[i] = f.s.SetSetting(f.ctx, b, meta.Change{Revision: from}, meta.Setting{Name: fmt.Sprint("s", i), Document: []byte("d")})
	})
	won := ""
	for i, err := range errs {
		if err == nil {
			won += fmt.Sprint("s", i)
		} else {
			f.is(err, meta.ErrConflict)
		}
	}
	got, err := f.s.BucketSettings(f.ctx, b)
	f.ok(err)
	same(f, got.Settings, []meta.Setting{{Name: won, Document: []byte("d")}})
}

func testSettingLimits(f *fixture) {
	b := f.bucket("b")
	long := strings.Repeat("n", meta.MaxSettingName+1)
	most := make([]byte, meta.MaxSetting+1)
	set := func(name string, document []byte) error {
		return f.s.SetSetting(f.ctx, b, meta.Change{Revision: f.revision("b")}, meta.Setting{Name: name, Document: document})
	}
	f.is(set("", []byte("d")), meta.ErrLimit)
	f.is(set(long, []byte("d")), meta.ErrLimit)
	f.is(set("n", most), meta.ErrLimit)
	f.ok(set(long[1:], most[1:]))
	for from := f.revision("b"); from < meta.MaxSettings; from++ {
		f.ok(f.s.SetSetting(f.ctx, b, meta.Change{Revision: from}, meta.Setting{Name: fmt.Sprint(from), Document: []byte("d")}))
	}
	f.is(set("one more", []byte("d")), meta.ErrLimit)
	f.ok(set(long[1:], []byte("replaced")))
	f.ok(set(long[1:], nil))
	f.ok(set("one more", []byte("d")))
}
