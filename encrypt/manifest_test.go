package encrypt

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func testExtent() Extent {
	return Extent{Blob: [20]byte{1}, Key: DataKey{2}, Seal: BlobSeal{IV: [32]byte{3}, Tag: [32]byte{4}},
		BlobSize: 100, Offset: 10, Length: 50}
}

// testManifests has every field set somewhere and every kind of body.
func testManifests(t testing.TB) map[string]*Manifest {
	full := &Manifest{
		Size: 90, ETag: "0123456789abcdef0123456789abcdef",
		Checksum: &Checksum{Algorithm: "CRC64NVME", Type: "FULL_OBJECT", Value: make([]byte, 8)},
		Attributes: Attributes{
			ContentType: "text/plain", ContentEncoding: "gzip", ContentLanguage: "de", ContentDisposition: "inline",
			CacheControl: "no-store", Expires: "Thu, 01 Dec 1994 16:00:00 GMT", WebsiteRedirect: "/x", StorageClass: "STANDARD",
			Metadata: []Pair{{"b", "1"}, {"a", ""}, {"b", "\xff\x00"}},
		},
		Tags:    []Pair{{"k", "v"}},
		Extents: []Extent{testExtent(), {Blob: [20]byte{9}, BlobSize: 40, Length: 40}},
	}
	var chosen []ChosenPart
	for i := range uint32(300) {
		chosen = append(chosen, ChosenPart{Number: i + 5, Attempt: [16]byte{byte(i)}, Size: 5 << 20})
	}
	chosen[299].Size = 7
	parts, err := BuildParts([16]byte{1}, [16]byte{2}, ObjectKey{3}, chosen)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*Manifest{
		"full":       full,
		"empty":      {},
		"inline":     {Size: 3, Inline: []byte("abc")},
		"empty blob": {Extents: []Extent{{Blob: [20]byte{1}}}},
		"multipart": {Size: parts.Size(), ETag: "x-300", Parts: parts,
			Checksum: &Checksum{Algorithm: "SHA256", Type: "COMPOSITE", Value: make([]byte, 32), Parts: 300}},
		"settings": {Attributes: Attributes{ContentType: "a/b"}, Checksum: &Checksum{Algorithm: "CRC32"}, Marks: []byte(`{"marks":{}}`)},
	}
}

func TestManifest(t *testing.T) {
	n := testName()
	for name, m := range testManifests(t) {
		k := NewObjectKey()
		sealed, err := SealManifest(k, PurposeVersion, n, m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := OpenManifest(k, PurposeVersion, n, sealed)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(appendManifest(nil, m), appendManifest(nil, got)) {
			t.Fatalf("%s: encoding differs", name)
		}
		for what, other := range otherNames() {
			if _, err := OpenManifest(k, PurposeVersion, other, sealed); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: another %s: %v", name, what, err)
			}
		}
		if _, err := OpenManifest(k, PurposeUpload, n, sealed); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: another purpose: %v", name, err)
		}
		if _, err := OpenManifest(NewObjectKey(), PurposeVersion, n, sealed); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: another key: %v", name, err)
		}
		if len(sealed) > 2000 {
			continue
		}
		mutations(sealed, func(what string, bad []byte) {
			if _, err := OpenManifest(k, PurposeVersion, n, bad); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		})
	}
}

func TestManifestsThatContradictThemselves(t *testing.T) {
	n := testName()
	for name, change := range map[string]func(*Manifest){
		"size":              func(m *Manifest) { m.Size++ },
		"negative size":     func(m *Manifest) { m.Size = -1 },
		"two bodies":        func(m *Manifest) { m.Inline = make([]byte, 90) },
		"no body":           func(m *Manifest) { m.Extents = nil },
		"past the blob":     func(m *Manifest) { m.Extents[0].Offset = 51 },
		"negative offset":   func(m *Manifest) { m.Extents[0].Offset = -1 },
		"negative length":   func(m *Manifest) { m.Extents[0].Length, m.Extents[1].Length = -10, 100 },
		"overflow":          func(m *Manifest) { m.Extents[0].Offset, m.Extents[0].Length = 1<<62, 1<<62 },
		"algorithm":         func(m *Manifest) { m.Checksum.Algorithm = "MD4" },
		"checksum length":   func(m *Manifest) { m.Checksum.Value = make([]byte, 7) },
		"checksum type":     func(m *Manifest) { m.Checksum.Type = "HALF" },
		"checksum parts":    func(m *Manifest) { m.Checksum.Parts = 10_001 },
		"nameless metadata": func(m *Manifest) { m.Metadata = []Pair{{"", "x"}} },
		"long tag":          func(m *Manifest) { m.Tags = []Pair{{"x", string(make([]byte, maxText+1))}} },
		"long marks":        func(m *Manifest) { m.Marks = make([]byte, maxText+1) },
		"long header":       func(m *Manifest) { m.Expires = string(make([]byte, maxText+1)) },
		"too much metadata": func(m *Manifest) { m.Metadata = slices.Repeat([]Pair{{"n", ""}}, MaxPairs+1) },
	} {
		m := testManifests(t)["full"]
		change(m)
		if _, err := SealManifest(ObjectKey{}, PurposeVersion, n, m); err == nil {
			t.Errorf("%s: sealed", name)
		}
		// And if such a thing was sealed all the same, it is not opened.
		sealed := newXAES(&[32]byte{}).seal(appendManifest(nil, m), n.bind("sanctum/1/manifest", []byte(PurposeVersion)))
		if _, err := OpenManifest(ObjectKey{}, PurposeVersion, n, sealed); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: opened: %v", name, err)
		}
	}
}

