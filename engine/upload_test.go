package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/weakhash"
)

func (r *rig) begin(key, algorithm, kind string) engine.Upload {
	r.t.Helper()
	u, err := r.e.CreateUpload(r.t.Context(), engine.CreateUpload{Bucket: r.b, Key: key, Owner: r.b.Owner,
		ChecksumAlgorithm: algorithm, ChecksumType: kind, Attributes: engine.Attributes{ContentType: "text/parts"}})
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

func (r *rig) part(u engine.Upload, number int, data []byte) engine.CompletedPart {
	r.t.Helper()
	p, err := r.e.UploadPart(r.t.Context(), engine.UploadPart{Bucket: r.b, Key: u.Key, Upload: u.ID, Number: number,
		Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data)), ChecksumAlgorithm: u.ChecksumAlgorithm}})
	if err != nil {
		r.t.Fatalf("part %d: %v", number, err)
	}
	return engine.CompletedPart{Number: number, ETag: p.ETag, Checksum: p.Checksum}
}

func (r *rig) complete(u engine.Upload, parts ...engine.CompletedPart) (engine.Object, error) {
	return r.e.CompleteUpload(r.t.Context(), engine.CompleteUpload{Bucket: r.b, Key: u.Key, Upload: u.ID, Parts: parts, Size: -1})
}

const partSize = engine.MinPartSize

func TestMultipart(t *testing.T) {
	r := newRig(t)
	u := r.begin("k", "", "")
	one, three, seven := body(1, partSize), body(2, partSize+100_001), body(3, 77)
	p7 := r.part(u, 7, seven)
	r.part(u, 1, body(8, partSize)) // is replaced
	p1 := r.part(u, 1, one)
	p3 := r.part(u, 3, three)
	r.part(u, 5, body(4, 1000)) // not chosen
	o, err := r.complete(u, p1, p3, p7)
	if err != nil {
		t.Fatal(err)
	}
	whole := bytes.Join([][]byte{one, three, seven}, nil)
	sums := weakhash.NewMD5()
	for _, p := range [][]byte{one, three, seven} {
		s := weakhash.MD5(p)
		sums.Write(s[:])
	}
	if want := fmt.Sprintf("%x-3", sums.Sum(nil)); o.ETag != want || o.Parts != 3 || o.Size != int64(len(whole)) || o.ContentType != "text/parts" {
		t.Fatalf("%+v, want ETag %s", o, want)
	}
	h := engine.NewChecksumHash(engine.CRC64NVME)
	h.Write(whole)
	if o.Checksum == nil || !bytes.Equal(o.Checksum.Value, h.Sum(nil)) || o.Checksum.Type != engine.FullObject {
		t.Errorf("the default checksum of a completed upload is %+v", o.Checksum)
	}
	r.wantBody("k", whole)
	for _, at := range []int{0, partSize - 1, partSize, len(one) + len(three) - 1, len(whole) - 1} {
		got, err := r.get("k", &engine.Range{First: int64(at), Last: int64(at) + 1})
		if err != nil || !bytes.Equal(got, whole[at:min(at+2, len(whole))]) {
			t.Errorf("two bytes at %d: %v", at, err)
		}
	}
	for number, want := range map[int][]byte{1: one, 3: three, 7: seven} {
		rd, err := r.e.GetObject(t.Context(), engine.GetObject{Bucket: r.b, Key: "k", PartNumber: number})
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		rd.WriteTo(&got)
		rd.Close()
		if !bytes.Equal(got.Bytes(), want) || !rd.Partial {
			t.Errorf("part %d: %d bytes", number, got.Len())
		}
	}
	if _, err := r.e.GetObject(t.Context(), engine.GetObject{Bucket: r.b, Key: "k", PartNumber: 5}); !errors.Is(err, s3err.InvalidPartNumber) {
		t.Errorf("a part that was not chosen: %v", err)
	}
	r.wantClean(3)
	again, err := r.complete(u, p1, p3, p7)
	if err != nil || again.ETag != o.ETag {
		t.Errorf("completing again: %+v, %v", again, err)
	}
	page, err := r.e.ObjectParts(t.Context(), engine.GetObject{Bucket: r.b, Key: "k"}, o.ID, 1, 1)
	if err != nil || len(page.Parts) != 1 || page.Parts[0].Number != 3 || !page.More || page.Total != 3 {
		t.Errorf("parts of the object: %+v, %v", page, err)
	}
	if _, err := r.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: r.b, SourceKey: "k", Bucket: r.b, Key: "copy", Owner: r.b.Owner}); err != nil {
		t.Fatal(err)
	}
	r.delete("k")
	r.wantClean(3)
	r.wantBody("copy", whole)
	r.mustPut("copy", []byte("over"))
	r.wantClean(1)
}

