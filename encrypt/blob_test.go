package encrypt

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// pattern is n bytes that differ between neighbours and between segments.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// sealBlob seals with the given suite by SealReader.
func sealBlob(t testing.TB, s suite, key DataKey, aad, plain []byte) ([]byte, BlobSeal) {
	t.Helper()
	src := &readerSegments{r: bytes.NewReader(plain), size: s.plain(), buf: getBuffer()}
	r, err := newSealReader(s, src, key, aad)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	sealed, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if r.PlainSize() != int64(len(plain)) {
		t.Fatalf("PlainSize %d, want %d", r.PlainSize(), len(plain))
	}
	return sealed, r.Seal()
}

var edgeSizes = []int{0, 1, 65535, 65536, 65537, 131071, 131072, 131073, 200_000}

func TestSealAndOpen(t *testing.T) {
	aad := BlobAAD([16]byte{1}, [20]byte{2})
	for _, size := range edgeSizes {
		plain, key := pattern(size), NewDataKey()
		byReader, seal := sealBlob(t, blobSuite, key, aad, plain)
		byWriter, writerSeal := writeBlob(t, key, aad, plain)
		for _, b := range []struct {
			sealed []byte
			seal   BlobSeal
		}{{byReader, seal}, {byWriter, writerSeal}} {
			if int64(len(b.sealed)) != SealedSize(int64(size)) {
				t.Fatalf("%d bytes seal to %d, want %d", size, len(b.sealed), SealedSize(int64(size)))
			}
			o, err := NewOpener(key, aad, b.seal, int64(size))
			if err != nil {
				t.Fatal(err)
			}
			got, err := o.OpenAll(nil, b.sealed)
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%d bytes: %v", size, err)
			}
			off, n := o.SealedRange(0, int64(size))
			r := o.NewReader(iotest.HalfReader(bytes.NewReader(b.sealed[off:off+n])), 0, int64(size))
			if got, err := io.ReadAll(iotest.OneByteReader(r)); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%d bytes by reader: %v", size, err)
			}
		}
	}
}