// A later release's field, or any second way to write the same thing, is refused.
func TestStrictDecoding(t *testing.T) {
	size := func(v uint64) []byte { return appendUint(nil, 1, v) }
	inline := appendText(nil, 14, []byte("abc"))
	etag := appendText(nil, 2, "e")
	for name, b := range map[string][]byte{
		"unknown field":       append(append(size(3), inline...), appendUint(nil, 18, 1)...),
		"high field":          appendUint(nil, 1000, 1),
		"field 0":             {0, 1},
		"out of order":        append(append([]byte{}, etag...), 8, 0),
		"twice":               append(append([]byte{}, etag...), etag...),
		"explicit zero":       {8, 0},
		"empty text":          {18, 0},
		"long varint":         {8, 0x83, 0},
		"long tag":            {0x88, 0, 3},
		"huge size":           size(1 << 63),
		"wrong type":          protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 5),
		"fixed64":             protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), 5),
		"group":               protowire.AppendTag(nil, 3, protowire.StartGroupType),
		"cut":                 inline[:3],
		"half an extent":      appendText(nil, 15, appendText(nil, 1, make([]byte, 20))),
		"short key":           appendText(nil, 15, appendText(nil, 2, make([]byte, 31))),
		"field in a checksum": appendText(nil, 3, append(appendText(nil, 1, "CRC32"), appendUint(nil, 9, 1)...)),
	} {
		if _, err := decodeManifest(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := decodeManifest(append(size(3), inline...)); err != nil {
		t.Errorf("the control: %v", err)
	}
}

func FuzzDecodeManifest(f *testing.F) {
	for _, m := range testManifests(f) {
		f.Add(appendManifest(nil, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeManifest(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(appendManifest(nil, m), b) {
			t.Fatal("a second encoding of the same manifest was accepted")
		}
	})
}

func FuzzDecodePart(f *testing.F) {
	f.Add(appendPart(nil, testPart()))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodePart(b)
		if err == nil && !bytes.Equal(appendPart(nil, r), b) {
			t.Fatal("a second encoding of the same part was accepted")
		}
	})
}

func FuzzDecodeListRecord(f *testing.F) {
	f.Add(appendListRecord(nil, &ListRecord{ETag: "e", Owner: "o", ChecksumType: "COMPOSITE"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeListRecord(b)
		if err == nil && !bytes.Equal(appendListRecord(nil, &r), b) {
			t.Fatal("a second encoding of the same record was accepted")
		}
	})
}

func testPart() *PartRecord {
	return &PartRecord{Size: 50, MD5: [16]byte{0, 1}, Checksum: &Checksum{Algorithm: "SHA1", Value: make([]byte, 20)},
		Extents: []Extent{testExtent()}}
}

func TestPart(t *testing.T) {
	k := NewObjectKey()
	n := PartName{Deployment: Deployment{1}, Bucket: [16]byte{2}, Upload: [16]byte{3}, Number: 4, Attempt: [16]byte{5}}
	sealed, err := SealPart(k, n, testPart())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenPart(k, n, sealed); err != nil || !reflect.DeepEqual(got, testPart()) {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*PartName){
		"deployment": func(n *PartName) { n.Deployment[0]++ },
		"bucket":     func(n *PartName) { n.Bucket[0]++ },
		"upload":     func(n *PartName) { n.Upload[0]++ },
		"number":     func(n *PartName) { n.Number++ },
		"attempt":    func(n *PartName) { n.Attempt[0]++ },
	} {
		other := n
		change(&other)
		if _, err := OpenPart(k, other, sealed); !errors.Is(err, ErrCorrupt) {
			t.Errorf("another %s: %v", what, err)
		}
	}
	mutations(sealed, func(what string, bad []byte) {
		if _, err := OpenPart(k, n, bad); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	})
	bad := testPart()
	bad.Size++
	if _, err := SealPart(k, n, bad); err == nil {
		t.Error("a part of another size is sealed")
	}
	// A part's record is no manifest of the same key, nor the other way round.
	if _, err := OpenManifest(k, PurposeUpload, testName(), sealed); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a part opens as a manifest: %v", err)
	}
}
