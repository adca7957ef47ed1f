package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/transfer"
)

// steering are characters that control a terminal or reverse text.
func steering() (all []rune) {
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if r != '\n' && r != '\t' && r != '\r' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			all = append(all, r)
		}
	}
	return all
}

func wantVisible(t *testing.T, what string, out []byte) {
	t.Helper()
	if i := bytes.IndexFunc(out, invisible); i >= 0 || !utf8.Valid(out) {
		t.Errorf("%s: a terminal would obey %q", what, out)
	}
}

// Every value, argument or error in the output of a command is visible, and in
// JSON it keeps its value.
func TestOutputIsVisible(t *testing.T) {
	t.Chdir(t.TempDir())
	all := steering()
	if len(all) < 200 {
		t.Fatalf("only %d characters", len(all))
	}
	const step = 20
	for i := 0; i < len(all); i += step {
		value := "a" + string(all[i:min(i+step, len(all))]) + "z"
		for _, args := range [][]string{
			{"config", "show", "--data", value}, {"config", "show", "-o", "json", "--data", value},
			{"config", "check", "--region", value + " "}, {"config", value}, {value}, {"config", "check", "--config", value},
			{"fsck", "--data", value}, {"config", "check", "--" + value},
			{"import", "--from", "http://" + value, "--from-bucket", "b", "--bucket", "b"},
			{"export", "--plaintext", "--to", "http://127.0.0.1:1", "--to-bucket", value, "--bucket", value, "--to-etags", value},
		} {
			var out, errs bytes.Buffer
			run(args, &out, &errs)
			if out.Len()+errs.Len() == 0 {
				t.Errorf("%q prints nothing", args)
			}
			wantVisible(t, args[0], out.Bytes())
			wantVisible(t, args[0], errs.Bytes())
			if len(args) > 3 && args[3] == "json" {
				var shown []shownSetting
				if err := json.Unmarshal(out.Bytes(), &shown); err != nil || len(shown) == 0 || shown[0].Value != value {
					t.Errorf("as JSON: %v, %.200s", err, &out)
				}
			}
		}
	}
}

// Keys, and texts of servers, in the reports of import and export.
func TestReportIsVisible(t *testing.T) {
	for _, r := range append(steering(), '\r') {
		text := "a" + string(r) + "\xff\x9b31m" + "z"
		report := &transfer.Report{Failed: 1, Failures: []transfer.Failure{{Key: text, Reason: text}},
			Left: &transfer.Plaintext{VersionsUnknown: text, UploadsUnknown: text}}
		var out bytes.Buffer
		w := shown{&out}
		printTransfer(w, report)
		printLeft(w, report)
		wantVisible(t, "table", out.Bytes())
		if !strings.Contains(out.String(), `\x9b31mz`) {
			t.Errorf("%q", &out)
		}
		out.Reset()
		if err := writeLine(w, report); err != nil {
			t.Fatal(err)
		}
		wantVisible(t, "JSON", out.Bytes())
		var again transfer.Report
		key := strings.ToValidUTF8("a"+string(r)+"\xff", "\ufffd") + strings.ToValidUTF8("\x9b31mz", "\ufffd")
		if err := json.Unmarshal(out.Bytes(), &again); err != nil || again.Failures[0].Key != key {
			t.Errorf("%q: %v, %+v", text, err, again.Failures)
		}
	}
}

// An unusual byte is found wherever it stands, beside any other.
func TestFirstUnusual(t *testing.T) {
	for first := range 256 {
		for second := range 256 {
			for at := range 10 {
				p := append(bytes.Repeat([]byte{'a'}, at), byte(first), byte(second), 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a')
				if got, want := firstUnusual(p), slices.IndexFunc(p, unusual); got != want {
					t.Fatalf("%q: %d, want %d", p, got, want)
				}
			}
		}
	}
}