// writeBlob seals with SealWriter in writes of odd lengths.
func writeBlob(t *testing.T, key DataKey, aad, plain []byte) ([]byte, BlobSeal) {
	t.Helper()
	var sealed bytes.Buffer
	w, err := NewSealWriter(&sealed, key, aad)
	if err != nil {
		t.Fatal(err)
	}
	for rest, step := plain, 1; len(rest) > 0; step = step*3 + 1 {
		n := min(step, len(rest))
		if m, err := w.Write(rest[:n]); m != n || err != nil {
			t.Fatal(m, err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil {
		t.Fatal("a second Close succeeds")
	}
	return sealed.Bytes(), w.Seal()
}

func TestSizes(t *testing.T) {
	for _, size := range []int64{0, 1, 2, 65535, 65536, 65537, 131072, 131073, 5 << 30, MaxBlobSize - 1, MaxBlobSize} {
		if got, err := PlainSize(SealedSize(size)); err != nil || got != size {
			t.Errorf("PlainSize(SealedSize(%d)) = %d, %v", size, got, err)
		}
	}
	for _, sealed := range []int64{-1, 0, 74, 105, 106 + 65536 + 1, 106 + 65536 + 32, SealedSize(MaxBlobSize) + 1, 1<<63 - 1} {
		if got, err := PlainSize(sealed); !errors.Is(err, ErrCorrupt) {
			t.Errorf("PlainSize(%d) = %d, %v", sealed, got, err)
		}
	}
}

func FuzzPlainSize(f *testing.F) {
	f.Add(int64(106))
	f.Fuzz(func(t *testing.T, sealed int64) {
		plain, err := PlainSize(sealed)
		if err == nil && SealedSize(plain) != sealed {
			t.Fatalf("PlainSize(%d) = %d, whose blob has %d", sealed, plain, SealedSize(plain))
		}
	})
}

// readRange opens plaintext [off, off+n) from exactly the bytes SealedRange names.
func readRange(o *Opener, sealed []byte, off, n int64) ([]byte, error) {
	start, length := o.SealedRange(off, n)
	r := o.NewReader(bytes.NewReader(sealed[start:start+length]), off, n)
	defer r.Close()
	return io.ReadAll(r)
}

func TestRangesAtEdges(t *testing.T) {
	key, aad := NewDataKey(), []byte("a")
	for _, size := range []int{0, 1, 65535, 65536, 65537, 131073, 200_000} {
		plain := pattern(size)
		sealed, seal := sealBlob(t, blobSuite, key, aad, plain)
		o, err := NewOpener(key, aad, seal, int64(size))
		if err != nil {
			t.Fatal(err)
		}
		edges := []int{0, 1, 65535, 65536, 65537, 131071, 131072, 131073, size - 1, size}
		for _, a := range edges {
			for _, b := range edges {
				if a < 0 || a > b || b > size {
					continue
				}
				got, err := readRange(o, sealed, int64(a), int64(b-a))
				if err != nil || !bytes.Equal(got, plain[a:b]) {
					t.Fatalf("size %d [%d,%d): %v", size, a, b, err)
				}
			}
		}
	}
}

// FuzzRange uses small segments, so that every shape of range is near.
func FuzzRange(f *testing.F) {
	f.Add(uint16(100), uint16(8), uint16(9))
	f.Add(uint16(0), uint16(0), uint16(0))
	s := suite{segment: 40, rotation: 2}
	key := DataKey{9}
	f.Fuzz(func(t *testing.T, size, off, n uint16) {
		plain := pattern(int(size))
		sealed, seal := sealBlob(t, s, key, nil, plain)
		o, err := newOpener(s, key, nil, seal, int64(size))
		if err != nil {
			t.Fatal(err)
		}
		if int(off)+int(n) > int(size) {
			if _, err := io.ReadAll(o.NewReader(bytes.NewReader(sealed), int64(off), int64(n))); err == nil {
				t.Fatal("a range past the end is read")
			}
			return
		}
		got, err := readRange(o, sealed, int64(off), int64(n))
		if err != nil || !bytes.Equal(got, plain[off:int(off)+int(n)]) {
			t.Fatalf("size %d [%d,+%d): %v", size, off, n, err)
		}
	})
}

func TestRangesOutside(t *testing.T) {
	key := NewDataKey()
	sealed, seal := sealBlob(t, blobSuite, key, nil, pattern(10))
	o, err := NewOpener(key, nil, seal, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range [][2]int64{{-1, 1}, {0, -1}, {0, 11}, {10, 1}, {11, 0}, {1 << 62, 1 << 62}, {5, 1<<63 - 1}} {
		if off, n := o.SealedRange(r[0], r[1]); off != 0 || n != 0 {
			t.Errorf("SealedRange(%v) = %d, %d", r, off, n)
		}
		if got, err := io.ReadAll(o.NewReader(bytes.NewReader(sealed[HeaderSize:]), r[0], r[1])); err == nil || len(got) > 0 {
			t.Errorf("range %v gives %d bytes and %v", r, len(got), err)
		}
	}
}

// Every byte flipped, every truncation, an extension: OpenAll and the reader
// give the right bytes or an error, and never a wrong byte before it.
func TestMutations(t *testing.T) {
	s := suite{segment: 40, rotation: 2}
	key, aad := NewDataKey(), []byte("aad")
	for _, size := range []int{0, 1, 8, 9, 50} {
		plain := pattern(size)
		sealed, seal := sealBlob(t, s, key, aad, plain)
		o, err := newOpener(s, key, aad, seal, int64(size))
		if err != nil {
			t.Fatal(err)
		}
		refused := func(what string, i int, bad []byte) {
			t.Helper()
			if _, err := o.OpenAll(nil, bad); !errors.Is(err, ErrCorrupt) {
				t.Errorf("size %d, %s %d: OpenAll: %v", size, what, i, err)
			}
			if size == 0 || i < HeaderSize || what == "extended" {
				return // ranges read neither the header nor what is after them
			}
			got, err := io.ReadAll(o.NewReader(bytes.NewReader(bad[HeaderSize:]), 0, int64(size)))
			if !errors.Is(err, ErrCorrupt) || !bytes.HasPrefix(plain, got) {
				t.Errorf("size %d, %s %d: reader: %v, %d bytes", size, what, i, err, len(got))
			}
		}
		for i := range sealed {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1 << (i % 8)
			refused("flipped", i, bad)
			refused("cut at", i, sealed[:i])
		}
		refused("extended", len(sealed), append(bytes.Clone(sealed), 0))
	}
}

func TestSwappedSegments(t *testing.T) {
	s := suite{segment: 40, rotation: 2}
	key := NewDataKey()
	plain := pattern(8 * 12)
	sealed, seal := sealBlob(t, s, key, nil, plain)
	o, err := newOpener(s, key, nil, seal, int64(len(plain)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		for j := range i {
			bad := bytes.Clone(sealed)
			copy(bad[HeaderSize+i*40:], sealed[HeaderSize+j*40:][:40])
			if _, err := o.OpenAll(nil, bad); !errors.Is(err, ErrCorrupt) {
				t.Errorf("segment %d in place of %d: %v", j, i, err)
			}
		}
	}
}

func TestWrongKeyAADSealOrLength(t *testing.T) {
	key, aad := NewDataKey(), BlobAAD([16]byte{1}, [20]byte{1})
	plain := pattern(70_000)
	sealed, seal := sealBlob(t, blobSuite, key, aad, plain)
	other := seal
	other.IV[3] ^= 1
	tag := seal
	tag.Tag[31] ^= 0x80
	for name, open := range map[string]func() (*Opener, error){
		"key":        func() (*Opener, error) { return NewOpener(NewDataKey(), aad, seal, 70_000) },
		"blob id":    func() (*Opener, error) { return NewOpener(key, BlobAAD([16]byte{1}, [20]byte{2}), seal, 70_000) },
		"deployment": func() (*Opener, error) { return NewOpener(key, BlobAAD([16]byte{2}, [20]byte{1}), seal, 70_000) },
		"iv":         func() (*Opener, error) { return NewOpener(key, aad, other, 70_000) },
		"tag":        func() (*Opener, error) { return NewOpener(key, aad, tag, 70_000) },
	} {
		if _, err := open(); !errors.Is(err, ErrWrongKey) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	// A manifest length that differs from the blob's must fail in the segment
	// whose finality changes, whichever way.
	for _, size := range []int64{0, 1, 65535, 65536, 69_999, 70_001, 131_072, 131_073} {
		o, err := NewOpener(key, aad, seal, size)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.OpenAll(nil, sealed); !errors.Is(err, ErrCorrupt) {
			t.Errorf("length %d: %v", size, err)
		}
		if size == 0 {
			continue
		}
		got, err := io.ReadAll(o.NewReader(bytes.NewReader(sealed[HeaderSize:]), 0, size))
		if !errors.Is(err, ErrCorrupt) || !bytes.HasPrefix(plain, got) {
			t.Errorf("length %d by reader: %v", size, err)
		}
	}
	if _, err := NewOpener(key, aad, seal, -1); !errors.Is(err, ErrCorrupt) {
		t.Errorf("negative length: %v", err)
	}
}

// Another attempt at the same plaintext under the same key shares nothing.
func TestNoReuse(t *testing.T) {
	key := NewDataKey()
	a, sealA := sealBlob(t, blobSuite, key, nil, pattern(100))
	b, sealB := sealBlob(t, blobSuite, key, nil, pattern(100))
	if sealA == sealB || bytes.Equal(a[HeaderSize+4:HeaderSize+16], b[HeaderSize+4:HeaderSize+16]) {
		t.Fatal("an IV or nonce came twice")
	}
}

func TestReaderErrorsPassThrough(t *testing.T) {
	key := NewDataKey()
	sealed, seal := sealBlob(t, blobSuite, key, nil, pattern(100_000))
	o, err := NewOpener(key, nil, seal, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range []error{io.ErrUnexpectedEOF, errors.New("reset")} {
		src := io.MultiReader(bytes.NewReader(sealed[HeaderSize:70_000]), iotest.ErrReader(broken))
		got, err := io.ReadAll(o.NewReader(src, 0, 100_000))
		if err != broken || !bytes.Equal(got, pattern(100_000)[:SegmentSize]) {
			t.Errorf("%v became %v after %d bytes", broken, err, len(got))
		}
	}
}

func TestRandomRoundTrips(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	s := suite{segment: 48, rotation: 1}
	for range 300 {
		plain := pattern(rng.IntN(400))
		key, aad := NewDataKey(), pattern(rng.IntN(30))
		sealed, seal := sealBlob(t, s, key, aad, plain)
		o, err := newOpener(s, key, aad, seal, int64(len(plain)))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		a := rng.IntN(len(plain) + 1)
		b := a + rng.IntN(len(plain)-a+1)
		got, err := readRange(o, sealed, int64(a), int64(b-a))
		if err != nil || !bytes.Equal(got, plain[a:b]) {
			t.Fatalf("seed %d: %d bytes [%d,%d): %v", seed, len(plain), a, b, err)
		}
	}
}
