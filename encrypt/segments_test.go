package encrypt

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"testing"
	"testing/iotest"
)

var errBody = errors.New("body refused")

// lastWith delivers b and then, together with the last byte, an error.
type lastWith struct {
	b   []byte
	err error
}

func (r *lastWith) Read(p []byte) (int, error) {
	n := copy(p, r.b)
	r.b = r.b[n:]
	if len(r.b) == 0 {
		return n, r.err
	}
	return n, nil
}

func TestSegmentsOf(t *testing.T) {
	for _, size := range edgeSizes {
		plain := pattern(size)
		for name, r := range map[string]io.Reader{
			"plain":    bytes.NewReader(plain),
			"bytewise": iotest.OneByteReader(bytes.NewReader(plain)),
			"half":     iotest.HalfReader(bytes.NewReader(plain)),
			"dataEOF":  iotest.DataErrReader(bytes.NewReader(plain)),
			"lastEOF":  &lastWith{plain, io.EOF},
		} {
			var got []byte
			s := SegmentsOf(r)
			for n := 0; ; n++ {
				segment, last, err := s.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !last && len(segment) != SegmentSize || last && len(segment) == 0 && n > 0 {
					t.Fatalf("%s, %d bytes: segment %d has %d, last %v", name, size, n, len(segment), last)
				}
				got = append(got, segment...)
				if last {
					break
				}
			}
			if !bytes.Equal(got, plain) {
				t.Fatalf("%s: wrong bytes", name)
			}
			if _, _, err := s.Next(); err != io.EOF {
				t.Fatalf("after the last: %v", err)
			}
		}
	}
}

// When the body fails, however late and with whatever error, the final segment
// never exists: nothing that was emitted can be opened to its end.
func TestFailedBodyIsNeverFinished(t *testing.T) {
	for _, size := range edgeSizes {
		plain := pattern(size)
		for name, src := range map[string]io.Reader{
			"after":      io.MultiReader(bytes.NewReader(plain), iotest.ErrReader(errBody)),
			"with":       &lastWith{plain, errBody},
			"unexpected": io.MultiReader(bytes.NewReader(plain), iotest.ErrReader(io.ErrUnexpectedEOF)),
		} {
			want := errBody
			if name == "unexpected" {
				want = io.ErrUnexpectedEOF
			}
			key := NewDataKey()
			r, err := NewSealReader(SegmentsOf(src), key, nil)
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := io.ReadAll(r)
			if err != want {
				t.Fatalf("%s, %d bytes: %v", name, size, err)
			}
			if _, err := r.Read(make([]byte, 1)); err != want {
				t.Fatalf("%s: the error does not stick: %v", name, err)
			}
			if longest := (size - 1) / SegmentSize * SegmentSize; size > 0 && len(sealed) > HeaderSize+longest/SegmentSize*(SegmentSize+SegmentOverhead) {
				t.Fatalf("%s, %d bytes: %d sealed", name, size, len(sealed))
			}
			if size == 0 && len(sealed) > 0 {
				t.Fatalf("%s: an empty failed body gives %d bytes", name, len(sealed))
			}
			r.Close()
		}
	}
}

// listed yields prepared segments.
type listed []struct {
	n    int
	last bool
	err  error
}

func (l *listed) Next() ([]byte, bool, error) {
	next := (*l)[0]
	*l = (*l)[1:]
	return make([]byte, next.n), next.last, next.err
}