func TestCompleteRefuses(t *testing.T) {
	r := newRig(t)
	u := r.begin("k", engine.SHA256, engine.Composite)
	small, big := r.part(u, 1, body(1, 100)), r.part(u, 2, body(2, partSize))
	last := r.part(u, 3, body(3, 5))
	for name, c := range map[string]struct {
		parts []engine.CompletedPart
		want  s3err.Code
	}{
		"none":            {nil, s3err.MalformedXML},
		"order":           {[]engine.CompletedPart{last, big}, s3err.InvalidPartOrder},
		"twice":           {[]engine.CompletedPart{big, big}, s3err.InvalidPartOrder},
		"too small":       {[]engine.CompletedPart{small, big}, s3err.EntityTooSmall},
		"unknown":         {[]engine.CompletedPart{big, {Number: 9, ETag: big.ETag}}, s3err.InvalidPart},
		"between":         {[]engine.CompletedPart{{Number: 1, ETag: big.ETag}, big}, s3err.InvalidPart},
		"ETag":            {[]engine.CompletedPart{{Number: 2, ETag: last.ETag}}, s3err.InvalidPart},
		"number too high": {[]engine.CompletedPart{{Number: 10001, ETag: last.ETag}}, s3err.InvalidArgument},
		"checksum": {[]engine.CompletedPart{{Number: 2, ETag: big.ETag,
			Checksum: &engine.Checksum{Algorithm: engine.SHA256, Value: make([]byte, 32)}}}, s3err.InvalidPart},
	} {
		if _, err := r.complete(u, c.parts...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, string(c.want))
		}
	}
	r.wantAbsent("k")
	o, err := r.complete(u, big, last)
	if err != nil || o.Checksum == nil || o.Checksum.Type != engine.Composite || o.Checksum.Parts != 2 {
		t.Fatalf("%+v, %v", o.Checksum, err)
	}
	if _, err := r.e.UploadPart(t.Context(), engine.UploadPart{Bucket: r.b, Key: "k", Upload: u.ID, Number: 4,
		Body: engine.Body{Reader: bytes.NewReader(nil)}}); !errors.Is(err, s3err.NoSuchUpload) {
		t.Errorf("a part after completion: %v", err)
	}
	if err := r.e.AbortUpload(t.Context(), r.b, "k", u.ID, time.Time{}); !errors.Is(err, s3err.NoSuchUpload) {
		t.Errorf("abort after completion: %v", err)
	}
	if _, err := r.e.ListParts(t.Context(), engine.ListParts{Bucket: r.b, Key: "other", Upload: u.ID, Limit: 10}); !errors.Is(err, s3err.NoSuchUpload) {
		t.Errorf("an upload under another key: %v", err)
	}
	r.wantClean(2)
}

