package strict_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/strict"
)

// odd are texts that some parser takes for a number and that are not valid.
var odd = []string{
	"", " ", "+", "-", "+1", "+0", "-+1", "--1", " 1", "1 ", "\t1", "1\n", "1_0", "_1", "0x10", "0b1", "0o7", "1e3", "1.0", "1.", ".1",
	"1,000", "½", "١", "１", "1\x00", "1\u00a0", "\u200b1", "NaN", "Inf", "99999999999999999999", "00000000000000000001",
}

func TestNumber(t *testing.T) {
	for _, s := range append(odd, "-1", "-0", "9223372036854775808") {
		if n, ok := strict.Number(s, math.MaxInt64); ok {
			t.Errorf("Number(%q) = %d", s, n)
		}
	}
	for s, want := range map[string]int64{"0": 0, "7": 7, "007": 7, "604800": 604800, "9223372036854775807": math.MaxInt64} {
		if n, ok := strict.Number(s, want); !ok || n != want {
			t.Errorf("Number(%q) = %d, %v", s, n, ok)
		}
		if n, ok := strict.Number(s, want-1); ok {
			t.Errorf("Number(%q) up to %d = %d", s, want-1, n)
		}
	}
}

func TestInteger(t *testing.T) {
	for _, s := range odd {
		if n, ok := strict.Integer(s); ok {
			t.Errorf("Integer(%q) = %d", s, n)
		}
	}
	for s, want := range map[string]int64{"0": 0, "-0": 0, "-1": -1, "12": 12, "-9223372036854775807": -math.MaxInt64} {
		if n, ok := strict.Integer(s); !ok || n != want {
			t.Errorf("Integer(%q) = %d, %v", s, n, ok)
		}
	}
}

func TestDateTime(t *testing.T) {
	for _, s := range []string{
		"", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05,5Z", "2026-01-02T3:04:05Z", "2026-1-02T03:04:05Z", "2026-01-02 03:04:05Z",
		"2026-01-02t03:04:05Z", "2026-01-02T03:04:05z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05.1234567890Z", "2026-01-02T03:04:60Z",
		"2026-13-02T03:04:05Z", "2026-02-30T03:04:05Z", "2026-01-02T24:00:00Z", "2026-01-02T03:04:05+0100", "2026-01-02T03:04:05+1:00",
		"2026-01-02T03:04:05+25:00", " 2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z ", "+026-01-02T03:04:05Z", "12026-01-02T03:04:05Z",
		"2026-01-02T03:04:05ZZ", "2026-01-02T03:04:05GMT", "2026-01-02T03:04:05Z+01:00",
	} {
		if got, ok := strict.DateTime(s); ok {
			t.Errorf("DateTime(%q) = %s", s, got)
		}
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"2026-01-02T03:04:05Z": at, "2026-01-02T03:04:05.5Z": at.Add(time.Second / 2), "2026-01-02T04:04:05+01:00": at,
		"2026-01-02T03:04:05.000000001Z": at.Add(1), "2026-01-01T21:34:05.000-05:30": at, "2026-01-02T03:04:05-00:00": at,
	} {
		if got, ok := strict.DateTime(s); !ok || !got.Equal(want) {
			t.Errorf("DateTime(%q) = %s, %v", s, got, ok)
		}
	}
}

func TestDates(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) // a Friday
	for s, want := range map[string]bool{
		"Fri, 02 Jan 2026 03:04:05 GMT": true, "Friday, 02-Jan-26 03:04:05 GMT": true, "Fri Jan  2 03:04:05 2026": true,
		"Sat, 02 Jan 2026 03:04:05 GMT": false, "fri, 02 jan 2026 03:04:05 GMT": false, "Fri, 2 Jan 2026 03:04:05 GMT": false,
		"Fri, 02 Jan 2026 3:04:05 GMT": false, "Fri, 02 Jan 2026 03:04:05 UTC": false, "Fri, 02 Jan 2026 03:04:05.5 GMT": false,
		"Fri, 02 Jan 2026 03:04:05 +0000": false, " Fri, 02 Jan 2026 03:04:05 GMT": false, "": false,
	} {
		if got, ok := strict.HTTPDate(s); ok != want || ok && !got.Equal(at) {
			t.Errorf("HTTPDate(%q) = %s, %v", s, got, ok)
		}
	}
	for s, want := range map[string]bool{
		"Fri, 02 Jan 2026 03:04:05 +0000": true, "Fri, 02 Jan 2026 03:04:05 -0000": true, "Fri, 02 Jan 2026 04:04:05 +0100": true,
		"Sat, 02 Jan 2026 03:04:05 +0000": false, "Fri, 02 Jan 2026 03:04:05 GMT": false, "Fri, 2 Jan 2026 03:04:05 +0000": false, "": false,
	} {
		if got, ok := strict.MailDate(s); ok != want || ok && !got.Equal(at) {
			t.Errorf("MailDate(%q) = %s, %v", s, got, ok)
		}
	}
}

// TestAgainstForms compares every parser, over mutations of good texts, with a
// regular expression of its form. The standard library parses every accepted
// text the same way.
func TestAgainstForms(t *testing.T) {
	number := regexp.MustCompile(`^[0-9]{1,19}$`)
	date := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$`)
	stamp := regexp.MustCompile(`^\d{8}T\d{6}Z$`)
	seed := time.Now().UnixNano()
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	const letters = "0123456789+-_.,:TZ eExz \t٣"
	runes := []rune(letters)
	for range 200_000 {
		good := []string{
			strconv.FormatInt(rng.Int64(), 10), "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123Z", "2026-01-02T03:04:05+01:00",
			"20260102T030405Z", http.TimeFormat,
		}
		text := []rune(good[rng.IntN(len(good))])
		for range 1 + rng.IntN(2) {
			at, c := rng.IntN(len(text)), runes[rng.IntN(len(runes))]
			switch rng.IntN(3) {
			case 0:
				text[at] = c
			case 1:
				text = append(text[:at], append([]rune{c}, text[at:]...)...)
			case 2:
				text = append(text[:at], text[at+1:]...)
			}
		}
		if err := judge(string(text), number, date, stamp); err != nil {
			t.Fatalf("%v (seed %d)", err, seed)
		}
	}
}

func judge(s string, number, date, stamp *regexp.Regexp) error {
	if n, ok := strict.Number(s, math.MaxInt64); ok {
		if want, err := strconv.ParseInt(s, 10, 64); !number.MatchString(s) || err != nil || want != n {
			return fmt.Errorf("Number(%q) = %d", s, n)
		}
	}
	if got, ok := strict.DateTime(s); ok {
		if want, err := time.Parse(time.RFC3339, s); !date.MatchString(s) || err != nil || !want.Equal(got) {
			return fmt.Errorf("DateTime(%q) = %s", s, got)
		}
	}
	if got, ok := strict.Time("20060102T150405Z", s); ok && (!stamp.MatchString(s) || got.Format("20060102T150405Z") != s) {
		return fmt.Errorf("Time(%q) = %s", s, got)
	}
	if got, ok := strict.HTTPDate(s); ok {
		if want, err := http.ParseTime(s); err != nil || !want.Equal(got) {
			return fmt.Errorf("HTTPDate(%q) = %s", s, got)
		}
	}
	return nil
}
