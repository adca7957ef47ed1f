package api_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// formOf returns values that have a form and values that do not: "number
// LEAST..MOST", "word A B", "switch" (true or false), "time" (ISO 8601), "date"
// (of HTTP or ISO 8601), "owner" (an account's number or canonical id),
// "grant", "base64 BYTES", "utf-8", "override" (of a header in the answer),
// "text".
func formOf(t *testing.T, form string) (good, bad []string) {
	t.Helper()
	kind, rest, _ := strings.Cut(form, " ")
	switch kind {
	case "number":
		least, most, _ := strings.Cut(rest, "..")
		return numberForm(t, least, most)
	case "word":
		words := strings.Fields(rest)
		if len(words) == 0 {
			return nil, []string{"nonsense", "x y"}
		}
		bad = []string{"nonsense", words[0] + "x", words[0] + "," + words[0], " " + words[0], words[0] + "\n", "\x00"}
		for _, other := range []string{strings.ToLower(words[0]), strings.ToUpper(words[0])} {
			if !slices.Contains(words, other) {
				bad = append(bad, other)
			}
		}
		return words, bad
	case "switch":
		return []string{"true", "false"}, []string{"yes", "1", "nonsense", "true,true", "truex"}
	case "time":
		future := time.Now().Add(90 * 24 * time.Hour).UTC()
		bad = []string{"nonsense", "0", future.Format("2006-01-02"), future.Format(time.RFC1123),
			future.Format("2006-01-02T15:04:05"), future.Format("2006-01-02 15:04:05Z"),
			future.Format("2006-01-02T15:04:05Z") + "x", "2099-02-30T00:00:00Z", "2099-01-01T25:00:00Z", "2099-1-1T00:00:00Z", "2099-01-01T00:00:00,5Z", "+2099-01-01T00:00:00Z", "99999-01-01T00:00:00Z",
			strconv.FormatInt(future.Unix(), 10)}
		return []string{future.Format(time.RFC3339), future.Format("2006-01-02T15:04:05.000Z"), future.Format("2006-01-02T15:04:05+00:00")}, bad
	case "date":
		past := time.Now().Add(-90 * 24 * time.Hour).UTC()
		return []string{past.Format("Mon, 02 Jan 2006 15:04:05 GMT"), past.Format(time.RFC3339)},
			[]string{"nonsense", "0", past.Format("2006-01-02"), past.Format("02 Jan 2006 15:04:05 GMT"),
				"Xxx, 01 Jan 2024 00:00:00 GMT", "Mon, 32 Jan 2024 00:00:00 GMT", strconv.FormatInt(past.Unix(), 10)}
	case "base64":
		n, err := strconv.Atoi(rest)
		if err != nil {
			t.Fatal(err)
		}
		return nil, []string{"nonsense", strings.Repeat("A", (n+2)/3*4+4), strings.Repeat("A", (n+2)/3*4-4), "!" + strings.Repeat("A", 23), strings.Repeat("0", 2*n)}
	case "owner":
		return []string{"{account}", "{canonical}"}, []string{"nonsense", "12345678901", "1234567890123", "12345678901x",
			"{canonical}0", "{account},{account}", "-23456789012"}
	case "grant":
		const everybody = `uri="http://acs.amazonaws.com/groups/global/AllUsers"`
		return []string{`id="{canonical}"`, `id={canonical}`, everybody, `id="{canonical}",` + everybody, `ID="{canonical}"`},
			[]string{"nonsense", "{canonical}", "id=", `id=""`, `id="nonsense"`, `id="{account}"`, `id="{canonical}x"`,
				`uri="nonsense"`, `uri="http://acs.amazonaws.com/groups/global/Nobody"`, `name="{canonical}"`, `id="{canonical}",`, `id="{canonical}";` + everybody, "=", ","}
	case "utf-8":
		return []string{"text", "\u00e4", "a b+c", "{long}"}, []string{"\xff", "a\xc3"}
	case "override":
		return []string{"text", "\u00e4"}, []string{"a\r\nb", "\n", "\x00", "\x7f"}
	case "text":
		return []string{"text"}, nil
	}
	t.Fatalf("unknown form %q", form)
	return nil, nil
}

func numberForm(t *testing.T, least, most string) (good, bad []string) {
	t.Helper()
	n, err := strconv.ParseInt(least, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	bad = []string{"-1", "+1", "-", " 1", "1 ", "1.0", "1e1", "0x1", "1_0", "1,1", "one", "\uff11", "99999999999999999999", "NaN", "1\x00"}
	if n > 0 {
		bad = append(bad, "0", strconv.FormatInt(n-1, 10))
	}
	if most != "" {
		m, err := strconv.ParseInt(most, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		bad = append(bad, strconv.FormatInt(m, 10)+"0")
		if m < 1<<62 {
			bad = append(bad, strconv.FormatInt(m+1, 10))
		}
		good = append(good, most)
	}
	return append(good, least, "00"+least), bad
}
