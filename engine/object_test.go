package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/weakhash"
)

// edges are the lengths at which the sealed format and the buffers change.
var edges = []int{0, 1, 2, 4095, 65535, 65536, 65537, 131071, 131072, 131073, 6 << 16, 6<<16 + 1, 1 << 20, 1<<20 + 1, 3<<20 + 17}

func TestRoundTrip(t *testing.T) {
	r := newRig(t)
	blobs := 0
	for i, n := range edges {
		data := body(uint64(i), n)
		key := fmt.Sprintf("object of %d bytes", n)
		r.mustPut(key, data)
		r.wantBody(key, data)
		if n > 0 {
			blobs++
		}
	}
	r.wantClean(blobs)
	r.reopen()
	for i, n := range edges {
		r.wantBody(fmt.Sprintf("object of %d bytes", n), body(uint64(i), n))
	}
}

func TestRanges(t *testing.T) {
	r := newRig(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, n := range []int{1, 65536, 65537, 1<<20 + 5, 3 << 20} {
		data := body(seed, n)
		r.mustPut("k", data)
		marks := []int{0, 1, 65535, 65536, 65537, n - 1, n / 2}
		for range 10 {
			marks = append(marks, rng.IntN(n))
		}
		for _, a := range marks {
			for _, b := range marks {
				if a > b || a >= n {
					continue
				}
				got, err := r.get("k", &engine.Range{First: int64(a), Last: int64(b)})
				if want := data[a:min(b+1, n)]; err != nil || !bytes.Equal(got, want) {
					t.Fatalf("bytes %d-%d of %d: %d bytes, %v", a, b, n, len(got), err)
				}
			}
			if got, err := r.get("k", &engine.Range{First: int64(a), Last: -1}); a < n && (err != nil || !bytes.Equal(got, data[a:])) {
				t.Fatalf("bytes %d- of %d: %v", a, n, err)
			}
			if a > 0 {
				if got, err := r.get("k", &engine.Range{Suffix: int64(a)}); err != nil || !bytes.Equal(got, data[max(0, n-a):]) {
					t.Fatalf("bytes -%d of %d: %v", a, n, err)
				}
			}
		}
		for _, g := range []engine.Range{{First: int64(n), Last: -1}, {First: int64(n), Last: int64(n) + 5}} {
			if _, err := r.get("k", &g); !errors.Is(err, s3err.InvalidRange) {
				t.Errorf("%v of %d: %v, want InvalidRange", g, n, err)
			}
		}
	}
}

// A body that is refused leaves nothing: no object, no blob, no reservation
// that is not collected, and the key keeps what it had.
func TestRefusedBodies(t *testing.T) {
	r := newRig(t)
	wrongMD5 := weakhash.MD5([]byte("another"))
	cut := errors.New("connection reset")
	for _, n := range []int{0, 1, 4096, 65536, 65537, 500_000} {
		data := body(7, n)
		bodies := map[string]engine.Body{
			"wrong MD5":            {Reader: bytes.NewReader(data), MD5: wrongMD5[:]},
			"refused at its end":   {Reader: &failingReader{data, s3err.ContentSHA256Mismatch}},
			"longer than it said":  {Reader: bytes.NewReader(append(slices.Clone(data), 1))},
			"wrong late checksum":  {Reader: bytes.NewReader(data), ChecksumAlgorithm: engine.SHA256, ClaimedLate: func() ([]byte, error) { return make([]byte, 32), nil }},
			"no late checksum":     {Reader: bytes.NewReader(data), ChecksumAlgorithm: engine.SHA256, ClaimedLate: func() ([]byte, error) { return nil, s3err.MalformedTrailer }},
			"late error, one byte": {Reader: iotest.OneByteReader(&failingReader{data, cut})},
		}
		for _, alg := range engine.ChecksumAlgorithms {
			bodies["wrong "+alg] = engine.Body{Reader: bytes.NewReader(data), ChecksumAlgorithm: alg, ChecksumValue: make([]byte, engine.ChecksumSize(alg))}
			if n == 0 && (alg == engine.CRC32 || alg == engine.CRC32C || alg == engine.CRC64NVME) {
				delete(bodies, "wrong "+alg) // zero is right
			}
		}
		for _, at := range []int{0, 1, n / 2, n - 1} {
			if at >= 0 && at < n {
				bodies[fmt.Sprint("cut at ", at)] = engine.Body{Reader: &failingReader{data[:at], cut}}
				bodies[fmt.Sprint("ends at ", at)] = engine.Body{Reader: bytes.NewReader(data[:at])}
			}
		}
		for name, b := range bodies {
			b.Size = int64(n)
			_, err := r.e.PutObject(t.Context(), engine.PutObject{Bucket: r.b, Key: "k", Owner: r.b.Owner, Body: b})
			if err == nil {
				t.Errorf("%d bytes, %s: stored", n, name)
			}
			if c := s3err.From(err).Code; c == s3err.InternalError && !errors.Is(err, cut) {
				t.Errorf("%d bytes, %s: %v", n, name, err)
			}
		}
	}
	r.wantAbsent("k")
	r.wantClean(0)
	r.mustPut("k", []byte("kept"))
	if _, err := r.e.PutObject(t.Context(), engine.PutObject{Bucket: r.b, Key: "k", Owner: r.b.Owner,
		Body: engine.Body{Reader: &failingReader{body(1, 70000), cut}, Size: 70000}}); !errors.Is(err, cut) {
		t.Fatal(err)
	}
	r.wantBody("k", []byte("kept"))
	r.wantClean(1)
}

func TestAttributesReturn(t *testing.T) {
	r := newRig(t)
	a := engine.Attributes{
		ContentType: "text/plain; charset=utf-8", ContentEncoding: "gzip", ContentLanguage: "de",
		ContentDisposition: "attachment", CacheControl: "no-cache", Expires: "never", StorageClass: "STANDARD_IA",
		Metadata: []engine.Pair{{Name: "b", Value: "2"}, {Name: "a", Value: "1"}},
	}
	_, err := r.e.PutObject(t.Context(), engine.PutObject{Bucket: r.b, Key: "k", Owner: r.b.Owner, Attributes: a,
		Body: engine.Body{Reader: bytes.NewReader(nil)}})
	if err != nil {
		t.Fatal(err)
	}
	rd, err := r.e.HeadObject(t.Context(), engine.GetObject{Bucket: r.b, Key: "k"})
	if err != nil || fmt.Sprint(rd.Object.Attributes) != fmt.Sprint(a) {
		t.Fatalf("%+v, %v", rd.Object.Attributes, err)
	}
}

func TestReadConditions(t *testing.T) {
	r := newRig(t)
	o := r.mustPut("k", []byte("x"))
	before, after := o.Modified.Add(-hour), o.Modified.Add(hour)
	quoted := `"` + o.ETag + `"`
	for _, c := range []struct {
		name string
		c    engine.Conditions
		want error
	}{
		{"none", engine.Conditions{}, nil},
		{"match", engine.Conditions{IfMatch: quoted}, nil},
		{"match in a list", engine.Conditions{IfMatch: `"a", ` + quoted}, nil},
		{"match unquoted", engine.Conditions{IfMatch: o.ETag}, nil},
		{"match any", engine.Conditions{IfMatch: "*"}, nil},
		{"no match", engine.Conditions{IfMatch: `"a"`}, s3err.PreconditionFailed},
		{"match wins over unmodified", engine.Conditions{IfMatch: quoted, IfUnmodifiedSince: before}, nil},
		{"none match", engine.Conditions{IfNoneMatch: quoted}, s3err.NotModified},
		{"none match any", engine.Conditions{IfNoneMatch: "*"}, s3err.NotModified},
		{"none match wins over modified", engine.Conditions{IfNoneMatch: `"a"`, IfModifiedSince: after}, nil},
		{"modified", engine.Conditions{IfModifiedSince: before}, nil},
		{"not modified", engine.Conditions{IfModifiedSince: after}, s3err.NotModified},
		{"unmodified", engine.Conditions{IfUnmodifiedSince: after}, nil},
		{"was modified", engine.Conditions{IfUnmodifiedSince: before}, s3err.PreconditionFailed},
		{"the same second", engine.Conditions{IfModifiedSince: o.Modified.Truncate(time.Second)}, s3err.NotModified},
	} {
		rd, err := r.e.HeadObject(t.Context(), engine.GetObject{Bucket: r.b, Key: "k", Conditions: c.c})
		if !errors.Is(err, c.want) || err != nil && c.want == nil {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if c.want == s3err.NotModified && (rd == nil || rd.Object.ETag != o.ETag) {
			t.Errorf("%s: the object is not described", c.name)
		}
	}
}

// Of many conditional writers at once exactly one wins, time after time.
func TestOneWinnerPerCondition(t *testing.T) {
	r := newRig(t)
	cond := engine.Conditions{IfNoneMatch: "*"}
	for round := range 10 {
		var wg sync.WaitGroup
		winners := make(chan engine.Object, 16)
		for i := range 16 {
			wg.Go(func() {
				data := fmt.Appendf(nil, "%d-%d", round, i)
				o, err := r.e.PutObject(t.Context(), engine.PutObject{Bucket: r.b, Key: "k", Owner: r.b.Owner, Conditions: cond,
					Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
				switch {
				case err == nil:
					winners <- o
				case !errors.Is(err, s3err.PreconditionFailed) && !errors.Is(err, s3err.ConditionalRequestConflict):
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		wg.Wait()
		close(winners)
		if len(winners) != 1 {
			t.Fatalf("round %d: %d winners", round, len(winners))
		}
		cond = engine.Conditions{IfMatch: `"` + (<-winners).ETag + `"`}
	}
	r.wantClean(1)
	if _, err := r.e.PutObject(t.Context(), engine.PutObject{Bucket: r.b, Key: "none", Conditions: engine.Conditions{IfMatch: "*"},
		Body: engine.Body{Reader: bytes.NewReader(nil)}}); !errors.Is(err, s3err.NoSuchKey) {
		t.Errorf("If-Match on an absent key: %v, want NoSuchKey", err)
	}
}

func TestCopySharesTheBody(t *testing.T) {
	r := newRig(t)
	data := body(3, 200_000)
	r.mustPut("a", data)
	cp := func(from, to string) engine.CopyObject {
		return engine.CopyObject{SourceBucket: r.b, SourceKey: from, Bucket: r.b, Key: to, Owner: r.b.Owner}
	}
	for _, step := range [][2]string{{"a", "b"}, {"b", "c"}, {"a", "a"}} {
		in := cp(step[0], step[1])
		in.Replace, in.ContentType = true, "text/x"
		if _, err := r.e.CopyObject(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	r.wantClean(1)
	r.delete("a")
	r.delete("b")
	r.wantClean(1)
	r.wantBody("c", data)
	in := cp("c", "d")
	in.ChecksumAlgorithm = engine.SHA256
	o, err := r.e.CopyObject(t.Context(), in)
	if err != nil || o.Checksum.Algorithm != engine.SHA256 || o.ContentType != "text/x" {
		t.Fatalf("%+v, %v", o, err)
	}
	h := engine.NewChecksumHash(engine.SHA256)
	h.Write(data)
	if !bytes.Equal(o.Checksum.Value, h.Sum(nil)) {
		t.Error("wrong SHA256 of a copy")
	}
	r.delete("c")
	r.delete("d")
	r.wantClean(0)
	if _, err := r.e.CopyObject(t.Context(), cp("c", "e")); !errors.Is(err, s3err.NoSuchKey) {
		t.Errorf("copy of what is gone: %v", err)
	}
}

// Copies race with the deletion of their source: each either has the whole body
// or was refused.
func TestCopyRacesDelete(t *testing.T) {
	r := newRig(t)
	data := body(9, 3000)
	for i := range 30 {
		r.mustPut("src", data)
		var wg sync.WaitGroup
		var copied error
		dst := fmt.Sprint("dst", i)
		wg.Go(func() {
			_, copied = r.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: r.b, SourceKey: "src", Bucket: r.b, Key: dst, Owner: r.b.Owner})
		})
		wg.Go(func() { r.e.DeleteObject(t.Context(), r.b, engine.DeleteObject{Key: "src"}) })
		wg.Go(func() { r.e.Blobs().Collect(t.Context()) })
		wg.Wait()
		switch {
		case copied == nil:
			r.wantBody(dst, data)
		case errors.Is(copied, s3err.NoSuchKey):
			r.wantAbsent(dst)
		default:
			t.Fatal(copied)
		}
	}
	r.wantClean(-1)
}

func TestDeleteObjects(t *testing.T) {
	r := newRig(t)
	var ds []engine.DeleteObject
	for i := range 250 {
		key := fmt.Sprint("k", i)
		r.mustPut(key, []byte{1})
		ds = append(ds, engine.DeleteObject{Key: key}, engine.DeleteObject{Key: key})
	}
	r.mustPut("kept", []byte{2})
	ds = append(ds, engine.DeleteObject{Key: "absent"}, engine.DeleteObject{Key: "kept", IfMatch: `"no"`})
	outcomes := r.e.DeleteObjects(t.Context(), r.b, ds)
	for i, o := range outcomes[:len(outcomes)-1] {
		if o.Err != nil {
			t.Errorf("%d: %v", i, o.Err)
		}
	}
	if last := outcomes[len(outcomes)-1].Err; !errors.Is(last, s3err.PreconditionFailed) {
		t.Errorf("conditional: %v", last)
	}
	r.wantBody("kept", []byte{2})
	page, err := r.e.ListObjects(t.Context(), meta.ListQuery{Bucket: r.b.ID, Limit: 10})
	if err != nil || len(page.Entries) != 1 || page.Entries[0].Size != 1 {
		t.Fatalf("%+v, %v", page, err)
	}
	r.wantClean(1)
}

// A bucket made again under the same name has nothing of the old one.
func TestBucketNameReused(t *testing.T) {
	r := newRig(t)
	old := r.b
	r.mustPut("k", []byte("old"))
	if err := r.e.Buckets().Delete(t.Context(), old); !errors.Is(err, s3err.BucketNotEmpty) {
		t.Fatal(err)
	}
	r.delete("k")
	if err := r.e.Buckets().Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if _, err := r.put("k", []byte("x")); !errors.Is(err, s3err.NoSuchBucket) {
		t.Errorf("put into a deleted bucket: %v", err)
	}
	again, err := r.e.Buckets().Create(t.Context(), old.Name, "", r.e.Accounts().Root().ID)
	if err != nil || again.ID == old.ID {
		t.Fatalf("%v, %v", again, err)
	}
	r.b = again
	r.wantAbsent("k")
	r.wantClean(0)
}

func TestReadingIsAReader(t *testing.T) {
	r := newRig(t)
	data := body(5, 2<<20+9)
	r.mustPut("k", data)
	rd, err := r.e.GetObject(t.Context(), engine.GetObject{Bucket: r.b, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	if err := iotest.TestReader(io.Reader(rd), data); err != nil {
		t.Error(err)
	}
}
