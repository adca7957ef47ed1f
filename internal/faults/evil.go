package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/sanctum-storage/gateway/backends"
)

// Mode is what an Evil backend does to blobs.
type Mode int

const (
	Honest    Mode = iota
	FlipByte       // one byte of the blob differs, at Evil.At
	Truncate       // the blob ends early, at Evil.At, and its size says so
	Extend         // bytes follow the blob's end, and its size says so
	Reorder        // two sealed segments of equal length have changed places
	Swap           // the body is another blob's, of the same size if there is one
	Older          // the body is that of the blob put just before this one
	ShortRead      // the range ends early with a clean io.EOF, as after a lost connection
	WrongBody      // the body is an error page, whatever was asked, with success
	DropWrite      // Put reads its body, reports success and stores nothing
	DiskFull       // Put reads half its body and fails with ErrFull
)

var modeNames = [...]string{"honest", "flip a byte", "truncate", "extend", "reorder segments", "swap blobs",
	"older blob", "short read", "wrong body", "drop write", "disk full"}

func (m Mode) String() string { return modeNames[m] }

// ReadModes are the ways to tamper with what Get returns.
func ReadModes() []Mode {
	return []Mode{FlipByte, Truncate, Extend, Reorder, Swap, Older, ShortRead, WrongBody}
}

// The shape of a sealed blob, for Reorder: a header, then segments of one
// length, the last shorter or equal. docs/format.md defines them.
const (
	HeaderLen  = 74
	SegmentLen = 65_568
)

// errorPage is what a proxy might answer with status 200.
const errorPage = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code></Error>"

// Evil is a backend whose keeper is hostile. It changes what is read and loses
// what is written, by Mode; it tells no lies about which blobs exist, except
// those it lost, and List shows true sizes. Bodies are held in memory while they are tampered with. It may
// be used from many goroutines.
type Evil struct {
	backends.Backend
	Seed uint64

	mu       sync.Mutex
	rng      *rand.Rand
	mode     Mode
	at       int64
	order    []backends.BlobID // as put
	tampered int
}

// NewEvil wraps b, honest at first. seed decides where bytes flip and blobs end.
func NewEvil(b backends.Backend, seed uint64) *Evil {
	return &Evil{Backend: b, Seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), at: -1}
}

// Set changes the mode for calls from now on. at is where FlipByte, Truncate
// and ShortRead strike, in bytes from the start of the blob (of the range, for
// ShortRead); -1 lets the seed choose for each call. A place outside the blob
// leaves it as it is.
func (e *Evil) Set(mode Mode, at int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mode, e.at = mode, at
}

// Tampered is how many calls were answered falsely so far. A test checks that
// it grew: not every mode can change every blob.
func (e *Evil) Tampered() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.tampered
}

// now returns the mode and the place to strike in n bytes.
func (e *Evil) now(n int64) (Mode, int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.at >= 0 || n <= 0 {
		return e.mode, max(e.at, 0)
	}
	return e.mode, e.rng.Int64N(n)
}

func (e *Evil) count() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tampered++
}

// Put implements backends.Backend.
func (e *Evil) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	switch mode, _ := e.now(0); mode {
	case DropWrite:
		if _, err := io.Copy(io.Discard, backends.Sized(r, size)); err != nil {
			return fmt.Errorf("put blob %s: %w", id, err)
		}
		e.count()
		return nil
	case DiskFull:
		io.CopyN(io.Discard, r, max(size, 2)/2) // its error would change nothing
		e.count()
		return fmt.Errorf("put blob %s: %w", id, backends.ErrFull)
	}
	if err := e.Backend.Put(ctx, id, r, size); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.order = append(e.order, id)
	return nil
}

