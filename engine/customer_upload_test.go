package engine_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// guarded is an SSE-C upload of two parts, and the parts that complete it.
type guarded struct {
	*rig
	key    *engine.CustomerKey
	upload engine.Upload
	bodies [][]byte
	list   []engine.CompletedPart
}

func newGuarded(t *testing.T, algorithm string) *guarded {
	t.Helper()
	g := &guarded{rig: newRig(t), key: &engine.CustomerKey{1, 2, 3}, bodies: [][]byte{body(1, partSize+3), body(2, 70_000)}}
	create := engine.CreateUpload{Bucket: g.b, Key: "k", Owner: g.b.Owner, Encryption: meta.EncryptionCustomer, Customer: g.key,
		ChecksumAlgorithm: algorithm, Attributes: engine.Attributes{ContentType: "text/secret"}}
	if algorithm != "" {
		create.ChecksumType = engine.FullObject
	}
	var err error
	if g.upload, err = g.e.CreateUpload(t.Context(), create); err != nil {
		t.Fatal(err)
	}
	for i, b := range g.bodies {
		p, err := g.e.UploadPart(t.Context(), engine.UploadPart{Bucket: g.b, Key: "k", Upload: g.upload.ID, Number: i + 1, Customer: g.key,
			Body: engine.Body{Reader: bytes.NewReader(b), Size: int64(len(b))}})
		if err != nil {
			t.Fatal(err)
		}
		g.list = append(g.list, engine.CompletedPart{Number: i + 1, ETag: p.ETag})
	}
	return g
}

func (g *guarded) end(change func(*engine.CompleteUpload)) (engine.Object, error) {
	in := engine.CompleteUpload{Bucket: g.b, Key: "k", Upload: g.upload.ID, Parts: g.list, Size: -1}
	if change != nil {
		change(&in)
	}
	return g.e.CompleteUpload(g.t.Context(), in)
}

func (g *guarded) mustEnd() engine.Object {
	g.t.Helper()
	o, err := g.end(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return o
}

func (g *guarded) read(in engine.GetObject) ([]byte, error) {
	in.Bucket = g.b
	rd, err := g.e.GetObject(g.t.Context(), in)
	if err != nil {
		return nil, err
	}
	defer rd.Close()
	var out bytes.Buffer
	_, err = rd.WriteTo(&out)
	return out.Bytes(), err
}

func (g *guarded) whole() []byte { return bytes.Join(g.bodies, nil) }

// An object that was completed without the customer's key is read with it, whole, in
// ranges and in parts, and is described by nothing less.
func TestCompleteWithoutCustomer(t *testing.T) {
	g := newGuarded(t, "")
	o := g.mustEnd()
	whole := g.whole()
	if o.Size != int64(len(whole)) || o.Parts != 2 || o.Checksum != nil || o.Encryption != meta.EncryptionCustomer {
		t.Errorf("%+v", o)
	}
	g.reopen()
	if got, err := g.read(engine.GetObject{Key: "k", Customer: g.key}); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("whole: %d bytes, %v", len(got), err)
	}
	for _, at := range []int64{0, partSize + 2, int64(len(whole)) - 2} {
		got, err := g.read(engine.GetObject{Key: "k", Customer: g.key, Range: &engine.Range{First: at, Last: at + 1}})
		if err != nil || !bytes.Equal(got, whole[at:at+2]) {
			t.Errorf("two bytes at %d: %v", at, err)
		}
	}
	if got, err := g.read(engine.GetObject{Key: "k", Customer: g.key, PartNumber: 2}); err != nil || !bytes.Equal(got, g.bodies[1]) {
		t.Errorf("part 2: %v", err)
	}
	rd, err := g.e.HeadObject(t.Context(), engine.GetObject{Bucket: g.b, Key: "k", Customer: g.key})
	if err != nil || rd.Object.ContentType != "text/secret" || rd.Object.ETag != o.ETag || rd.Object.Checksum != nil {
		t.Errorf("head: %+v, %v", rd, err)
	}
	if rd, err := g.e.HeadObject(t.Context(), engine.GetObject{Bucket: g.b, Key: "k"}); rd != nil || !errors.Is(err, s3err.InvalidRequest) {
		t.Errorf("head without the key: %+v, %v", rd, err)
	}
	other := engine.GetObject{Bucket: g.b, Key: "k", Customer: &engine.CustomerKey{7}}
	if rd, err := g.e.HeadObject(t.Context(), other); rd != nil || !errors.Is(err, s3err.AccessDenied) {
		t.Errorf("head with another key: %+v, %v", rd, err)
	}
	g.wantClean(2)
	g.delete("k")
	g.wantClean(0)
}

