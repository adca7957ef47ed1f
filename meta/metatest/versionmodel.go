package metatest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// versionModel is the contract of a bucket in memory: each key's versions, the
// newest first.
type versionModel struct {
	*fixture
	r      *rand.Rand
	bucket meta.Bucket
	keys   map[string][]meta.Version
	ticks  int
}

const modelSteps = 300

// After many random intents, one after another, the bucket has given the model's
// answers and shows the model's contents.
func testVersionModel(f *fixture) {
	m := &versionModel{fixture: f, r: f.random(), keys: make(map[string][]meta.Version)}
	owner, _ := f.tenant("owner")
	m.bucket = meta.Bucket{ID: meta.NewID(), Name: "modelled", Owner: owner.ID, Backend: here, Created: f.now, Generation: 1}
	f.ok(f.s.CreateBucket(f.ctx, m.bucket, meta.BucketSeed{Bucket: m.bucket.ID, Generation: 1, Wrapped: []byte("seed")}, meta.MaxBucketCount))
	f.putInline(f.bucket("another"), "a")
	for step := range modelSteps {
		switch n := m.r.IntN(21); {
		case n < 8:
			m.put()
		case n < 15:
			m.remove()
		case n < 18:
			m.amend()
		case n == 18:
			m.reseal()
		case n == 19 && step > modelSteps/10:
			m.setVersioning()
		default:
			_, err := f.s.FoldUsage(f.ctx, 1+m.r.IntN(5))
			f.ok(err)
		}
		m.compareKey(m.key())
		if step%10 == 0 {
			m.compare()
		}
	}
	m.compare()
	f.checkLedger()
}

func (m *versionModel) key() string {
	return []string{"a", "a/1", "a/2", "a/2/x", "b", "\xff"}[m.r.IntN(6)]
}

// tick returns a new time, which is sometimes before the last.
func (m *versionModel) tick() time.Time {
	m.ticks++
	return m.now.Add(time.Duration(m.ticks-m.r.IntN(3)) * time.Second)
}

// current returns the key's current version, or nil.
func (m *versionModel) current(key string) *meta.Version {
	if vs := m.keys[key]; len(vs) > 0 {
		return &vs[0]
	}
	return nil
}

func (m *versionModel) expectation(key string) (e meta.Expect, holds bool) {
	cur := m.current(key)
	switch m.r.IntN(11) {
	case 0:
		return meta.Expect{Kind: meta.ExpectAbsent}, cur == nil || cur.Marker
	case 1:
		return meta.Expect{Kind: meta.ExpectVersion, Version: meta.NewID()}, false
	case 2:
		if cur != nil {
			return meta.Expect{Kind: meta.ExpectVersion, Version: cur.ID}, true
		}
	case 3:
		if vs := m.keys[key]; len(vs) > 1 {
			return meta.Expect{Kind: meta.ExpectVersion, Version: vs[1].ID}, false
		}
	case 4:
		if vs := m.keys[key]; len(vs) > 1 {
			return m.row(vs[1]), false
		}
	case 5, 6:
		if cur != nil {
			e = m.row(*cur)
			return e, e.Revision == cur.Revision
		}
	}
	return meta.Expect{}, true
}

// row expects a version, sometimes in its state before the last change.
func (m *versionModel) row(v meta.Version) meta.Expect {
	return meta.Expect{Kind: meta.ExpectRow, Version: v.ID, Revision: v.Revision - int64(m.r.IntN(2))}
}

// expectNamed returns a random expectation of a named version.
func (m *versionModel) expectNamed(key string, ref meta.VersionRef) (e meta.Expect, holds bool) {
	at := slices.IndexFunc(m.keys[key], func(v meta.Version) bool { return v.Ref() == ref })
	switch m.r.IntN(6) {
	case 0:
		return meta.Expect{Kind: meta.ExpectAbsent}, at < 0
	case 1:
		return meta.Expect{Kind: meta.ExpectRow, Version: meta.NewID()}, false
	case 2, 3:
		if at >= 0 {
			e = m.row(m.keys[key][at])
			return e, e.Revision == m.keys[key][at].Revision
		}
	}
	return meta.Expect{}, true
}