// Get implements backends.Backend.
func (e *Evil) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	if err := backends.CheckRange(off, n); err != nil {
		return nil, err
	}
	mode, _ := e.now(0)
	switch mode {
	case Honest, DropWrite, DiskFull:
		return e.Backend.Get(ctx, id, off, n)
	case ShortRead, WrongBody:
		return e.lie(ctx, mode, id, off, n)
	}
	body, err := e.body(ctx, id)
	if err != nil {
		return nil, err
	}
	forged, err := e.tamper(ctx, id, body)
	if err != nil {
		return nil, err
	}
	was, is := cut(body, off, n), cut(forged, off, n)
	if !bytes.Equal(was, is) {
		e.count()
	}
	rc := io.NopCloser(bytes.NewReader(is))
	if n >= 0 {
		return backends.Exactly(rc, n), nil
	}
	if off > int64(len(forged)) {
		return nil, fmt.Errorf("get blob %s: %w", id, io.ErrUnexpectedEOF)
	}
	return rc, nil
}

// lie breaks the contract of Get itself: fewer bytes, or others, and a clean
// end.
func (e *Evil) lie(ctx context.Context, mode Mode, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	rc, err := e.Backend.Get(ctx, id, off, n)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	data, err := io.ReadAll(rc)
	if err != nil {
		return nil, err
	}
	if mode == WrongBody {
		data = []byte(errorPage)
		e.count()
	} else if _, at := e.now(int64(len(data))); at < int64(len(data)) {
		data = data[:at]
		e.count()
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// Stat implements backends.Backend: sizes follow the false body.
func (e *Evil) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	info, err := e.Backend.Stat(ctx, id)
	if err != nil {
		return info, err
	}
	switch mode, at := e.now(info.Size); mode {
	case Truncate:
		info.Size = min(info.Size, at)
	case Extend:
		info.Size += int64(len(errorPage))
	}
	return info, nil
}

func (e *Evil) body(ctx context.Context, id backends.BlobID) ([]byte, error) {
	rc, err := e.Backend.Get(ctx, id, 0, -1)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return io.ReadAll(rc)
}

// tamper returns the false body; the true one if the mode cannot change it.
func (e *Evil) tamper(ctx context.Context, id backends.BlobID, body []byte) ([]byte, error) {
	mode, at := e.now(int64(len(body)))
	out := bytes.Clone(body)
	switch mode {
	case FlipByte:
		if at < int64(len(out)) {
			out[at] ^= 1 << (at % 8)
		}
	case Truncate:
		out = out[:min(at, int64(len(out)))]
	case Extend:
		out = append(out, errorPage...)
	case Reorder:
		reorder(out)
	case Swap, Older:
		other, ok, err := e.other(ctx, mode, id, int64(len(body)))
		if err != nil || !ok {
			return out, err
		}
		return e.body(ctx, other)
	}
	return out, nil
}

// reorder exchanges the first two segments of full length.
func reorder(b []byte) {
	if len(b) < HeaderLen+2*SegmentLen {
		return
	}
	first, second := b[HeaderLen:][:SegmentLen], b[HeaderLen+SegmentLen:][:SegmentLen]
	was := bytes.Clone(first)
	copy(first, second)
	copy(second, was)
}

// other picks the blob whose bytes stand in for those of id.
func (e *Evil) other(ctx context.Context, mode Mode, id backends.BlobID, size int64) (pick backends.BlobID, ok bool, _ error) {
	e.mu.Lock()
	order := append([]backends.BlobID(nil), e.order...)
	e.mu.Unlock()
	for _, candidate := range order {
		if candidate == id {
			if mode == Older {
				return pick, ok, nil
			}
			continue
		}
		info, err := e.Backend.Stat(ctx, candidate)
		if err != nil {
			continue // deleted since
		}
		pick, ok = candidate, true
		if mode == Swap && info.Size == size {
			return pick, true, nil
		}
	}
	return pick, ok && mode == Swap, ctx.Err()
}

// cut is the part of b that a range covers, as far as it exists.
func cut(b []byte, off, n int64) []byte {
	b = b[min(off, int64(len(b))):]
	if n >= 0 {
		b = b[:min(n, int64(len(b)))]
	}
	return b
}
