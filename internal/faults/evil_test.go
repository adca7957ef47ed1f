package faults

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
)

const sealedLen = HeaderLen + 3*SegmentLen

// evilPair holds two blobs of one size: what was put first, and the one to read.
func evilPair(t *testing.T) (e *Evil, older, data []byte, id backends.BlobID) {
	t.Helper()
	e = NewEvil(mem.New(), rand.Uint64())
	for range 2 {
		older, data, id = data, make([]byte, sealedLen), backends.NewBlobID()
		var seed [32]byte
		copy(seed[:], id[:])
		rand.NewChaCha8(seed).Read(data)
		if err := e.Put(t.Context(), id, bytes.NewReader(data), sealedLen); err != nil {
			t.Fatal(err)
		}
	}
	return e, older, data, id
}

func get(t *testing.T, e *Evil, id backends.BlobID, off, n int64) ([]byte, error) {
	t.Helper()
	rc, err := e.Get(t.Context(), id, off, n)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return io.ReadAll(rc)
}

func TestEveryReadModeTampers(t *testing.T) {
	for _, mode := range ReadModes() {
		e, older, data, id := evilPair(t)
		e.Set(mode, -1)
		got, err := get(t, e, id, 0, -1)
		if err != nil || bytes.Equal(got, data) || e.Tampered() != 1 {
			t.Errorf("seed %d: %v: true bytes %t, %v, tampered %d", e.Seed, mode, bytes.Equal(got, data), err, e.Tampered())
		}
		wantShape(t, mode, got, data, older)
		e.Set(Honest, -1)
		if got, err := get(t, e, id, 0, -1); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%v left its mark: %v", mode, err)
		}
	}
}

func wantShape(t *testing.T, mode Mode, got, data, older []byte) {
	t.Helper()
	ok := false
	switch mode {
	case FlipByte:
		differ := 0
		for i := range got {
			if got[i] != data[i] {
				differ++
			}
		}
		ok = len(got) == len(data) && differ == 1
	case Truncate, ShortRead:
		ok = len(got) < len(data) && bytes.HasPrefix(data, got)
	case Extend:
		ok = len(got) > len(data) && bytes.HasPrefix(got, data)
	case Reorder:
		h, s := HeaderLen, SegmentLen
		ok = bytes.Equal(got, bytes.Join([][]byte{data[:h], data[h+s : h+2*s], data[h : h+s], data[h+2*s:]}, nil))
	case Swap, Older:
		ok = bytes.Equal(got, older)
	case WrongBody:
		ok = string(got) == errorPage
	}
	if !ok {
		t.Errorf("%v gave %d bytes of another shape", mode, len(got))
	}
}

func TestTamperedRanges(t *testing.T) {
	e, _, data, id := evilPair(t)
	e.Set(FlipByte, 1000)
	if got, err := get(t, e, id, 0, 1000); err != nil || !bytes.Equal(got, data[:1000]) || e.Tampered() != 0 {
		t.Errorf("a range before the flip: %v, tampered %d", err, e.Tampered())
	}
	if got, err := get(t, e, id, 1000, 1); err != nil || got[0] == data[1000] || e.Tampered() != 1 {
		t.Errorf("the flipped byte: %v, tampered %d", err, e.Tampered())
	}
	e.Set(Truncate, 500)
	if got, err := get(t, e, id, 400, 200); !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 100 {
		t.Errorf("a range over the cut: %d bytes, %v", len(got), err)
	}
	if _, err := get(t, e, id, 501, -1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a range behind the cut: %v", err)
	}
	if info, err := e.Stat(t.Context(), id); err != nil || info.Size != 500 {
		t.Errorf("Stat: %+v, %v", info, err)
	}
	e.Set(ShortRead, 7)
	if got, err := get(t, e, id, 100, 50); err != nil || !bytes.Equal(got, data[100:107]) {
		t.Errorf("short read: %d bytes, %v", len(got), err)
	}
}

func TestWriteModes(t *testing.T) {
	for mode, want := range map[Mode]error{DropWrite: nil, DiskFull: backends.ErrFull} {
		e, _, data, _ := evilPair(t)
		e.Set(mode, -1)
		id := backends.NewBlobID()
		if err := e.Put(t.Context(), id, bytes.NewReader(data), sealedLen); !errors.Is(err, want) {
			t.Errorf("%v: %v, want %v", mode, err, want)
		}
		if _, err := e.Stat(t.Context(), id); !errors.Is(err, backends.ErrNotFound) || e.Tampered() != 1 {
			t.Errorf("%v: Stat %v, tampered %d", mode, err, e.Tampered())
		}
	}
	e, _, data, _ := evilPair(t)
	e.Set(DropWrite, -1)
	if err := e.Put(t.Context(), backends.NewBlobID(), bytes.NewReader(data), 5); !errors.Is(err, backends.ErrSize) {
		t.Errorf("a dropped write of the wrong size: %v", err)
	}
}
