package encrypt

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// floeFolders are the project's copy of the published vectors and, where a
// checkout has one beside it, the folder they were taken from.
func floeFolders(t *testing.T) []string {
	folders := []string{"../testdata/sealed/floe"}
	if shared := "../../shared/vectors/floe"; len(globVectors(t, shared)) > 0 {
		folders = append(folders, shared)
	}
	return folders
}

func globVectors(t *testing.T, folder string) []string {
	names, err := filepath.Glob(filepath.Join(folder, "*_ct.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func readHex(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vectorSuite takes the segment length from the name, not from the header.
func vectorSuite(name string) suite {
	switch {
	case strings.Contains(name, "rotation"):
		return suite{segment: 40, rotation: 2}
	case strings.Contains(name, "lastSeg"):
		return suite{segment: 40, rotation: 20}
	case strings.Contains(name, "4K"):
		return suite{segment: 4096, rotation: 20}
	}
	return suite{segment: 64, rotation: 20}
}

const vectorAAD = "This is AAD"

func TestPublishedVectors(t *testing.T) {
	for _, folder := range floeFolders(t) {
		names := globVectors(t, folder)
		if len(names) != 17 {
			t.Fatalf("%s has %d vectors instead of 17", folder, len(names))
		}
		for _, name := range names {
			ct := readHex(t, name)
			pt := readHex(t, strings.TrimSuffix(name, "_ct.txt")+"_pt.txt")
			t.Run(filepath.Base(name), func(t *testing.T) { checkVector(t, vectorSuite(name), ct, pt) })
		}
	}
}

func checkVector(t *testing.T, s suite, ct, pt []byte) {
	iv := [32]byte(ct[floeParams:])
	m := s.start(&DataKey{}, &iv, []byte(vectorAAD))
	if h := m.header(); !bytes.Equal(h[:], ct[:HeaderSize]) {
		t.Fatalf("header %x, want %x", h, ct[:HeaderSize])
	}
	c := segmentCipher{m: m}
	var got []byte
	body := ct[HeaderSize:]
	for i := uint64(0); len(body) > 0; i++ {
		final := binary.BigEndian.Uint32(body) != floeInner
		n := s.segment
		if final {
			n = len(body)
		}
		var err error
		if got, err = c.open(got, i, final, body[:n]); err != nil {
			t.Fatal(err)
		}
		body = body[n:]
	}
	if !bytes.Equal(got, pt) {
		t.Fatalf("opened %d bytes that differ from the %d expected", len(got), len(pt))
	}
	// Our blobs never have an empty final segment after others; the rest must
	// also open by the road that production takes.
	if size := int64(len(pt)); int64(len(ct)) == HeaderSize+size+s.count(size)*floeOverhead {
		o, err := newOpener(s, DataKey{}, []byte(vectorAAD), BlobSeal{IV: iv, Tag: m.tag}, size)
		if err != nil {
			t.Fatal(err)
		}
		if all, err := o.OpenAll(nil, ct); err != nil || !bytes.Equal(all, pt) {
			t.Fatalf("OpenAll: %v", err)
		}
	}
}

// Sealing is checked against the published key schedule: a segment sealed at a
// position opens there and nowhere else, across key rotations at the real 2^20.
func TestRotation(t *testing.T) {
	key, aad := NewDataKey(), []byte("aad")
	iv := [32]byte{1}
	seal := segmentCipher{m: blobSuite.start(&key, &iv, aad)}
	plain := bytes.Repeat([]byte{7}, SegmentSize)
	positions := []uint64{0, 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 1<<21 - 1, 1 << 21, floeSegments - 1}
	sealed := map[uint64][]byte{}
	for _, i := range positions {
		sealed[i] = seal.seal(nil, i, false, plain)
	}
	for _, i := range positions {
		for _, at := range positions {
			open := segmentCipher{m: blobSuite.start(&key, &iv, aad)}
			got, err := open.open(nil, at, false, sealed[i])
			if i == at && (err != nil || !bytes.Equal(got, plain)) {
				t.Errorf("segment %d does not open: %v", i, err)
			}
			if i != at && !errors.Is(err, ErrCorrupt) {
				t.Errorf("segment %d opens at %d: %v", i, at, err)
			}
		}
		if _, err := seal.open(nil, i, true, sealed[i]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("inner segment %d opens as final: %v", i, err)
		}
	}
	// One key for a whole epoch and another for the next: by the definition of
	// DERIVE_KEY, computed here without segmentCipher.
	for _, i := range positions {
		m := seal.m
		info := append([]byte("DEK:"), binary.BigEndian.AppendUint64(nil, i&^(1<<20-1))...)
		direct := randomNonceGCM(m.derive(m.key, string(info), 32))
		ad := append(binary.BigEndian.AppendUint64(nil, i), 0)
		if _, err := direct.Open(nil, nil, sealed[i][floePrefix:], ad); err != nil {
			t.Errorf("segment %d is not under the key of its epoch", i)
		}
	}
}

// A range read over the 2^20 boundary of a blob of more than 64 GiB, of which
// only the segments asked for exist.
func TestRotationInRange(t *testing.T) {
	key, aad := NewDataKey(), []byte("aad")
	iv := [32]byte{2}
	m := blobSuite.start(&key, &iv, aad)
	const size = (1<<20+2)*SegmentSize + 5
	const off = (1<<20-1)*SegmentSize + 100
	c := segmentCipher{m: m}
	var sealed, plain []byte
	for i := uint64(1<<20 - 1); i <= 1<<20+2; i++ {
		p := bytes.Repeat([]byte{byte(i)}, SegmentSize)
		if i == 1<<20+2 {
			p = p[:5]
		}
		plain = append(plain, p...)
		sealed = c.seal(sealed, i, i == 1<<20+2, p)
	}
	o, err := NewOpener(key, aad, m.seal(), size)
	if err != nil {
		t.Fatal(err)
	}
	start, n := o.SealedRange(off, size-off)
	if start != HeaderSize+(1<<20-1)*(SegmentSize+SegmentOverhead) || n != int64(len(sealed)) {
		t.Fatalf("range %d+%d", start, n)
	}
	var got bytes.Buffer
	if _, err := o.NewReader(bytes.NewReader(sealed), off, size-off).WriteTo(&got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), plain[100:]) {
		t.Fatal("wrong bytes")
	}
}
