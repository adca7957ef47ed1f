package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// rename renames within the rig's bucket, after change has had its say.
func (r *rig) rename(from, to string, change ...func(*engine.RenameObject)) error {
	in := engine.RenameObject{Bucket: r.b, Source: from, Asked: from, Key: to, Asker: r.b.Owner}
	for _, c := range change {
		c(&in)
	}
	return r.e.RenameObject(r.t.Context(), in)
}

func (r *rig) mustRename(from, to string, change ...func(*engine.RenameObject)) {
	r.t.Helper()
	if err := r.rename(from, to, change...); err != nil {
		r.t.Fatalf("rename %q to %q: %v", from, to, err)
	}
}

func (r *rig) head(key string, customer *engine.CustomerKey) engine.Object {
	r.t.Helper()
	rd, err := r.e.HeadObject(r.t.Context(), engine.GetObject{Bucket: r.b, Key: key, Customer: customer})
	if err != nil {
		r.t.Fatal(err)
	}
	return rd.Object
}

// A renamed object is described, listed and read as it was, under its new name only,
// and nothing is read or written at the backend for it.
func TestRename(t *testing.T) {
	r := newRig(t)
	data := map[string][]byte{"empty": nil, "small": body(1, 5000), "large": body(2, 3<<20)}
	for key, b := range data {
		_, err := r.e.PutObject(t.Context(), engine.PutObject{Bucket: r.b, Key: key, Owner: r.b.Owner,
			Attributes: engine.Attributes{ContentType: "text/x", WebsiteRedirect: "/elsewhere", StorageClass: "STANDARD_IA",
				Metadata: []engine.Pair{{Name: "a", Value: "b"}}},
			Marks: engine.Marks{Tags: []engine.Pair{{Name: "t", Value: "v"}}, ACL: []byte(`{"x":1}`)},
			Body:  engine.Body{Reader: bytes.NewReader(b), Size: int64(len(b)), ChecksumAlgorithm: engine.CRC64NVME}})
		if err != nil {
			t.Fatal(err)
		}
	}
	data["parts"] = append(append([]byte{}, body(3, partSize)...), body(4, 100)...)
	u := r.begin("parts", engine.CRC64NVME, engine.FullObject)
	if _, err := r.complete(u, r.part(u, 1, data["parts"][:partSize]), r.part(u, 2, data["parts"][partSize:])); err != nil {
		t.Fatal(err)
	}
	plan := r.plannedBackend(1)
	r.config.Now = func() time.Time { return time.Now().Add(hour) }
	r.reopen()
	for key, b := range data {
		was, usage := r.head(key, nil), r.usage()
		calls := plan.Calls(faults.Any)
		to := "to/" + key
		r.mustRename(key, to)
		if n := plan.Calls(faults.Any) - calls; n != 0 {
			t.Errorf("%s: %d calls of the backend", key, n)
		}
		r.wantAbsent(key)
		r.wantBody(to, b)
		is := r.head(to, nil)
		if is.ID == was.ID {
			t.Errorf("%s: the version has the old id", key)
		}
		was.Key, was.ID = to, is.ID
		if !reflect.DeepEqual(is, was) {
			t.Errorf("%s: it is\n%+v, and was\n%+v", key, is, was)
		}
		if now := r.usage(); now != usage {
			t.Errorf("%s: usage is %+v, and was %+v", key, now, usage)
		}
	}
	page, err := r.e.ListObjects(t.Context(), meta.ListQuery{Bucket: r.b.ID, Limit: 10})
	if err != nil || len(page.Entries) != len(data) {
		t.Fatalf("%+v, %v", page, err)
	}
	for _, o := range page.Entries {
		was := r.head(o.Key, nil)
		if o.Size != was.Size || o.ETag != was.ETag || !o.Modified.Equal(was.Modified) || o.ChecksumAlgorithm != engine.CRC64NVME || o.StorageClass != was.StorageClass {
			t.Errorf("listed: %+v", o)
		}
	}
	if _, err := r.e.ChangeMarks(t.Context(), engine.Subject{Bucket: r.b, Key: "to/small"}, func(m *engine.Marks) error { m.Tags = nil; return nil }); err != nil {
		t.Errorf("the tags cannot be changed: %v", err)
	}
	// Twice, over another, and back.
	r.mustRename("to/small", "to/large")
	r.wantBody("to/large", data["small"])
	r.mustRename("to/large", "small")
	r.wantBody("small", data["small"])
	r.wantClean(3)
}