func TestSourcesAreHeldToTheContract(t *testing.T) {
	for name, src := range map[string]listed{
		"short inner":        {{n: 5}},
		"empty inner":        {{n: 0}},
		"long":               {{n: SegmentSize + 1, last: true}},
		"empty last of two":  {{n: SegmentSize}, {n: 0, last: true}},
		"EOF without a last": {{n: SegmentSize}, {err: io.EOF}},
	} {
		r, err := NewSealReader(&src, NewDataKey(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err == nil {
			t.Errorf("%s: accepted", name)
		}
		r.Close()
	}
}

func TestSealReaderClose(t *testing.T) {
	r, err := NewSealReader(SegmentsOf(bytes.NewReader(pattern(100_000))), NewDataKey(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := r.Read(make([]byte, 10)); n != 0 || err == nil || err == io.EOF {
		t.Fatalf("Read after Close: %d, %v", n, err)
	}
	if n, err := r.WriteTo(io.Discard); n != 0 || err == nil {
		t.Fatalf("WriteTo after Close: %d, %v", n, err)
	}
}

type failing struct{ after int }

func (w *failing) Write(p []byte) (int, error) {
	if w.after--; w.after < 0 {
		return 0, errBody
	}
	return len(p), nil
}

func TestWriteErrorsStick(t *testing.T) {
	for after := range 3 {
		r, _ := NewSealReader(SegmentsOf(bytes.NewReader(pattern(200_000))), NewDataKey(), nil)
		if _, err := r.WriteTo(&failing{after}); err != errBody {
			t.Errorf("SealReader: %v", err)
		}
		if _, err := r.Read(make([]byte, 1)); err != errBody {
			t.Errorf("SealReader after: %v", err)
		}
		r.Close()
		w, _ := NewSealWriter(&failing{after}, NewDataKey(), nil)
		_, err := w.Write(pattern(200_000))
		if closed := w.Close(); closed != errBody || err != errBody {
			t.Errorf("SealWriter: %v, then %v", err, closed)
		}
	}
}

func TestReleasedWriterDoesNotFinish(t *testing.T) {
	var out bytes.Buffer
	w, _ := NewSealWriter(&out, NewDataKey(), nil)
	if _, err := w.Write(pattern(10)); err != nil {
		t.Fatal(err)
	}
	w.Release()
	if err := w.Close(); err == nil || out.Len() > 0 {
		t.Fatalf("Close after Release: %v, %d bytes out", err, out.Len())
	}
}

func TestNoAllocationPerSegment(t *testing.T) {
	const segments = 64
	plain := pattern(segments * SegmentSize)
	key := NewDataKey()
	sealed, seal := sealBlob(t, blobSuite, key, nil, plain)
	o, err := NewOpener(key, nil, seal, int64(len(plain)))
	if err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]func(n int64){
		"seal": func(n int64) {
			r, _ := NewSealReader(SegmentsOf(bytes.NewReader(plain[:n])), key, nil)
			r.WriteTo(io.Discard)
			r.Close()
		},
		"write": func(n int64) {
			w, _ := NewSealWriter(io.Discard, key, nil)
			w.Write(plain[:n])
			w.Close()
		},
		"open": func(n int64) {
			off, length := o.SealedRange(0, n)
			r := o.NewReader(bytes.NewReader(sealed[off:off+length]), 0, n)
			r.WriteTo(io.Discard)
			r.Close()
		},
	} {
		one := testing.AllocsPerRun(20, func() { run(SegmentSize) })
		all := testing.AllocsPerRun(20, func() { run(segments * SegmentSize) })
		// The pool may be emptied by a collection during a run; a segment's
		// worth of allocation would show as at least one for each of 63.
		if all-one > segments/8 {
			t.Errorf("%s: %v allocations for %d segments, %v for one", name, all, segments, one)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 20, 16 << 20} {
		b.Run(sizeName(size), func(b *testing.B) {
			plain, key := pattern(size), NewDataKey()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				r, _ := NewSealReader(SegmentsOf(bytes.NewReader(plain)), key, nil)
				if _, err := r.WriteTo(io.Discard); err != nil {
					b.Fatal(err)
				}
				r.Close()
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 20, 16 << 20} {
		b.Run(sizeName(size), func(b *testing.B) {
			key := NewDataKey()
			sealed, seal := sealBlob(b, blobSuite, key, nil, pattern(size))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				o, err := NewOpener(key, nil, seal, int64(size))
				if err != nil {
					b.Fatal(err)
				}
				r := o.NewReader(bytes.NewReader(sealed[HeaderSize:]), 0, int64(size))
				if _, err := r.WriteTo(io.Discard); err != nil {
					b.Fatal(err)
				}
				r.Close()
			}
		})
	}
}

func sizeName(n int) string { return strconv.Itoa(n>>10) + "KiB" }
