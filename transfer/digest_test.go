package transfer

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"
	"testing/iotest"
)

// The last byte is not given before the check, and not at all if the check
// fails.
func TestHeld(t *testing.T) {
	refuse := errors.New("refused")
	for name, c := range map[string]struct {
		body  string
		size  int64
		check error
		want  string
		err   error
	}{
		"whole":    {body: "abc", size: 3, want: "abc"},
		"one byte": {body: "a", size: 1, want: "a"},
		"empty":    {},
		"refused":  {body: "abc", size: 3, check: refuse, want: "ab", err: refuse},
		"one no":   {body: "a", size: 1, check: refuse, err: refuse},
		"short":    {body: "ab", size: 3, want: "ab", err: io.ErrUnexpectedEOF},
		"no bytes": {size: 1, err: io.ErrUnexpectedEOF},
		"longer":   {body: "abcd", size: 3, want: "abc"},
	} {
		for kind, wrap := range map[string]func(io.Reader) io.Reader{"plain": func(r io.Reader) io.Reader { return r },
			"single bytes": iotest.OneByteReader, "end with data": iotest.DataErrReader} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				var passed bytes.Buffer
				h := &held{r: wrap(bytes.NewReader([]byte(c.body))), to: &passed, left: c.size, check: func() error {
					if passed.String() != c.body[:c.size] {
						t.Errorf("checked after %q", passed.String())
					}
					return c.check
				}}
				got, err := io.ReadAll(h)
				if string(got) != c.want || !errors.Is(err, c.err) {
					t.Errorf("%q, %v; want %q, %v", got, err, c.want, c.err)
				}
				if _, again := h.Read(make([]byte, 1)); c.err != nil && again != err {
					t.Errorf("then %v", again)
				}
			})
		}
	}
}

func TestPartsOf(t *testing.T) {
	const sum = "0123456789abcdef0123456789abcdef"
	for etag, want := range map[string]int{sum + "-3": 3, sum + "-10000": 10000, sum: 0, sum + "-0": 0, sum + "-": 0, "x-3": 0, sum + "-123456": 0} {
		if got := partsOf(etag); got != want {
			t.Errorf("%s: %d, want %d", etag, got, want)
		}
	}
}

func TestGuessPartSize(t *testing.T) {
	for _, c := range []struct {
		total int64
		n     int
		want  int64
	}{
		{5*mebibyte + 1, 2, 5 * mebibyte},
		{16 * mebibyte, 2, 8 * mebibyte},
		{100 * mebibyte, 7, 16 * mebibyte},
		{21 * mebibyte, 3, 8 * mebibyte},
		{21 * mebibyte, 7, 3 * mebibyte},
		{0, 1, 0},
		{10, 3, 0},
	} {
		if got := guessPartSize(c.total, c.n); got != c.want {
			t.Errorf("%d in %d: %d, want %d", c.total, c.n, got, c.want)
		}
	}
	for _, total := range []int64{0, 1, ownPartSize, ownPartSize + 1, 5 << 40} {
		p := ownPlan(total)
		var sum int64
		for i := range p.count {
			sum += p.piece(i, total).n
		}
		if sum != total || p.count < 1 || p.count > maxParts {
			t.Errorf("%d: %+v cover %d", total, p, sum)
		}
	}
}

// A key reaches the server byte for byte, whatever it contains.
func FuzzTarget(f *testing.F) {
	for _, key := range []string{"a", "/", "//", "..", "a/../b", "%2F", "+ ", "\x00\xff", "ü", "?#"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		for _, virtual := range []bool{false, true} {
			c := client{Endpoint: Endpoint{VirtualHost: virtual}, base: &url.URL{Scheme: "https", Host: "host"}}
			u := c.target(call{bucket: "bucket", key: key})
			var wire bytes.Buffer
			if err := (&http.Request{Method: "GET", URL: u}).Write(&wire); err != nil {
				t.Fatal(err)
			}
			line, _, _ := bytes.Cut(wire.Bytes(), []byte(" HTTP/1.1\r\n"))
			path := string(bytes.TrimPrefix(line, []byte("GET ")))
			want := "/" + key
			if !virtual {
				want = "/bucket/" + key
				if key == "" {
					want = "/bucket"
				}
			}
			if got, err := url.PathUnescape(path); err != nil || got != want {
				t.Errorf("%q: %q on the wire, %v", key, path, err)
			}
		}
	})
}

func TestDiffering(t *testing.T) {
	for name, c := range map[string]struct {
		source, target http.Header
		want           int
	}{
		"default type":  {http.Header{"Content-Type": {"binary/octet-stream"}}, http.Header{}, 0},
		"other default": {http.Header{}, http.Header{"Content-Type": {"application/octet-stream"}}, 0},
		"encoded word":  {http.Header{"X-Amz-Meta-A": {"ü"}}, http.Header{"X-Amz-Meta-A": {"=?UTF-8?B?w7w=?="}}, 0},
		"other value":   {http.Header{"X-Amz-Meta-A": {"1"}}, http.Header{"X-Amz-Meta-A": {"2"}}, 1},
		"missing":       {http.Header{"X-Amz-Meta-A": {"1"}}, http.Header{}, 1},
		"too much":      {http.Header{}, http.Header{"Expires": {"1"}, "Cache-Control": {"2"}}, 2},
	} {
		if got := differing(c.source, c.target); len(got) != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
