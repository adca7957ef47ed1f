package sigv4

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sanctum-storage/gateway/s3err"
)

var allModes = []PayloadMode{Signed, Unsigned, StreamingSigned, StreamingSignedTrailer, StreamingUnsignedTrailer}

// wireOf signs u and returns the bytes of its body on the wire.
func wireOf(t testing.TB, u upload) (*Identity, []byte) {
	t.Helper()
	if u.mode.Trailing() && u.trailer == nil {
		u.trailer = http.Header{"X-Amz-Checksum-Crc32c": {"sOO8/Q=="}}
	}
	r, id := signedUpload(t, u)
	wire, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(wire)) != r.ContentLength {
		t.Fatalf("%d bytes on the wire, announced %d", len(wire), r.ContentLength)
	}
	return id, wire
}

func declaredFor(mode PayloadMode) []string {
	if mode.Trailing() {
		return []string{"x-amz-checksum-crc32c"}
	}
	return nil
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

func TestBodies(t *testing.T) {
	readers := map[string]func(io.Reader) io.Reader{
		"plain":   func(r io.Reader) io.Reader { return r },
		"one":     iotest.OneByteReader,
		"half":    iotest.HalfReader,
		"dataerr": iotest.DataErrReader,
	}
	for _, mode := range allModes {
		for _, size := range []int{0, 1, MinChunkSize, 20_000, MaxBufferedChunk + 5} {
			for _, chunk := range []int{MinChunkSize, DefaultChunkSize, MaxBufferedChunk + 1} {
				data := pattern(size)
				id, wire := wireOf(t, upload{mode: mode, data: data, chunkSize: chunk})
				for name, wrap := range readers {
					for _, callers := range []string{"plain", "one"} {
						if size > MaxBufferedChunk && (name == "one" || callers == "one") {
							continue // slow, and not more revealing than smaller ones
						}
						body, err := id.Body(wrap(bytes.NewReader(wire)), int64(len(wire)), int64(size), declaredFor(mode))
						if err != nil {
							t.Fatal(err)
						}
						got, err := io.ReadAll(readers[callers](body))
						if err != nil || !bytes.Equal(got, data) || body.Length() != int64(size) {
							t.Fatalf("%v, %d bytes in chunks of %d, reader %s, caller %s: %d bytes, %v", mode, size, chunk, name, callers, len(got), err)
						}
						if n, err := body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
							t.Errorf("after the end: %d, %v", n, err)
						}
						if sum := body.Trailers().Get("x-amz-checksum-crc32c"); (sum == "sOO8/Q==") != mode.Trailing() {
							t.Errorf("%v: trailer %q", mode, sum)
						}
					}
				}
			}
		}
	}
}

// splitReader delivers its bytes in two pieces.
type splitReader struct {
	data []byte
	at   int
}

func (s *splitReader) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := len(s.data)
	if s.at > 0 {
		n = s.at
	}
	n = copy(p, s.data[:n])
	s.data, s.at = s.data[n:], max(s.at-n, 0)
	return n, nil
}

// TestEverySplit cuts the wire at every offset. Once the rest follows in
// another piece, and once it never arrives.
func TestEverySplit(t *testing.T) {
	for _, mode := range allModes {
		data := pattern(MinChunkSize + 40)
		id, wire := wireOf(t, upload{mode: mode, data: data, chunkSize: MinChunkSize})
		for at := range wire {
			body, err := id.Body(&splitReader{wire, at}, int64(len(wire)), int64(len(data)), declaredFor(mode))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%v split at %d: %d bytes, %v", mode, at, len(got), err)
			}
			body, err = id.Body(bytes.NewReader(wire[:at]), int64(len(wire)), int64(len(data)), declaredFor(mode))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(body)
			if s3err.From(err) == nil || s3err.From(err).Code != s3err.IncompleteBody {
				t.Fatalf("%v cut at %d: %v", mode, at, err)
			}
			if len(got) == len(data) {
				t.Fatalf("%v cut at %d: the last byte was handed out", mode, at)
			}
		}
	}
}