func (m *versionModel) lock() (l meta.Lock) {
	if !m.bucket.Lock {
		return l
	}
	l.Hold = m.r.IntN(6) == 0
	if l.Mode = meta.LockMode(m.r.IntN(3)); l.Mode != meta.LockNone {
		l.Until = m.now.Add(time.Duration(m.r.IntN(2*modelSteps)) * time.Second)
	}
	return l
}

func (m *versionModel) put() {
	key := m.key()
	v := m.version(m.bucket.ID, key, meta.Body{})
	v.Size, v.Modified, v.Null = m.r.Int64N(1<<40), m.tick(), m.bucket.Versioning != meta.VersioningEnabled
	v.Encryption, v.Lock = meta.Encryption(m.r.IntN(3)), m.lock()
	v.Class = []string{"", "GLACIER"}[m.r.IntN(2)]
	c := meta.Commit{Versioning: m.bucket.Versioning, Holder: m.holder, Vacant: m.r.IntN(2) == 0}
	switch m.r.IntN(4) {
	case 0:
		v.Body = blobBody(m.reserve(1)[0])
	case 1:
		if cur := m.current(m.key()); cur != nil && !cur.Marker {
			v.Body, c.Share = cur.Body, cur.Body.Kind != meta.BodyInline
		}
	}
	holds := true
	c.Expect, holds = m.expectation(key)
	c.Version = v
	c.Version.Latest, c.Version.Displaced = m.r.IntN(2) == 0, m.now // the store sets these
	err := m.s.CommitObject(m.ctx, c)
	if !holds {
		m.is(err, meta.ErrConflict)
		return
	}
	m.ok(err)
	m.add(v)
}

// add makes v current and displaces the version before it.
func (m *versionModel) add(v meta.Version) {
	if v.Null {
		m.keys[v.Key] = slices.DeleteFunc(m.keys[v.Key], func(old meta.Version) bool { return old.Null })
	}
	v.Latest, v.Displaced = true, time.Time{}
	vs := m.keys[v.Key]
	if len(vs) > 0 && vs[0].Latest {
		vs[0].Latest, vs[0].Displaced = false, v.Modified
	}
	m.keys[v.Key] = slices.Insert(vs, 0, v)
}

// bare returns the parts of a version that a Removed has.
func bare(v meta.Version) meta.Version {
	v.WrappedKey, v.Manifest, v.ListRecord, v.Marks = nil, nil, nil, nil
	return v
}

// remove carries out a few removals, several of which may be of one key.
func (m *versionModel) remove() {
	now := m.now.Add(time.Duration(m.r.IntN(2*modelSteps)) * time.Second)
	var rs []meta.Removal
	var want []meta.Removed
	before := make(map[string][]meta.Version)
	for k, vs := range m.keys {
		before[k] = slices.Clone(vs)
	}
	named := make(map[string]bool)
	for range 1 + m.r.IntN(3) {
		r := meta.Removal{Key: m.key(), Bypass: m.r.IntN(2) == 0}
		if vs := m.keys[r.Key]; len(vs) > 0 && m.r.IntN(3) > 0 {
			r.Version = vs[m.r.IntN(len(vs))].Ref()
		} else if m.r.IntN(5) == 0 {
			r.Version = []meta.VersionRef{{Null: true}, {ID: meta.NewID()}}[m.r.IntN(2)]
		}
		if at := r.Key + "\x00" + r.Version.String(); named[at] {
			continue
		} else {
			named[at] = true
		}
		holds := true
		r.Expect, holds = m.expectation(r.Key)
		if !r.Version.IsZero() {
			var as bool
			r.Named, as = m.expectNamed(r.Key, r.Version)
			holds = holds && as
		}
		r.Marker = meta.Version{ID: meta.NewID(), Owner: meta.NewID(), Modified: m.tick()}
		if m.r.IntN(2) == 0 {
			r.Marker.Generation, r.Marker.ListRecord = 3, []byte("record of a marker")
		}
		rs = append(rs, r)
		if !holds {
			want = append(want, meta.Removed{Err: meta.ErrConflict})
			continue
		}
		want = append(want, m.removed(r, now))
	}
	if m.r.IntN(10) == 0 { // by a caller that does not know the bucket's versioning
		other := (m.bucket.Versioning + 1 + meta.Versioning(m.r.IntN(2))) % 3
		_, err := m.s.RemoveObjects(m.ctx, m.bucket.ID, other, rs, now)
		m.is(err, meta.ErrVersioning)
		m.keys = before
		return
	}
	got, err := m.s.RemoveObjects(m.ctx, m.bucket.ID, m.bucket.Versioning, rs, now)
	m.ok(err)
	for i := range got {
		if !errors.Is(got[i].Err, want[i].Err) {
			m.Fatalf("removal %+v: %v, want %v", rs[i], got[i].Err, want[i].Err)
		}
		got[i].Err = want[i].Err
	}
	same(m.fixture, got, want)
}