func TestAbortAndList(t *testing.T) {
	r := newRig(t)
	u := r.begin("a/1", engine.CRC32, engine.FullObject)
	for n := 1; n <= 5; n++ {
		r.part(u, n, body(uint64(n), 1000))
	}
	page, err := r.e.ListParts(t.Context(), engine.ListParts{Bucket: r.b, Key: u.Key, Upload: u.ID, After: 1, Limit: 2})
	if err != nil || len(page.Parts) != 2 || page.Parts[0].Number != 2 || !page.More || page.Next != 3 || page.Parts[0].Checksum.Algorithm != engine.CRC32 {
		t.Errorf("%+v, %v", page, err)
	}
	page, err = r.e.ListParts(t.Context(), engine.ListParts{Bucket: r.b, Key: u.Key, Upload: u.ID, After: 3, Limit: 2})
	if err != nil || len(page.Parts) != 2 || page.More {
		t.Errorf("%+v, %v", page, err)
	}
	r.begin("a/2", "", "")
	r.begin("b", "", "")
	ups, err := r.e.ListUploads(t.Context(), meta.UploadQuery{Bucket: r.b.ID, Delimiter: "/", Limit: 10})
	if err != nil || len(ups.Entries) != 2 || ups.Entries[0].CommonPrefix != "a/" || ups.Entries[1].Key != "b" {
		t.Errorf("%+v, %v", ups, err)
	}
	ups, err = r.e.ListUploads(t.Context(), meta.UploadQuery{Bucket: r.b.ID, Prefix: "a/", Limit: 1})
	if err != nil || len(ups.Entries) != 1 || ups.Entries[0].ChecksumAlgorithm != engine.CRC32 || !ups.More {
		t.Errorf("%+v, %v", ups, err)
	}
	if err := r.e.AbortUpload(t.Context(), r.b, u.Key, u.ID, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := r.e.AbortUpload(t.Context(), r.b, u.Key, u.ID, time.Time{}); !errors.Is(err, s3err.NoSuchUpload) {
		t.Errorf("abort again: %v", err)
	}
	r.wantClean(0)
}

// A part copied from a whole blob shares it; any other range is a new blob.
func TestCopyPart(t *testing.T) {
	r := newRig(t)
	src := body(1, partSize+12345)
	r.mustPut("src", src)
	u := r.begin("dst", "", "")
	cp := func(number int, from string, g *engine.Range) engine.CompletedPart {
		t.Helper()
		p, err := r.e.CopyPart(t.Context(), engine.CopyPart{SourceBucket: r.b, SourceKey: from, SourceRange: g,
			Bucket: r.b, Key: "dst", Upload: u.ID, Number: number})
		if err != nil {
			t.Fatal(err)
		}
		return engine.CompletedPart{Number: number, ETag: p.ETag}
	}
	p1 := cp(1, "src", nil)
	r.wantClean(1)
	p2 := cp(2, "src", &engine.Range{First: 1, Last: partSize})
	r.wantClean(2)
	if _, err := r.complete(u, p1, p2); err != nil {
		t.Fatal(err)
	}
	want := append(bytes.Clone(src), src[1:partSize+1]...)
	r.wantBody("dst", want)
	r.delete("src")
	r.wantBody("dst", want)
	// A part of a multipart object is shared as well.
	u = r.begin("dst", "", "")
	p1 = cp(1, "dst", &engine.Range{First: 0, Last: int64(len(src)) - 1})
	r.wantClean(2)
	if _, err := r.complete(u, p1); err != nil {
		t.Fatal(err)
	}
	r.wantBody("dst", src)
	r.wantClean(1)
	if _, err := r.e.CopyPart(t.Context(), engine.CopyPart{SourceBucket: r.b, SourceKey: "dst", SourceRange: &engine.Range{First: 0, Last: int64(len(src))},
		Bucket: r.b, Key: "x", Upload: r.begin("x", "", "").ID, Number: 1}); !errors.Is(err, s3err.InvalidArgument) {
		t.Errorf("a range beyond the source: %v", err)
	}
}

// More parts than one group of rows, with gaps in their numbers.
func TestManyParts(t *testing.T) {
	r := newRig(t)
	u := r.begin("k", "", "")
	var parts []engine.CompletedPart
	first := body(1, partSize)
	for n := 1; n <= 300; n++ {
		p := engine.CompletedPart{Number: 2 * n, ETag: ""}
		if n == 1 {
			p = r.part(u, 2*n, first)
		} else {
			// The first part's blob again: the rows are what is tested here.
			got, err := r.e.CopyPart(t.Context(), engine.CopyPart{SourceBucket: r.b, SourceKey: "src", Bucket: r.b, Key: "k", Upload: u.ID, Number: 2 * n})
			if n == 2 && errors.Is(err, s3err.NoSuchKey) {
				r.mustPut("src", first)
				got, err = r.e.CopyPart(t.Context(), engine.CopyPart{SourceBucket: r.b, SourceKey: "src", Bucket: r.b, Key: "k", Upload: u.ID, Number: 2 * n})
			}
			if err != nil {
				t.Fatal(err)
			}
			p.ETag = got.ETag
		}
		parts = append(parts, p)
		r.part(u, 2*n+1, []byte("not chosen"))
	}
	o, err := r.complete(u, parts...)
	if err != nil || o.Size != 300*partSize {
		t.Fatalf("%d, %v", o.Size, err)
	}
	for _, at := range []int64{0, 127*partSize + partSize - 1, 128 * partSize, 299 * partSize} {
		got, err := r.get("k", &engine.Range{First: at, Last: at + 1})
		want := []byte{first[at%partSize], first[(at+1)%partSize]}
		if at+1 < o.Size && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("at %d: %v, %v", at, got, err)
		}
	}
	r.wantClean(2)
}

// A Complete that is overtaken by a twin, and then by the collection of what that
// made, does not blame the parts.
func TestCompleteOvertaken(t *testing.T) {
	r := newRig(t)
	plan := r.plannedStore(1)
	u := r.begin("k", "", "")
	p := r.part(u, 1, body(1, 1000))
	plan.Add(faults.Rule{Op: "Parts", N: 1, Hook: func() {
		if _, err := r.complete(u, p); err != nil {
			t.Error(err)
		}
		r.delete("k")
		r.collect()
	}})
	if _, err := r.complete(u, p); !errors.Is(err, s3err.NoSuchUpload) {
		t.Errorf("%v, want NoSuchUpload", err)
	}
	r.wantAbsent("k")
	r.wantClean(0)
}
