package clienttest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// Sizes of files that clients store: the edges of a sealed segment (64 KiB), of
// what is verified whole before it is served (1 MiB), and of what clients send
// in parts (from 5, 8 or 16 MiB on).
var (
	smallSizes = []int64{0, 1, 4 * kib, 65535, 65536, 65537, mib, mib + 1}
	partSizes  = []int64{5 * mib, 8*mib + 1, 17 * mib}
	allSizes   = slices.Concat(smallSizes, partSizes)
)

// content is an endless stream of bytes that a seed and an id determine.
func content(seed uint64, id int) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(id))
	return rand.NewChaCha8(key)
}

// random is the first n bytes of content.
func random(seed uint64, id int, n int64) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(content(seed, id), b); err != nil {
		panic(err) // the stream has no end
	}
	return b
}

var corpusLock sync.Mutex

// corpus is the path of a file of the given size. Files of one size are the
// same file and must not be changed.
func corpus(t *testing.T, size int64) string {
	t.Helper()
	corpusLock.Lock()
	defer corpusLock.Unlock()
	path := filepath.Join(work, "corpus", fmt.Sprintf("%d.bin", size))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	f, err := os.Create(path)
	must(t, err)
	_, err = io.CopyN(f, content(uint64(size), 0), size)
	must(t, err)
	must(t, f.Close())
	aged(t, path)
	return path
}

// aged gives a file, or those of a folder, a time long past, always the same: many are
// links to one file. Times of S3 are in whole seconds: to a client that compares them, a
// file which is younger than its object's second has changed since.
func aged(t *testing.T, root string) {
	t.Helper()
	past := time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)
	must(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		return os.Chtimes(path, past, past)
	}))
}

// corpusFolder is a new folder with hard links to files of the given sizes.
func corpusFolder(t *testing.T, sizes ...int64) string {
	t.Helper()
	dir, err := os.MkdirTemp(work, "files-")
	must(t, err)
	for _, size := range sizes {
		path := corpus(t, size)
		must(t, os.Link(path, filepath.Join(dir, filepath.Base(path))))
	}
	return dir
}

// sameFile demands that two files hold the same bytes.
func sameFile(t *testing.T, got, want string) {
	t.Helper()
	f, err := os.Open(got)
	must(t, err)
	defer f.Close()
	sameContent(t, f, want)
}

// sameContent demands that r yields the bytes of the file want, and no more.
func sameContent(t *testing.T, r io.Reader, want string) {
	t.Helper()
	f, err := os.Open(want)
	must(t, err)
	defer f.Close()
	if at, err := differ(r, f); err != nil {
		t.Fatalf("%s: %v", want, err)
	} else if at >= 0 {
		t.Fatalf("other content than %s at byte %d", want, at)
	}
}

// differ is the offset of the first byte in which two streams differ, an early
// end included, or -1.
func differ(a, b io.Reader) (at int64, err error) {
	const unit = 128 * kib
	p, q := make([]byte, unit), make([]byte, unit)
	for {
		n, errA := io.ReadFull(a, p)
		m, errB := io.ReadFull(b, q)
		for _, err := range []error{errA, errB} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return at, err
			}
		}
		if n != m || !bytes.Equal(p[:n], q[:m]) {
			for i := range min(n, m) {
				if p[i] != q[i] {
					return at + int64(i), nil
				}
			}
			return at + int64(min(n, m)), nil
		}
		if at += int64(n); n < unit {
			return -1, nil
		}
	}
}

// sameTree demands that two folders hold the same files with the same bytes.
func sameTree(t *testing.T, got, want string) {
	t.Helper()
	g, w := treeOf(t, got), treeOf(t, want)
	if !slices.Equal(g, w) {
		t.Fatalf("files %q instead of %q", g, w)
	}
	for _, name := range w {
		sameFile(t, filepath.Join(got, name), filepath.Join(want, name))
	}
}

func treeOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, name)
		return err
	}))
	slices.Sort(names)
	return names
}

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
