//go:build linux

package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A journal is a plain file, and no link is followed to another one.
func TestOddJournals(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, err := range []error{
		syscall.Mkfifo("pipe", 0o600), os.Mkdir("folder", 0o700), os.WriteFile("other", []byte("text"), 0o600),
		os.Symlink("other", "link"), os.Symlink("absent", "dangling"), os.Symlink("pipe", "link-to-pipe"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"pipe", "folder", "link", "dangling", "link-to-pipe", "/dev/null", "/dev/zero"} {
		if j, err := openJournal(path, "this"); err == nil {
			t.Errorf("%s is taken", path)
			j.close()
		}
	}
	if text, err := os.ReadFile("other"); string(text) != "text" || err != nil {
		t.Errorf("a link was followed: %q, %v", text, err)
	}
	if _, err := os.Stat("absent"); err == nil {
		t.Error("a link was followed, and a file made")
	}
}

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
	header, _, _ := strings.Cut(string(whole), "\n")
	for name, c := range map[string]struct{ text, fails string }{
		"as it was":     {text: string(whole)},
		"no line end":   {text: "somebody's only copy", fails: "it is no journal"},
		"no first line": {text: strings.SplitAfterN(string(whole), "\n", 2)[1], fails: "it is no journal"},
		"an object":     {text: "{}\n", fails: "it is no journal"},
		"half foreign":  {text: strings.Replace(header, "this", "that", 1)[:len(header)-3], fails: "it is no journal"},
		"binary":        {text: "\x00\x01\n\x02", fails: "line 1 is not that of a journal"},
		"torn":          {text: string(whole) + `{"key":"b","etag":"9`},
		"foreign":       {text: strings.Replace(string(whole), "this", "that", 1), fails: "it belongs to another copy: that"},
		"another file":  {text: "something\n", fails: "line 1 is not that of a journal"},
		"damaged":       {text: strings.Replace(string(whole), `"key"`, `"kay"`, 1), fails: "line 2 is not that of a journal"},
		"long":          {text: string(whole) + strings.Repeat("x", maxLine+1) + "\n", fails: "buffer full"},
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
				if now, err := os.ReadFile(path); err != nil || string(now) != c.text {
					t.Errorf("the file was changed: %q, %v", now, err)
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
	for _, torn := range []string{"", header[:1], header[:len(header)-1], header} {
		if err := os.WriteFile(path, []byte(torn), 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := openJournal(path, "this")
		if err != nil {
			t.Fatalf("a journal that was torn at its first line %q: %v", torn, err)
		}
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != header+"\n" {
			t.Errorf("after %q: %q, %v", torn, now, err)
		}
	}
	var none *journal
	if known, _ := none.knows(tasks[0]); known || none.ended("x") != nil {
		t.Error("no journal knows something")
	}
}
