package metatest

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// row is an entry of a listing in the model.
type row struct {
	key    string
	common bool
	id     meta.ID // of an upload
}

// modelCommon cuts a key as S3 does: after the first delimiter behind the prefix.
func modelCommon(key, prefix, delimiter string) (string, bool) {
	if delimiter == "" {
		return "", false
	}
	before, _, found := strings.Cut(key[len(prefix):], delimiter)
	return prefix + before + delimiter, found
}

// model lists all rows above the position, reading every key.
func model(all []row, prefix, delimiter, after string, afterID meta.ID) (out []row) {
	for _, r := range all {
		if !strings.HasPrefix(r.key, prefix) {
			continue
		}
		if common, ok := modelCommon(r.key, prefix, delimiter); ok {
			r = row{key: common, common: true}
		}
		beyond := r.key > after
		if r.key == after && !r.common && afterID != (meta.ID{}) {
			beyond = bytes.Compare(r.id[:], afterID[:]) > 0
		}
		if beyond && (len(out) == 0 || out[len(out)-1] != r) {
			out = append(out, r)
		}
	}
	return out
}

func pageRows(p meta.ListPage) (rows []row) {
	for _, e := range p.Entries {
		rows = append(rows, row{key: e.CommonPrefix + e.Key, common: e.CommonPrefix != ""})
	}
	return rows
}

// wantPage fails the test unless the page has the model's first limit rows, and the
// right continuation.
func wantPage(f *fixture, q meta.ListQuery, p meta.ListPage, want []row) {
	f.Helper()
	more := len(want) > q.Limit
	want = want[:min(len(want), q.Limit)]
	if got := pageRows(p); !slices.Equal(got, want) || p.More != more {
		f.Fatalf("%#v:\ngot  %#v more %t\nwant %#v more %t", q, got, p.More, want, more)
	}
	if more && p.Next != want[len(want)-1].key {
		f.Fatalf("%#v: next is %q, want %q", q, p.Next, want[len(want)-1].key)
	}
}

// pages lists page by page.
func (f *fixture) pages(q meta.ListQuery) (rows []row) {
	f.Helper()
	for range 10000 {
		p, err := f.s.ListObjects(f.ctx, q)
		f.ok(err)
		rows = append(rows, pageRows(p)...)
		if !p.More {
			return rows
		}
		q.After = p.Next
	}
	f.Fatalf("%#v finds no end", q)
	return nil
}

func testListing(f *fixture) {
	b := f.bucket("b")
	f.putInline(f.bucket("other"), "a/elsewhere")
	v := f.putInline(b, "a/1")
	for _, k := range []string{"a", "a/2", "a/2/x", "a//", "a0", "b/1", "b/2", "c", "d/", "é/1", "\xff/1", "\xff\xff"} {
		f.putInline(b, k)
	}
	for _, c := range []struct {
		q    meta.ListQuery
		want string
	}{
		{meta.ListQuery{Limit: 100}, "a a// a/1 a/2 a/2/x a0 b/1 b/2 c d/ é/1 \xff/1 \xff\xff"},
		{meta.ListQuery{Limit: 100, Delimiter: "/"}, "a a/* a0 b/* c d/* é/* \xff/* \xff\xff"},
		{meta.ListQuery{Limit: 3, Delimiter: "/"}, "a a/* a0 +"},
		{meta.ListQuery{Limit: 100, Delimiter: "/", After: "a"}, "a/* a0 b/* c d/* é/* \xff/* \xff\xff"},
		{meta.ListQuery{Limit: 100, Delimiter: "/", After: "a/"}, "a0 b/* c d/* é/* \xff/* \xff\xff"},
		{meta.ListQuery{Limit: 100, Delimiter: "/", After: "a/1"}, "a0 b/* c d/* é/* \xff/* \xff\xff"},
		{meta.ListQuery{Limit: 100, Delimiter: "/", After: "a."}, "a/* a0 b/* c d/* é/* \xff/* \xff\xff"},
		{meta.ListQuery{Limit: 100, Delimiter: "/", Prefix: "a/"}, "a//* a/1 a/2 a/2/*"},
		{meta.ListQuery{Limit: 100, Delimiter: "/", Prefix: "a/", After: "a/2"}, "a/2/*"},
		{meta.ListQuery{Limit: 100, Delimiter: "/", Prefix: "a/2"}, "a/2 a/2/*"},
		{meta.ListQuery{Limit: 100, Prefix: "a/2"}, "a/2 a/2/x"},
		{meta.ListQuery{Limit: 100, Delimiter: "/", Prefix: "\xff"}, "\xff/* \xff\xff"},
		{meta.ListQuery{Limit: 100, Delimiter: "\xff"}, "a a// a/1 a/2 a/2/x a0 b/1 b/2 c d/ é/1 \xff*"},
		{meta.ListQuery{Limit: 100, Delimiter: "\xff", After: "\xff"}, ""},
		{meta.ListQuery{Limit: 100, Delimiter: "2/"}, "a a// a/1 a/2 a/2/* a0 b/1 b/2 c d/ é/1 \xff/1 \xff\xff"},
		{meta.ListQuery{Limit: 100, Prefix: "b", After: "a/2"}, "b/1 b/2"},
		{meta.ListQuery{Limit: 100, Prefix: "b", After: "c"}, ""},
		{meta.ListQuery{Limit: 100, Prefix: "zzz"}, ""},
		{meta.ListQuery{Limit: 1, Prefix: "c"}, "c"},
	} {
		c.q.Bucket = b
		p, err := f.s.ListObjects(f.ctx, c.q)
		f.ok(err)
		var got []string
		for _, r := range pageRows(p) {
			if r.common {
				r.key += "*"
			}
			got = append(got, r.key)
		}
		if p.More {
			got = append(got, "+")
		}
		if s := strings.Join(got, " "); s != c.want {
			f.Errorf("%#v:\ngot  %q\nwant %q", c.q, s, c.want)
		}
	}
	p, err := f.s.ListObjects(f.ctx, meta.ListQuery{Bucket: b, Prefix: "a/1", Limit: 1})
	f.ok(err)
	same(f, p.Entries, []meta.ListEntry{{
		Key: v.Key, Version: v.ID, Null: v.Null, Owner: v.Owner, Size: v.Size, Modified: v.Modified, Generation: v.Generation, ListRecord: v.ListRecord,
	}})
}

