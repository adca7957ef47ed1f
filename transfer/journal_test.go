//go:build linux

package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestJournalFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := openJournal(path, "this")
	if err != nil {
		t.Fatal(err)
	}
	tasks := []*task{
		{entry: entry{key: "a \n\"ü", etag: "1", size: 7, modified: time.Now()}, at: &entry{etag: "t1"}},
		{entry: entry{key: "b", etag: "2", size: 0}, at: &entry{etag: "t2"}},
	}
	for i, tk := range tasks {
		if err := j.proven(tk, tk.at.etag, i == 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{j.began("u1", "k1"), j.began("u2", "k2"), j.ended("u1")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := openJournal(path, "this"); err == nil || !strings.Contains(err.Error(), "another run uses it") {
		t.Errorf("opened twice: %v", err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, fails string }{
		"as it was":    {text: string(whole)},
		"torn":         {text: string(whole) + `{"key":"b","etag":"9`},
		"foreign":      {text: strings.Replace(string(whole), "this", "that", 1), fails: "it belongs to another copy: that"},
		"another file": {text: "something\n", fails: "line 1 is none of a journal"},
		"damaged":      {text: strings.Replace(string(whole), `"key"`, `"kay"`, 1), fails: "line 2 is none of a journal"},
		"long":         {text: string(whole) + strings.Repeat("x", maxLine+1) + "\n", fails: "buffer full"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			j, err := openJournal(path, "this")
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("error %v, want %q", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, tk := range tasks {
				known, read := j.knows(tk)
				other := *tk
				other.etag += "x"
				changed, _ := j.knows(&other)
				if !known || read != (i == 1) || changed {
					t.Errorf("%q: known %t, read %t, changed %t", tk.key, known, read, changed)
				}
			}
			if len(j.open) != 1 || j.open["u2"] != "k2" {
				t.Errorf("open uploads: %v", j.open)
			}
			if err := j.close(); err != nil {
				t.Fatal(err)
			}
			if now, err := os.ReadFile(path); err != nil || string(now) != string(whole) {
				t.Errorf("after opening: %q, %v", now, err)
			}
		})
	}
	if err := j.began("u3", "k3"); !errors.As(err, new(journalError)) {
		t.Errorf("a closed file: %v", err)
	}
	var none *journal
	if known, _ := none.knows(tasks[0]); known || none.ended("x") != nil {
		t.Error("no journal knows something")
	}
}