// removed applies the removal to the model.
func (m *versionModel) removed(r meta.Removal, now time.Time) (done meta.Removed) {
	vs := m.keys[r.Key]
	match := func(v meta.Version) bool { return v.Ref() == r.Version }
	if r.Version.IsZero() {
		match = func(v meta.Version) bool { return v.Null && m.bucket.Versioning != meta.VersioningEnabled }
	}
	if i := slices.IndexFunc(vs, match); i >= 0 {
		if vs[i].Lock.Forbids(now, r.Bypass) {
			return meta.Removed{Err: meta.ErrLocked}
		}
		done.Found = bare(vs[i])
		vs = slices.Delete(vs, i, i+1)
	}
	m.keys[r.Key] = vs
	if r.Version.IsZero() && m.bucket.Versioning != meta.VersioningOff {
		done.Marked = true
		m.add(meta.Version{Bucket: m.bucket.ID, Key: r.Key, ID: r.Marker.ID, Owner: r.Marker.Owner, Modified: r.Marker.Modified,
			Generation: r.Marker.Generation, ListRecord: r.Marker.ListRecord, Null: m.bucket.Versioning != meta.VersioningEnabled, Marker: true})
		return done
	}
	if len(vs) > 0 {
		vs[0].Latest, vs[0].Displaced = true, time.Time{}
	}
	return done
}

func (m *versionModel) amend() {
	key := m.key()
	vs := m.keys[key]
	a := meta.Amendment{Key: key, Version: meta.NewID(), Class: "GLACIER", Lock: m.lock()}
	if m.r.IntN(2) == 0 {
		a.Marks = []byte(fmt.Sprint("marks ", m.ticks))
	}
	a.ListRecord = []byte(fmt.Sprint("record of an amendment ", m.ticks))
	if len(vs) == 0 || m.r.IntN(8) == 0 {
		m.is(m.s.AmendVersion(m.ctx, m.bucket.ID, a), meta.ErrNotFound)
		return
	}
	v := &vs[m.r.IntN(len(vs))]
	a.Version, a.Revision = v.ID, v.Revision
	if v.Marker {
		m.is(m.s.AmendVersion(m.ctx, m.bucket.ID, a), meta.ErrNotFound)
		return
	}
	if m.r.IntN(4) == 0 {
		a.Revision++
		m.is(m.s.AmendVersion(m.ctx, m.bucket.ID, a), meta.ErrConflict)
		return
	}
	m.ok(m.s.AmendVersion(m.ctx, m.bucket.ID, a))
	v.Marks, v.Lock, v.Class, v.ListRecord = a.Marks, a.Lock, a.Class, a.ListRecord
	v.Revision++
}