// Keys are drawn from few bytes, so that they contain prefixes and delimiters.
var (
	letters    = []string{"\x00", "a", "b", "/", "//", "\xff", "\xfe", "\x80", "é"}
	delimiters = []string{"", "/", "//", "a", "\xff", "\x00", "\xff\xff", "ab", "é", "\xc3"}
)

func randomString(r *rand.Rand, least, most int) string {
	var s strings.Builder
	for range least + r.IntN(most-least+1) {
		s.WriteString(letters[r.IntN(len(letters))])
	}
	return s.String()
}

// randomQuery returns a prefix, a delimiter and a position, often taken from keys.
func randomQuery(r *rand.Rand, all []row) (prefix, delimiter, after string) {
	delimiter = delimiters[r.IntN(len(delimiters))]
	key := all[r.IntN(len(all))].key
	if r.IntN(2) == 0 {
		prefix = key[:r.IntN(min(len(key), 3)+1)]
	}
	switch r.IntN(4) {
	case 0:
		after = all[r.IntN(len(all))].key
	case 1:
		after = randomString(r, 0, 4)
	case 2:
		after, _ = modelCommon(prefix+key, prefix, delimiter)
	}
	return prefix, delimiter, after
}

func testListingRandom(f *fixture) {
	r := f.random()
	b := f.bucket("b")
	seen := make(map[string]bool)
	var all []row
	for range 300 {
		key := randomString(r, 1, 6)
		if !seen[key] {
			seen[key] = true
			all = append(all, row{key: key})
			f.putInline(b, key)
		}
	}
	slices.SortFunc(all, func(a, b row) int { return strings.Compare(a.key, b.key) })
	for range 400 {
		q := meta.ListQuery{Bucket: b, Limit: 1 + r.IntN(20)}
		q.Prefix, q.Delimiter, q.After = randomQuery(r, all)
		want := model(all, q.Prefix, q.Delimiter, q.After, meta.ID{})
		p, err := f.s.ListObjects(f.ctx, q)
		f.ok(err)
		wantPage(f, q, p, want)
		if got := f.pages(q); !slices.Equal(got, want) {
			f.Fatalf("%#v page by page:\ngot  %#v\nwant %#v", q, got, want)
		}
	}
}

func testUploadListingRandom(f *fixture) {
	r := f.random()
	b := f.bucket("b")
	var all []row
	for range 200 {
		u := f.upload(b, randomString(r, 1, 3))
		all = append(all, row{key: u.Key, id: u.ID})
	}
	slices.SortFunc(all, func(a, b row) int {
		if c := strings.Compare(a.key, b.key); c != 0 {
			return c
		}
		return bytes.Compare(a.id[:], b.id[:])
	})
	for range 300 {
		q := meta.UploadQuery{Bucket: b, Limit: 1 + r.IntN(10)}
		q.Prefix, q.Delimiter, q.AfterKey = randomQuery(r, all)
		if r.IntN(3) == 0 {
			at := all[r.IntN(len(all))]
			q.AfterKey, q.AfterUpload = at.key, at.id
		}
		want := model(all, q.Prefix, q.Delimiter, q.AfterKey, q.AfterUpload)
		if got := f.uploadPages(q); !slices.Equal(got, want) {
			f.Fatalf("%#v:\ngot  %#v\nwant %#v", q, got, want)
		}
	}
}

func (f *fixture) uploadPages(q meta.UploadQuery) (rows []row) {
	f.Helper()
	for range 10000 {
		p, err := f.s.ListUploads(f.ctx, q)
		f.ok(err)
		if len(p.Entries) > q.Limit || p.More && len(p.Entries) < q.Limit {
			f.Fatalf("%#v: %d entries, more %t", q, len(p.Entries), p.More)
		}
		for _, e := range p.Entries {
			rows = append(rows, row{key: e.CommonPrefix + e.Upload.Key, common: e.CommonPrefix != "", id: e.Upload.ID})
		}
		if !p.More {
			return rows
		}
		q.AfterKey, q.AfterUpload = p.NextKey, p.NextUpload
	}
	f.Fatalf("%#v finds no end", q)
	return nil
}
