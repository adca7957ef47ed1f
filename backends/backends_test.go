package backends

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestBlobIDText(t *testing.T) {
	var counting BlobID
	for i := range counting {
		counting[i] = byte(i)
	}
	vectors := map[string]BlobID{ // from Python: base64.b32hexencode(...).lower()
		"000g40o40k30e209185go38e1s8124gj": counting,
		strings.Repeat("v", 32):            BlobID(bytes.Repeat([]byte{0xff}, 20)),
		strings.Repeat("0", 32):            {},
	}
	for text, id := range vectors {
		if id.String() != text {
			t.Errorf("%x reads %s, want %s", id[:], id, text)
		}
		if got, err := ParseBlobID(text); err != nil || got != id {
			t.Errorf("ParseBlobID(%s) = %x, %v", text, got[:], err)
		}
	}
}

func TestParseBlobIDIsStrict(t *testing.T) {
	good := NewBlobID().String()
	for _, s := range []string{"", good[1:], good + "a", good[:31] + "=", good[:31] + "w", good[:31] + "z",
		good[:31] + "\n", good[:30] + "\r\n", "\n" + good[1:], good[:31] + "A", good[:31] + "\x00", good[:30] + "é",
		strings.ToUpper(strings.Repeat("ab", 16))} {
		if id, err := ParseBlobID(s); err == nil || !id.IsZero() {
			t.Errorf("ParseBlobID(%q) = %v, %v", s, id, err)
		}
	}
}

func FuzzParseBlobID(f *testing.F) {
	f.Add("000g40o40k30e209185go38e1s8124gj")
	f.Add("000g40o40k30e209185go38e1s8124g\n")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseBlobID(s); err == nil && id.String() != s {
			t.Fatalf("%q was read as %s", s, id)
		}
	})
}

func TestCompareIsTheOrderOfText(t *testing.T) {
	ids := make([]BlobID, 500)
	for i := range ids {
		ids[i] = NewBlobID()
	}
	for i := range ids[1:] { // and neighbours that differ late
		if i%2 == 0 {
			ids[i+1] = ids[i]
			ids[i+1][i%20] ^= byte(1 + i%255)
		}
	}
	slices.SortFunc(ids, BlobID.Compare)
	if !slices.IsSortedFunc(ids, func(a, b BlobID) int { return strings.Compare(a.String(), b.String()) }) {
		t.Fatal("Compare disagrees with the text")
	}
	if ids[0].Compare(ids[0]) != 0 || ids[0].Compare(ids[1]) != -1 || ids[1].Compare(ids[0]) != 1 {
		t.Fatal("Compare does not give -1, 0, +1")
	}
}

func TestCheckRange(t *testing.T) {
	for _, r := range [][2]int64{{0, 0}, {0, -1}, {5, 7}, {math.MaxInt64, 0}, {math.MaxInt64, -1}, {1, math.MaxInt64 - 1}} {
		if err := CheckRange(r[0], r[1]); err != nil {
			t.Error(err)
		}
	}
	for _, r := range [][2]int64{{-1, 0}, {0, -2}, {1, math.MaxInt64}, {math.MinInt64, -1}} {
		if CheckRange(r[0], r[1]) == nil {
			t.Errorf("%v was accepted", r)
		}
	}
}

func TestSized(t *testing.T) {
	late := errors.New("digest differs")
	for _, tc := range []struct {
		name string
		r    io.Reader
		size int64
		want error
	}{
		{"exact", strings.NewReader("12345"), 5, nil},
		{"exact, byte by byte", iotest.OneByteReader(strings.NewReader("12345")), 5, nil},
		{"exact, data with EOF", iotest.DataErrReader(strings.NewReader("12345")), 5, nil},
		{"unknown", strings.NewReader("12345"), -1, nil},
		{"empty", strings.NewReader(""), 0, nil},
		{"short", strings.NewReader("1234"), 5, ErrSize},
		{"short, data with EOF", iotest.DataErrReader(strings.NewReader("1234")), 5, ErrSize},
		{"long", strings.NewReader("123456"), 5, ErrSize},
		{"not empty", strings.NewReader("1"), 0, ErrSize},
		{"verdict after the last byte", io.MultiReader(strings.NewReader("12345"), iotest.ErrReader(late)), 5, late},
	} {
		got, err := io.ReadAll(Sized(tc.r, tc.size))
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		if int64(len(got)) > tc.size && tc.size >= 0 {
			t.Errorf("%s: the excess was handed out: %q", tc.name, got)
		}
	}
}

func TestExactly(t *testing.T) {
	for _, tc := range []struct {
		in   string
		n    int64
		out  string
		want error
	}{
		{"12345", 5, "12345", nil}, {"12345", 3, "123", nil}, {"", 0, "", nil},
		{"123", 5, "123", io.ErrUnexpectedEOF}, {"", 1, "", io.ErrUnexpectedEOF},
	} {
		for _, r := range []io.Reader{strings.NewReader(tc.in), iotest.DataErrReader(strings.NewReader(tc.in))} {
			got, err := io.ReadAll(Exactly(io.NopCloser(r), tc.n))
			if string(got) != tc.out || err != tc.want {
				t.Errorf("%d of %q: %q, %v", tc.n, tc.in, got, err)
			}
		}
	}
}

func TestBlobIDsTogether(t *testing.T) {
	const n = 1000
	prefixes, ids := make(map[string]bool), make(map[BlobID]bool)
	for _, id := range NewBlobIDs(n) {
		prefixes[id.String()[:2]], ids[id] = true, true
	}
	if len(prefixes) != 1 || len(ids) != n {
		t.Errorf("%d ids begin in %d ways, and %d differ", n, len(prefixes), len(ids))
	}
	first := func() string { return NewBlobIDs(1)[0].String()[:2] }
	for i, one := 0, first(); first() == one; i++ {
		if i == 20 {
			t.Fatal("all ids begin in the same way")
		}
	}
}