// reseal gives a few versions another record. Some of them are missing, or changed
// since. Markers have records too.
func (m *versionModel) reseal() {
	var rs []meta.Reseal
	done := 0
	for i := range 1 + m.r.IntN(4) {
		r := meta.Reseal{Bucket: m.bucket.ID, Key: m.key(), Version: meta.NewID(), Generation: uint32(m.r.IntN(4)),
			ListRecord: []byte(fmt.Sprint("resealed ", m.ticks, i))}
		if vs := m.keys[r.Key]; len(vs) > 0 && m.r.IntN(8) > 0 {
			v := &vs[m.r.IntN(len(vs))]
			r.Version, r.Revision = v.ID, v.Revision
			if m.r.IntN(4) == 0 {
				r.Revision++
			} else {
				v.Generation, v.ListRecord = r.Generation, r.ListRecord
				done++
			}
		}
		rs = append(rs, r)
	}
	got, err := m.s.ResealVersions(m.ctx, rs)
	m.ok(err)
	if got != done {
		m.Fatalf("%d resealed, want %d", got, done)
	}
}

func (m *versionModel) setVersioning() {
	v, lock := meta.Versioning(m.r.IntN(3)), m.r.IntN(6) == 0
	err := m.fixture.setVersioning(m.bucket.ID, v, lock)
	if v == meta.VersioningOff || v == meta.VersioningSuspended && (lock || m.bucket.Lock) {
		m.is(err, meta.ErrConflict)
		return
	}
	m.ok(err)
	m.bucket.Versioning, m.bucket.Lock = v, m.bucket.Lock || lock
	m.bucket.Revision++
}

// compareKey reads a key by each of its names.
func (m *versionModel) compareKey(key string) {
	m.Helper()
	vs := m.keys[key]
	held, err := m.s.Object(m.ctx, m.bucket.ID, key)
	found, in, again := m.s.Find(m.ctx, m.bucket.Name, key)
	m.ok(again)
	same(m.fixture, found, m.bucket)
	if cur := m.current(key); cur != nil && !cur.Marker {
		m.ok(err)
		same(m.fixture, held, *cur)
		same(m.fixture, in, *cur)
	} else {
		m.is(err, meta.ErrNotFound)
		if !in.ID.IsZero() {
			m.Fatalf("%q holds %+v", key, in)
		}
	}
	found, vacant, err := m.s.Vacant(m.ctx, m.bucket.Name, key)
	m.ok(err)
	same(m.fixture, found, m.bucket)
	if vacant != in.ID.IsZero() {
		m.Fatalf("%q is vacant: %t, and holds %+v", key, vacant, in)
	}
	null := false
	for i, v := range vs {
		null = null || v.Null
		refs := []meta.VersionRef{v.Ref()}
		if i == 0 {
			refs = append(refs, meta.VersionRef{})
		}
		for _, ref := range refs {
			got, err := m.s.Version(m.ctx, m.bucket.ID, key, ref)
			m.ok(err)
			same(m.fixture, got, v)
		}
		if v.Null { // clients know it only by this name
			_, err := m.s.Version(m.ctx, m.bucket.ID, key, meta.VersionRef{ID: v.ID})
			m.is(err, meta.ErrNotFound)
		}
	}
	absent := []meta.VersionRef{{ID: meta.NewID()}}
	if !null {
		absent = append(absent, meta.VersionRef{Null: true})
	}
	if len(vs) == 0 {
		absent = append(absent, meta.VersionRef{})
	}
	for _, ref := range absent {
		_, err := m.s.Version(m.ctx, m.bucket.ID, key, ref)
		m.is(err, meta.ErrNotFound)
	}
}

// limit returns a small or large page size, because stores may read them
// differently.
func (m *versionModel) limit() int {
	return 1 + m.r.IntN(8) + m.r.IntN(2)*8
}