func (r *rig) usage() meta.Usage {
	r.t.Helper()
	u, err := r.e.Buckets().Usage(r.t.Context(), r.b)
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

// An object that cannot be renamed, or not so, is refused and stays.
func TestRenameRefuses(t *testing.T) {
	r := newRig(t)
	from := r.mustPut("from", body(1, 100))
	to := r.mustPut("to", body(2, 200))
	at := from.Modified.Truncate(time.Second)
	past, future := at.Add(-hour), at.Add(hour)
	on := func(source, target engine.Conditions) func(*engine.RenameObject) {
		return func(in *engine.RenameObject) { in.SourceConditions, in.Conditions = source, target }
	}
	none := engine.Conditions{}
	for name, c := range map[string]struct {
		from, to string
		change   func(*engine.RenameObject)
		err      error
		field    string // of a PreconditionFailed
	}{
		"absent":             {from: "absent", err: s3err.NoSuchKey},
		"itself":             {to: "from", err: s3err.InvalidRequest},
		"a folder":           {to: "new/", err: s3err.InvalidRequest},
		"of a folder":        {from: "from/", err: s3err.InvalidRequest},
		"no key":             {change: func(in *engine.RenameObject) { in.Customer = &engine.CustomerKey{} }, err: s3err.InvalidRequest},
		"source differs":     {change: on(engine.Conditions{IfMatch: to.ETag}, none), field: "If-Match"},
		"source is":          {change: on(engine.Conditions{IfNoneMatch: from.ETag}, none), field: "If-None-Match"},
		"source is any":      {change: on(engine.Conditions{IfNoneMatch: "*"}, none), field: "If-None-Match"},
		"source newer":       {change: on(engine.Conditions{IfUnmodifiedSince: past}, none), field: "If-Unmodified-Since"},
		"source older":       {change: on(engine.Conditions{IfModifiedSince: at}, none), field: "If-Modified-Since"},
		"target differs":     {change: on(none, engine.Conditions{IfMatch: from.ETag}), field: "If-Match"},
		"target is there":    {change: on(none, engine.Conditions{IfNoneMatch: "*"}), field: "If-None-Match"},
		"both on target":     {change: on(none, engine.Conditions{IfNoneMatch: "*", IfMatch: from.ETag}), field: "If-Match"},
		"target newer":       {change: on(none, engine.Conditions{IfUnmodifiedSince: past}), field: "If-Unmodified-Since"},
		"target older":       {change: on(none, engine.Conditions{IfModifiedSince: at}), field: "If-Modified-Since"},
		"target not there":   {to: "new", change: on(none, engine.Conditions{IfMatch: "*"}), field: "If-Match"},
		"target never there": {to: "new", change: on(none, engine.Conditions{IfModifiedSince: past}), field: "If-Modified-Since"},
	} {
		if c.from == "" {
			c.from = "from"
		}
		if c.to == "" {
			c.to = "to"
		}
		if c.change == nil {
			c.change = func(*engine.RenameObject) {}
		}
		if c.field != "" {
			c.err = s3err.PreconditionFailed
		}
		err := r.rename(c.from, c.to, c.change)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if c.field != "" && s3err.From(err).Fields[0] != (s3err.Field{Name: "Condition", Value: c.field}) {
			t.Errorf("%s: %+v, want %s", name, s3err.From(err).Fields, c.field)
		}
		r.wantBody("from", body(1, 100))
		r.wantBody("to", body(2, 200))
		r.wantAbsent("new")
	}

	// Conditions that hold, all at once.
	r.mustRename("from", "to", on(
		engine.Conditions{IfMatch: from.ETag, IfNoneMatch: to.ETag, IfModifiedSince: future, IfUnmodifiedSince: past}, // the times do not count
		engine.Conditions{IfMatch: to.ETag, IfNoneMatch: from.ETag}))
	r.mustRename("to", "new", on(engine.Conditions{IfModifiedSince: past, IfUnmodifiedSince: future}, engine.Conditions{IfNoneMatch: "*", IfUnmodifiedSince: past}))
	r.wantBody("new", body(1, 100))
	r.setVersioning(meta.VersioningEnabled)
	stale := r.b
	stale.Versioning = meta.VersioningOff
	for _, b := range []meta.Bucket{r.b, stale} {
		if err := r.rename("new", "to", func(in *engine.RenameObject) { in.Bucket = b }); !errors.Is(err, s3err.NotImplemented) {
			t.Errorf("with versions: %v", err)
		}
	}
	r.setVersioning(meta.VersioningSuspended)
	if err := r.rename("new", "to"); !errors.Is(err, s3err.NotImplemented) {
		t.Errorf("with versions suspended: %v", err)
	}
	r.wantClean(1)
}

// An object of SSE-C takes its key to be renamed, of parts that were completed
// without it too, and is sealed under it again.
func TestRenameGuarded(t *testing.T) {
	g := newGuarded(t, "")
	g.mustEnd()
	put, err := g.e.PutObject(t.Context(), engine.PutObject{Bucket: g.b, Key: "one", Owner: g.b.Owner, Encryption: meta.EncryptionCustomer, Customer: g.key,
		Body: engine.Body{Reader: bytes.NewReader(body(3, 1000)), Size: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	with := func(k *engine.CustomerKey) func(*engine.RenameObject) {
		return func(in *engine.RenameObject) { in.Customer = k }
	}
	other := &engine.CustomerKey{9}
	for key, want := range map[string][]byte{"k": g.whole(), "one": body(3, 1000)} {
		was := g.head(key, g.key)
		if err := g.rename(key, "to/"+key); !errors.Is(err, s3err.InvalidRequest) {
			t.Errorf("%s without the key: %v", key, err)
		}
		if err := g.rename(key, "to/"+key, with(other)); !errors.Is(err, s3err.AccessDenied) {
			t.Errorf("%s with another key: %v", key, err)
		}
		g.mustRename(key, "to/"+key, with(g.key))
		g.mustRename("to/"+key, key, with(g.key))
		g.mustRename(key, "to/"+key, with(g.key))
		g.reopen()
		if got, err := g.read(engine.GetObject{Key: "to/" + key, Customer: g.key}); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", key, len(got), err)
		}
		for _, k := range []*engine.CustomerKey{nil, other} {
			if _, err := g.read(engine.GetObject{Key: "to/" + key, Customer: k}); err == nil {
				t.Errorf("%s opens without its key", key)
			}
		}
		if is := g.head("to/"+key, g.key); is.ETag != was.ETag || is.Encryption != meta.EncryptionCustomer || is.Parts != was.Parts || !is.Modified.Equal(was.Modified) {
			t.Errorf("%s is %+v, and was %+v", key, is, was)
		}
	}
	if put.ETag != g.head("to/one", g.key).ETag {
		t.Error("the ETag changed")
	}
	g.wantClean(3)
}

// A request with a token is carried out once, whatever became of the keys since, and
// the token stands for that request alone.
func TestRenameTokens(t *testing.T) {
	r := newRig(t)
	late := time.Now()
	r.config.Now = func() time.Time { return late }
	r.reopen()
	first, second := body(1, 100), body(2, 200)
	r.mustPut("from", first)
	token := func(in *engine.RenameObject) { in.Token = "token" }
	r.mustRename("from", "to", token)
	r.mustRename("from", "to", token)
	r.wantBody("to", first)
	if err := r.rename("from", "to"); !errors.Is(err, s3err.NoSuchKey) {
		t.Errorf("without the token: %v", err)
	}
	r.mustPut("from", second)
	r.mustRename("from", "to", token)
	r.wantBody("from", second)
	r.wantBody("to", first)
	for name, change := range map[string]func(*engine.RenameObject){
		"another target":     func(in *engine.RenameObject) { in.Key = "new" },
		"another source":     func(in *engine.RenameObject) { in.Source, in.Asked = "elsewhere", "elsewhere" },
		"a condition":        func(in *engine.RenameObject) { in.Conditions.IfNoneMatch = "*" },
		"a source condition": func(in *engine.RenameObject) { in.SourceConditions.IfNoneMatch = "*" },
		"a time":             func(in *engine.RenameObject) { in.SourceConditions.IfModifiedSince = time.Unix(1, 0) },
	} {
		if err := r.rename("from", "to", token, change); !errors.Is(err, s3err.IdempotencyParameterMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.wantBody("from", second)
	r.wantAbsent("new")
	// Whose token it is, and where, is part of it.
	r.mustRename("from", "new", token, func(in *engine.RenameObject) { in.Asker = meta.NewID() })
	r.wantBody("new", second)
	// A request that failed used nothing up.
	other := func(in *engine.RenameObject) { in.Token = "other" }
	if err := r.rename("absent", "to", other); !errors.Is(err, s3err.NoSuchKey) {
		t.Error(err)
	}
	r.mustRename("new", "from", other)
	// A day later nobody sends it again.
	late = late.Add(25 * hour)
	if c, err := r.e.Blobs().Collect(t.Context()); err != nil || c.Forgotten != 3 {
		t.Errorf("%+v, %v", c, err)
	}
	r.mustRename("from", "new", token)
	r.wantBody("new", second)
	r.wantClean(2)
}

// Of one source renamed by many at once, one finds it; of one request sent many times
// at once, all are told that it was carried out.
func TestRenamesMeet(t *testing.T) {
	r := newRig(t)
	const callers = 8
	all := func(do func(i int) error) (done int, others []error) {
		errs := make([]error, callers)
		var wait sync.WaitGroup
		for i := range callers {
			wait.Go(func() { errs[i] = do(i) })
		}
		wait.Wait()
		for _, err := range errs {
			if err == nil {
				done++
			} else {
				others = append(others, err)
			}
		}
		return done, others
	}
	r.mustPut("k", body(1, 1000))
	done, others := all(func(i int) error { return r.rename("k", fmt.Sprint("k", i)) })
	for _, err := range others {
		if !errors.Is(err, s3err.NoSuchKey) {
			t.Error(err)
		}
	}
	if done != 1 {
		t.Errorf("%d renames found the source", done)
	}
	r.wantClean(1)
	r.mustPut("k", body(2, 1000))
	if done, others = all(func(int) error { return r.rename("k", "same", func(in *engine.RenameObject) { in.Token = "t" }) }); done != callers {
		t.Errorf("one request, sent %d times: %v", callers, others)
	}
	r.wantBody("same", body(2, 1000))
	// Tags that are written meanwhile are not lost.
	r.mustPut("tagged", body(3, 1000))
	set, _ := all(func(i int) error {
		if i == 0 {
			return r.rename("tagged", "renamed")
		}
		_, err := r.e.ChangeMarks(t.Context(), engine.Subject{Bucket: r.b, Key: "tagged"}, func(m *engine.Marks) error {
			m.Tags = append(m.Tags, engine.Pair{Name: fmt.Sprint(i), Value: "v"})
			return nil
		})
		return err
	})
	if n := len(r.head("renamed", nil).Marks.Tags); n != set-1 {
		t.Errorf("%d tags, and %d were acknowledged", n, set-1)
	}
	r.wantClean(3)
}

// Each call of the store fails in turn while an object is renamed over another. It
// has one name and whole then, and who sends the request again comes to its end.
func TestRenameUnderFaults(t *testing.T) {
	token := func(in *engine.RenameObject) { in.Token = "token" }
	for _, with := range [][]func(*engine.RenameObject){{token}, nil} {
		for _, when := range []faults.When{faults.Before, faults.After} {
			for n := 1; ; n++ {
				r := newRig(t)
				from, to := body(1, 5000), body(2, 6000)
				r.mustPut("from", from)
				r.mustPut("to", to)
				plan := r.plannedStore(1)
				plan.Add(faults.Rule{When: when, N: n})
				err := r.rename("from", "to", with...)
				fired := plan.Fired()
				plan.Clear()
				at := fmt.Sprintf("call %d failed %v its effect, error %v", n, when, err)
				_, left := r.get("from", nil)
				got, there := r.get("to", nil)
				moved := errors.Is(left, s3err.NoSuchKey) && bytes.Equal(got, from)
				stayed := left == nil && bytes.Equal(got, to)
				if there != nil || moved == stayed || err == nil && !moved {
					t.Fatalf("%s: from %v, to %v", at, left, there)
				}
				if err != nil && !errors.Is(err, s3err.ServiceUnavailable) {
					t.Errorf("%s", at)
				}
				if err := r.rename("from", "to", with...); err != nil && (stayed || with != nil || !errors.Is(err, s3err.NoSuchKey)) {
					t.Errorf("%s: again: %v", at, err)
				}
				r.wantBody("to", from)
				r.wantAbsent("from")
				r.wantClean(1)
				if fired == 0 {
					if n < 4 {
						t.Fatalf("only %d calls were swept", n-1)
					}
					break
				}
			}
		}
	}
}