// A client that asks for a checksum, or began the upload with one, must bring the
// key: without it there is none.
func TestCompleteWithoutCustomerChecksums(t *testing.T) {
	g := newGuarded(t, "")
	sum := &engine.Checksum{Algorithm: engine.CRC64NVME, Type: engine.FullObject, Value: make([]byte, 8)}
	for name, change := range map[string]func(*engine.CompleteUpload){
		"of the object": func(in *engine.CompleteUpload) { in.Checksum = sum },
		"its type":      func(in *engine.CompleteUpload) { in.Type = engine.FullObject },
		"of a part": func(in *engine.CompleteUpload) {
			in.Parts = []engine.CompletedPart{g.list[0], {Number: 2, ETag: g.list[1].ETag, Checksum: sum}}
		},
	} {
		if _, err := g.end(change); !errors.Is(err, s3err.InvalidRequest) {
			t.Errorf("checksum %s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*engine.CompleteUpload){
		"another ETag": func(in *engine.CompleteUpload) {
			in.Parts = []engine.CompletedPart{g.list[0], {Number: 2, ETag: g.list[0].ETag}}
		},
		"another size": func(in *engine.CompleteUpload) { in.Size = 1 },
		"another key":  func(in *engine.CompleteUpload) { in.Customer = &engine.CustomerKey{9} },
	} {
		if _, err := g.end(change); err == nil {
			t.Errorf("completed with %s", name)
		}
	}
	g.wantAbsent("k")
	if err := g.e.AbortUpload(t.Context(), g.b, "k", g.upload.ID, time.Time{}); err != nil {
		t.Fatal(err)
	}
	g.wantClean(0)

	g = newGuarded(t, engine.CRC32C)
	if _, err := g.end(nil); !errors.Is(err, s3err.InvalidRequest) {
		t.Errorf("an upload with checksums: %v", err)
	}
	o, err := g.end(func(in *engine.CompleteUpload) { in.Customer = g.key })
	if err != nil || o.Checksum == nil || o.Checksum.Algorithm != engine.CRC32C {
		t.Errorf("with the key: %+v, %v", o, err)
	}
}

// Completing again gives the same answer whether the key came the first time, this
// time, or neither; with another list it is refused.
func TestCompleteWithoutCustomerAgain(t *testing.T) {
	with := func(g *guarded) func(*engine.CompleteUpload) {
		return func(in *engine.CompleteUpload) { in.Customer = g.key }
	}
	for _, first := range []bool{false, true} {
		g := newGuarded(t, "")
		change := with(g)
		if !first {
			change = nil
		}
		o, err := g.end(change)
		if err != nil {
			t.Fatal(err)
		}
		for _, again := range []func(*engine.CompleteUpload){nil, with(g), nil} {
			now, err := g.end(again)
			if err != nil || now.ETag != o.ETag || now.ID != o.ID || now.Size != o.Size {
				t.Errorf("key at first %v: %+v, %v; want %+v", first, now, err, o)
			}
		}
		if _, err := g.end(func(in *engine.CompleteUpload) { in.Parts = g.list[:1] }); !errors.Is(err, s3err.InvalidPart) {
			t.Errorf("another list: %v", err)
		}
	}
}

// A copy takes the source's key, and is sealed as the request has it: under another
// customer's key, or none. It outlives the source.
func TestCopyCompletedWithoutCustomer(t *testing.T) {
	g := newGuarded(t, "")
	g.mustEnd()
	other := &engine.CustomerKey{42}
	copyTo := func(key string, source, customer *engine.CustomerKey) error {
		_, err := g.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: g.b, SourceKey: "k", SourceCustomer: source,
			Bucket: g.b, Key: key, Owner: g.b.Owner, Encryption: encryption(customer), Customer: customer})
		return err
	}
	if err := copyTo("sealed", nil, other); !errors.Is(err, s3err.InvalidRequest) {
		t.Errorf("without the source's key: %v", err)
	}
	if err := copyTo("sealed", other, other); !errors.Is(err, s3err.AccessDenied) {
		t.Errorf("with another key: %v", err)
	}
	for key, customer := range map[string]*engine.CustomerKey{"sealed": other, "plain": nil} {
		if err := copyTo(key, g.key, customer); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
	}
	g.delete("k")
	g.collect()
	for key, customer := range map[string]*engine.CustomerKey{"sealed": other, "plain": nil} {
		if got, err := g.read(engine.GetObject{Key: key, Customer: customer}); err != nil || !bytes.Equal(got, g.whole()) {
			t.Errorf("%s: %d bytes, %v", key, len(got), err)
		}
	}
	g.wantClean(2)
}
