//go:build unix

package plainfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// odd creates each kind of thing that a path may lead to, with the results of
// reading and writing there; nil: it opens.
func odd(t *testing.T) map[string]struct{ reading, writing error } {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile("file", []byte("text"), 0o600))
	must(os.Mkdir("folder", 0o700))
	must(syscall.Mkfifo("pipe", 0o600))
	must(os.Symlink("file", "link"))
	must(os.Symlink("pipe", "link-to-pipe"))
	must(os.Symlink("nowhere", "dangling"))
	must(os.Symlink("loop", "loop"))
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	must(err)
	t.Cleanup(func() { syscall.Close(fd) })
	must(syscall.Bind(fd, &syscall.SockaddrUnix{Name: "socket"}))
	return map[string]struct{ reading, writing error }{
		"file":         {nil, nil},
		"link":         {nil, ErrNotPlain},
		"pipe":         {ErrNotPlain, ErrNotPlain},
		"link-to-pipe": {ErrNotPlain, ErrNotPlain},
		"folder":       {ErrNotPlain, syscall.EISDIR},
		"/dev/null":    {ErrNotPlain, ErrNotPlain},
		"/dev/zero":    {ErrNotPlain, ErrNotPlain},
		"socket":       {syscall.ENXIO, syscall.ENXIO},
		"dangling":     {fs.ErrNotExist, ErrNotPlain},
		"loop":         {ErrNotPlain, ErrNotPlain},
		"absent":       {fs.ErrNotExist, nil},
		"gone/below":   {fs.ErrNotExist, fs.ErrNotExist},
	}
}

// Opening anything but a plain file is an error and never waits.
func TestOdd(t *testing.T) {
	for path, want := range odd(t) {
		f, err := Open(path)
		if !errors.Is(err, want.reading) {
			t.Errorf("read %s: %v, want %v", path, err, want.reading)
		}
		if err == nil {
			f.Close()
		}
		f, err = OpenWritten(path, 0o600)
		if !errors.Is(err, want.writing) {
			t.Errorf("write %s: %v, want %v", path, err, want.writing)
		}
		if err == nil {
			f.Close()
		}
	}
	if text, err := os.ReadFile("file"); string(text) != "text" || err != nil {
		t.Errorf("the file was changed: %q, %v", text, err)
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := Read(path, 10); string(data) != "0123456789" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if data, err := Read(path, 9); data != nil || !errors.Is(err, ErrTooLarge) {
		t.Errorf("%q, %v", data, err)
	}
	for mode, want := range map[os.FileMode]error{0o600: nil, 0o400: nil, 0o640: ErrExposed, 0o604: ErrExposed, 0o620: ErrExposed, 0o601: ErrExposed} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSecret(path, 10); !errors.Is(err, want) {
			t.Errorf("mode %#o: %v, want %v", mode, err, want)
		}
	}
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(path))
	for mode, want := range map[os.FileMode]error{0o440: nil, 0o460: ErrExposed, 0o444: ErrExposed} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSecret(path, 10); !errors.Is(err, want) {
			t.Errorf("mode %#o among credentials: %v, want %v", mode, err, want)
		}
	}
}

// The checked file is the one that is read: replacing it on disk has no effect.
func TestReplacedMeanwhile(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, mode := range map[string]os.FileMode{"open": 0o600, "other": 0o644} {
		if err := os.WriteFile(name, []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Open("open")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Rename("other", "open"); err != nil {
		t.Fatal(err)
	}
	if err := Private(f); err != nil {
		t.Error(err)
	}
	if text, err := io.ReadAll(f); string(text) != "open" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