// TestEveryByte changes each byte on the wire. Bytes that differ from the
// original are never returned to the end and, in buffered chunks, not at all.
func TestEveryByte(t *testing.T) {
	for _, mode := range []PayloadMode{Signed, StreamingSigned, StreamingSignedTrailer} {
		data := pattern(MinChunkSize + 50)
		id, wire := wireOf(t, upload{mode: mode, data: data, chunkSize: MinChunkSize})
		for i := range wire {
			wire[i] ^= 1
			body, err := id.Body(bytes.NewReader(wire), int64(len(wire)), int64(len(data)), declaredFor(mode))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(body)
			if err == nil || len(got) == len(data) {
				t.Fatalf("%v, byte %d changed to %q: %d bytes, %v", mode, i, wire[i], len(got), err)
			}
			if mode.Chunked() && !bytes.HasPrefix(data, got) {
				t.Fatalf("%v, byte %d changed: unverified bytes were handed out", mode, i)
			}
			wire[i] ^= 1
		}
	}
}

// TestChunkOrder moves whole, correctly signed chunks around.
func TestChunkOrder(t *testing.T) {
	data := pattern(3*MinChunkSize + 10)
	id, wire := wireOf(t, upload{mode: StreamingSigned, data: data, chunkSize: MinChunkSize})
	size := bytes.IndexByte(wire, '\n') + 1 + MinChunkSize + 2
	a, b, c, end := wire[:size], wire[size:2*size], wire[2*size:3*size], wire[3*size:]
	for name, order := range map[string][][]byte{
		"swapped":        {b, a, c, end},
		"repeated":       {a, a, c, end},
		"left out":       {a, c, end},
		"last two":       {a, c, b, end},
		"from the start": {b, c, end},
	} {
		body, err := id.Body(bytes.NewReader(bytes.Join(order, nil)), -1, int64(len(data)), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		if !errors.Is(err, s3err.SignatureDoesNotMatch) || !bytes.HasPrefix(data, got) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestLargeChunkWithheld(t *testing.T) {
	data := pattern(MaxBufferedChunk + 1000)
	id, wire := wireOf(t, upload{mode: StreamingSigned, data: data, chunkSize: len(data)})
	wire[bytes.IndexByte(wire, '\n')+1] ^= 1
	body, err := id.Body(iotest.HalfReader(bytes.NewReader(wire)), int64(len(wire)), int64(len(data)), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(body)
	if !errors.Is(err, s3err.SignatureDoesNotMatch) || len(got) >= len(data) {
		t.Errorf("%d of %d bytes, %v", len(got), len(data), err)
	}
}

func TestPlainRefusals(t *testing.T) {
	id, wire := wireOf(t, upload{mode: Signed, data: pattern(100)})
	read := func(r io.Reader, length int64) error {
		body, err := id.Body(r, length, -1, nil)
		if err != nil {
			return err
		}
		_, err = io.ReadAll(body)
		return err
	}
	other := pattern(100)
	other[50]++
	err := read(bytes.NewReader(other), 100)
	refused(t, err, s3err.ContentSHA256Mismatch, "", "ClientComputedContentSHA256="+PayloadHash(wire), "S3ComputedContentSHA256="+PayloadHash(other))
	refused(t, read(bytes.NewReader(wire), 101), s3err.IncompleteBody, "")
	refused(t, read(bytes.NewReader(append(bytes.Clone(wire), 'x')), 100), s3err.IncompleteBody, "")
	refused(t, read(bytes.NewReader(wire), -1), s3err.MissingContentLength, "")
	refused(t, read(nil, 0), s3err.ContentSHA256Mismatch, "")
	reset := errors.New("connection reset")
	if err := read(io.MultiReader(bytes.NewReader(wire[:10]), iotest.ErrReader(reset)), 100); !errors.Is(err, reset) {
		t.Errorf("an error of the reader: %v", err)
	}
	if _, err := id.Body(nil, 0, -1, []string{"x-amz-checksum-crc32"}); !errors.Is(err, s3err.MalformedTrailer) {
		t.Errorf("a trailer without chunks: %v", err)
	}
	if _, err := (&Identity{}).Body(nil, 0, -1, nil); err == nil {
		t.Error("an identity that nothing verified has a body")
	}
	if _, err := (&Identity{Payload: StreamingSigned}).Body(nil, 0, 0, nil); err == nil {
		t.Error("signed chunks without a key")
	}
}

func TestChunkRefusals(t *testing.T) {
	const trailer = "x-amz-checksum-crc32c:sOO8/Q==\r\n"
	ten, big := strings.Repeat("d", 10), strings.Repeat("d", MinChunkSize)
	for _, test := range []struct {
		name, wire string
		length     int64
		code       s3err.Code
	}{
		{"good", "a\r\n" + ten + "\r\n0\r\n" + trailer + "\r\n", 10, ""},
		{"capital size, leading zero", "0A\r\n" + ten + "\r\n0\r\n" + trailer + "\r\n", 10, ""},
		{"line feeds and a blank line more", "a\r\n" + ten + "\r\n0\r\nx-amz-checksum-crc32c:sOO8/Q==\n\r\n\r\n", 10, ""},
		{"two chunks", "2000\r\n" + big + "\r\na\r\n" + ten + "\r\n0\r\n" + trailer + "\r\n", MinChunkSize + 10, ""},
		{"too small a chunk", "a\r\n" + ten + "\r\na\r\n" + ten + "\r\n0\r\n" + trailer + "\r\n", 20, s3err.InvalidChunkSize},
		{"more than stated", "a\r\n" + ten + "\r\n0\r\n" + trailer + "\r\n", 9, s3err.IncompleteBody},
		{"fewer than stated", "a\r\n" + ten + "\r\n0\r\n" + trailer + "\r\n", 11, s3err.IncompleteBody},
		{"more chunks than stated", "2000\r\n" + big + "\r\na\r\n" + ten + "\r\n0\r\n" + trailer + "\r\n", MinChunkSize, s3err.IncompleteBody},
		{"huge size", "7fffffffffffffff\r\n" + ten, 10, s3err.IncompleteBody},
		{"size over 63 bits", "ffffffffffffffff\r\n" + ten, 10, s3err.IncompleteBody},
		{"size of 17 digits", "0000000000000000a\r\n" + ten, 10, s3err.IncompleteBody},
		{"no size", "\r\n" + ten, 10, s3err.IncompleteBody},
		{"negative size", "-a\r\n" + ten, 10, s3err.IncompleteBody},
		{"size in 0x", "0xa\r\n" + ten, 10, s3err.IncompleteBody},
		{"line feed alone", "a\n" + ten + "\r\n0\r\n" + trailer + "\r\n", 10, s3err.IncompleteBody},
		{"extension", "a;x=y\r\n" + ten + "\r\n0\r\n" + trailer + "\r\n", 10, s3err.IncompleteBody},
		{"signature", "a;chunk-signature=" + strings.Repeat("0", 64) + "\r\n" + ten, 10, s3err.IncompleteBody},
		{"endless line", strings.Repeat("0", 10_000), 10, s3err.IncompleteBody},
		{"long line", strings.Repeat("0", maxChunkLine) + "\r\n", 10, s3err.IncompleteBody},
		{"no CRLF behind a chunk", "a\r\n" + ten + "0\r\n" + trailer + "\r\n", 10, s3err.IncompleteBody},
		{"no blank line", "a\r\n" + ten + "\r\n0\r\n" + trailer, 10, s3err.IncompleteBody},
		{"bytes behind", "a\r\n" + ten + "\r\n0\r\n" + trailer + "\r\nx", 10, s3err.IncompleteBody},
		{"two blank lines and more", "a\r\n" + ten + "\r\n0\r\n" + trailer + "\r\n\r\n\r\n", 10, s3err.IncompleteBody},
		{"trailer missing", "a\r\n" + ten + "\r\n0\r\n\r\n", 10, s3err.MalformedTrailer},
		{"trailer twice", "a\r\n" + ten + "\r\n0\r\n" + trailer + trailer + "\r\n", 10, s3err.MalformedTrailer},
		{"another trailer", "a\r\n" + ten + "\r\n0\r\n" + trailer + "x-amz-meta-a:b\r\n\r\n", 10, s3err.MalformedTrailer},
		{"trailer without colon", "a\r\n" + ten + "\r\n0\r\nx-amz-checksum-crc32c\r\n\r\n", 10, s3err.MalformedTrailer},
		{"blank in a name", "a\r\n" + ten + "\r\n0\r\nx-amz-checksum-crc32c :a\r\n\r\n", 10, s3err.MalformedTrailer},
		{"control byte in a value", "a\r\n" + ten + "\r\n0\r\nx-amz-checksum-crc32c:a\x00\r\n\r\n", 10, s3err.MalformedTrailer},
		{"long trailer", "a\r\n" + ten + "\r\n0\r\nx-amz-checksum-crc32c:" + strings.Repeat("a", MaxTrailerLine) + "\r\n\r\n", 10, s3err.IncompleteBody},
		{"signature on an unsigned trailer", "a\r\n" + ten + "\r\n0\r\n" + trailer + "x-amz-trailer-signature:00\r\n\r\n", 10, s3err.MalformedTrailer},
	} {
		t.Run(test.name, func(t *testing.T) {
			id := &Identity{Payload: StreamingUnsignedTrailer}
			body, err := id.Body(strings.NewReader(test.wire), int64(len(test.wire)), test.length, []string{" X-Amz-Checksum-Crc32c"})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(body)
			if test.code == "" {
				if err != nil || int64(len(got)) != test.length {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				return
			}
			refused(t, err, test.code, "")
			if int64(len(got)) >= test.length {
				t.Errorf("all %d bytes beside %v", len(got), err)
			}
			if test.code == s3err.InvalidChunkSize {
				refused(t, err, test.code, "Only the last chunk", "Chunk=2", "BadChunkSize=10")
			}
		})
	}
}

// TestSignedTrailerRefusals changes the part after the empty chunk.
func TestSignedTrailerRefusals(t *testing.T) {
	id, wire := wireOf(t, upload{mode: StreamingSignedTrailer, data: pattern(10)})
	at := bytes.Index(wire, []byte("x-amz-checksum"))
	head, tail := string(wire[:at]), string(wire[at:])
	for name, test := range map[string]struct {
		tail string
		code s3err.Code
	}{
		"as signed":         {tail, ""},
		"blank line more":   {strings.Replace(tail, "\r\nx-amz-trailer", "\n\r\nx-amz-trailer", 1), ""},
		"two more":          {strings.Replace(tail, "x-amz-trailer", "\r\n\r\nx-amz-trailer", 1), s3err.MalformedTrailer},
		"value":             {strings.Replace(tail, "sOO8", "tOO8", 1), s3err.SignatureDoesNotMatch},
		"no signature":      {tail[:strings.Index(tail, "x-amz-trailer")] + "\r\n", s3err.IncompleteBody},
		"signature first":   {tail[strings.Index(tail, "x-amz-trailer"):], s3err.MalformedTrailer},
		"signature of zero": {tail[:strings.Index(tail, "signature:")] + "signature:\r\n\r\n", s3err.SignatureDoesNotMatch},
		"trailer between":   {strings.Replace(tail, "x-amz-trailer", "\r\nx-amz-meta-a:b\r\nx-amz-trailer", 1), s3err.MalformedTrailer},
		"bytes behind":      {tail + "\r\n", s3err.IncompleteBody},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := id.Body(strings.NewReader(head+test.tail), -1, 10, declaredFor(StreamingSignedTrailer))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(body)
			if test.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, err, test.code, "")
			if len(got) > 0 {
				t.Error("bytes were handed out")
			}
		})
	}
}

func TestRequestBodyHeaders(t *testing.T) {
	id := &Identity{Payload: StreamingUnsignedTrailer}
	for _, test := range []struct {
		lengths, trailers []string
		code              s3err.Code
	}{
		{[]string{"0"}, []string{"a, b", "c"}, ""},
		{nil, nil, s3err.MissingContentLength},
		{[]string{""}, nil, s3err.MissingContentLength},
		{[]string{"-1"}, nil, s3err.MissingContentLength},
		{[]string{"+1"}, nil, s3err.MissingContentLength},
		{[]string{"9223372036854775808"}, nil, s3err.MissingContentLength},
		{[]string{"1", "1"}, nil, s3err.MissingContentLength},
		{[]string{"1"}, []string{"a,A"}, s3err.MalformedTrailer},
		{[]string{"1"}, []string{"a b"}, s3err.MalformedTrailer},
		{[]string{"1"}, []string{""}, s3err.MalformedTrailer},
		{[]string{"1"}, []string{trailerSignature}, s3err.MalformedTrailer},
		{[]string{"1"}, []string{strings.Repeat("a,", MaxTrailers+1)}, s3err.MalformedTrailer},
	} {
		r := arrived("PUT", "h", "/b/k")
		if test.lengths != nil {
			r.Header["X-Amz-Decoded-Content-Length"] = test.lengths
		}
		r.Header["X-Amz-Trailer"] = test.trailers
		_, err := id.RequestBody(r)
		if test.code == "" {
			if err != nil {
				t.Errorf("%q %q: %v", test.lengths, test.trailers, err)
			}
			continue
		}
		refused(t, err, test.code, "")
	}
}

func TestAnonymousBodies(t *testing.T) {
	for payload, code := range map[string]s3err.Code{
		"":                                   "",
		unsignedPayload:                      "",
		emptySHA256:                          "",
		"STREAMING-UNSIGNED-PAYLOAD-TRAILER": "",
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD": s3err.InvalidRequest,
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": s3err.InvalidRequest,
		"nonsense": s3err.InvalidArgument,
	} {
		r := arrived("PUT", "h", "/b/k", "x-amz-decoded-content-length: 0")
		if payload != "" {
			r.Header.Set("X-Amz-Content-Sha256", payload)
		}
		id, err := Anonymous(r)
		if code != "" {
			refused(t, err, code, "")
			continue
		}
		if err != nil || id.AccessKey != "" {
			t.Fatalf("%s: %v", payload, err)
		}
		if _, err := id.RequestBody(r); err != nil {
			t.Errorf("%s: %v", payload, err)
		}
	}
}

func TestNoAllocationPerChunk(t *testing.T) {
	allocations := func(chunks int) float64 {
		data := pattern(chunks * MinChunkSize)
		id, wire := wireOf(t, upload{mode: StreamingSigned, data: data, chunkSize: MinChunkSize})
		p := make([]byte, MinChunkSize)
		return testing.AllocsPerRun(20, func() {
			body, err := id.Body(bytes.NewReader(wire), int64(len(wire)), int64(len(data)), nil)
			for err == nil {
				_, err = body.Read(p)
			}
			if err != io.EOF {
				t.Fatal(err)
			}
		})
	}
	if few, many := allocations(2), allocations(60); many > few {
		t.Errorf("%v allocations for 2 chunks, %v for 60", few, many)
	}
}

func TestStripChunked(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "aws-chunked": "", "aws-chunked,gzip": "gzip", "gzip, AWS-Chunked": "gzip", "gzip": "gzip",
		" aws-chunked , br ,gzip": "br ,gzip", "x-aws-chunked": "x-aws-chunked", "aws-chunked,": "", ",aws-chunked": "",
		"deflate, aws-chunked, gzip": "deflate, gzip", "deflate,  gzip ": "deflate,  gzip ", "a,,b": "a,,b", "aws-chunked, aws-chunked": "",
		"deflate, gzip,\taws-chunked": "deflate, gzip", "a , aws-chunked": "a",
	} {
		if got := StripChunked(in); got != want {
			t.Errorf("StripChunked(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSignChunkedRefusals(t *testing.T) {
	for i, c := range []Chunked{
		{Mode: Signed, Body: strings.NewReader("")},
		{Mode: StreamingSigned, Body: strings.NewReader(""), Trailer: http.Header{"A": {"b"}}},
		{Mode: StreamingSigned, Body: strings.NewReader(""), ChunkSize: MinChunkSize - 1},
		{Mode: StreamingSigned, Body: strings.NewReader(""), Length: -1},
	} {
		r, _ := http.NewRequest("PUT", "http://h/b/k", nil)
		if err := SignChunked(r, exampleKey, exampleSecret, "us-east-1", "s3", c, exampleTime); err == nil {
			t.Errorf("case %d was signed", i)
		}
	}
	for _, length := range []int64{4, 6} {
		r, _ := http.NewRequest("PUT", "http://h/b/k", nil)
		err := SignChunked(r, exampleKey, exampleSecret, "us-east-1", "s3",
			Chunked{Mode: StreamingSigned, Body: strings.NewReader("12345"), Length: length}, exampleTime)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r.Body); err == nil {
			t.Errorf("5 bytes went out as %d: %q", length, fmt.Sprintf("%.40s", got))
		}
	}
}