// compare reads everything.
func (m *versionModel) compare() {
	m.Helper()
	for _, key := range []string{"a", "a/1", "a/2", "a/2/x", "b", "\xff"} {
		m.compareKey(key)
	}
	m.compareListing(meta.VersionQuery{Limit: m.limit(), Brief: m.r.IntN(2) == 0})
	q := meta.VersionQuery{Limit: m.limit(), Delimiter: []string{"", "/"}[m.r.IntN(2)], Brief: m.r.IntN(2) == 0}
	q.Prefix = []string{"", "a", "a/", "a/2", "z"}[m.r.IntN(5)]
	m.compareListing(q)
	q.AfterKey = m.key()
	if vs := m.keys[q.AfterKey]; len(vs) > 0 && m.r.IntN(2) == 0 {
		q.AfterVersion = vs[m.r.IntN(len(vs))].Ref()
	}
	m.compareListing(q)
	m.compareScan()
	var want meta.Usage
	for _, vs := range m.keys {
		for _, v := range vs {
			if v.Marker {
				want.Markers++
			} else {
				want.Bytes += v.Size
				want.Versions++
			}
		}
	}
	got, err := m.s.BucketUsage(m.ctx, m.bucket.ID)
	m.ok(err)
	same(m.fixture, got, want)
	got, err = m.s.OwnerUsage(m.ctx, m.bucket.Owner)
	m.ok(err)
	same(m.fixture, got, want)
}

// listed returns the entries that a listing should show from the query's position
// on.
func (m *versionModel) listed(q meta.VersionQuery) (entries []meta.VersionEntry) {
	keys := make([]string, 0, len(m.keys))
	for k := range m.keys {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	last := ""
	for _, k := range keys {
		if !strings.HasPrefix(k, q.Prefix) {
			continue
		}
		if common, ok := modelCommon(k, q.Prefix, q.Delimiter); ok {
			if common > q.AfterKey && common != last && len(m.keys[k]) > 0 && !strings.HasPrefix(q.AfterKey, common) {
				entries = append(entries, meta.VersionEntry{CommonPrefix: common})
				last = common
			}
			continue
		}
		vs := m.keys[k]
		switch {
		case k < q.AfterKey || k == q.AfterKey && q.AfterVersion.IsZero():
			continue
		case k == q.AfterKey:
			at := slices.IndexFunc(vs, func(v meta.Version) bool { return v.Ref() == q.AfterVersion })
			vs = vs[at+1:]
		}
		for _, v := range vs {
			v.WrappedKey, v.Manifest = nil, nil
			if q.Brief {
				v.Body, v.Encryption, v.Lock, v.Marks, v.Revision = meta.Body{}, 0, meta.Lock{}, nil, 0
			}
			entries = append(entries, meta.VersionEntry{Version: v})
		}
	}
	return entries
}

func (m *versionModel) compareListing(q meta.VersionQuery) {
	m.Helper()
	q.Bucket = m.bucket.ID
	want := m.listed(q)
	var got []meta.VersionEntry
	for range 10000 {
		p, err := m.s.ListVersions(m.ctx, q)
		m.ok(err)
		if len(p.Entries) > q.Limit || p.More && len(p.Entries) < q.Limit {
			m.Fatalf("%+v: %d entries, more %t", q, len(p.Entries), p.More)
		}
		got = append(got, p.Entries...)
		if !p.More {
			same(m.fixture, got, want)
			return
		}
		q.AfterKey, q.AfterVersion = p.NextKey, p.NextVersion
	}
	m.Fatalf("%+v finds no end", q)
}

func (m *versionModel) compareScan() {
	m.Helper()
	var want, got []meta.Version
	for _, vs := range m.keys {
		for _, v := range vs {
			v.WrappedKey, v.Manifest = nil, nil
			want = append(want, v)
		}
	}
	slices.SortFunc(want, func(a, b meta.Version) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), bytes.Compare(a.ID[:], b.ID[:]))
	})
	limit := 1 + m.r.IntN(5)
	var after meta.ObjectPosition
	for {
		page, err := m.s.ScanObjects(m.ctx, after, limit)
		m.ok(err)
		if len(page) == 0 {
			break
		}
		for _, o := range page {
			if o.Bucket == m.bucket.ID {
				got = append(got, o.Version)
			}
			after = o.At
		}
	}
	same(m.fixture, got, want)
}
