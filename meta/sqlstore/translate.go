package sqlstore

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"time"
)

// translated is a file system that translates .sql files into an engine's dialect.
type translated struct {
	fs.FS
	translate func(string) string
}

// joined presents the files of two flat file systems as one.
type joined struct{ shared, own fs.FS }

func (j joined) Open(name string) (fs.File, error) {
	f, err := j.own.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return j.shared.Open(name)
	}
	return f, err
}

func (j joined) ReadDir(name string) ([]fs.DirEntry, error) {
	shared, err := fs.ReadDir(j.shared, name)
	if err != nil {
		return nil, err
	}
	own, err := fs.ReadDir(j.own, name)
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(slices.Values(append(shared, own...)), func(a, b fs.DirEntry) int {
		return cmp.Compare(a.Name(), b.Name())
	}), nil
}

// ReadDir is needed by fs.Glob.
func (t translated) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(t.FS, name) }

// Open opens a file, translated if it is SQL.
func (t translated) Open(name string) (fs.File, error) {
	if path.Ext(name) != ".sql" || t.translate == nil {
		return t.FS.Open(name)
	}
	text, err := fs.ReadFile(t.FS, name)
	if err != nil {
		return nil, err
	}
	text = []byte(t.translate(string(text)))
	return &textFile{Reader: bytes.NewReader(text), name: path.Base(name), size: int64(len(text))}, nil
}

// textFile is an open file in memory, and its own fs.FileInfo.
type textFile struct {
	*bytes.Reader
	name string
	size int64
}

func (f *textFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *textFile) Close() error               { return nil }
func (f *textFile) Name() string               { return f.name }
func (f *textFile) Size() int64                { return f.size }
func (f *textFile) Mode() fs.FileMode          { return 0o444 }
func (f *textFile) ModTime() time.Time         { return time.Time{} }
func (f *textFile) IsDir() bool                { return false }
func (f *textFile) Sys() any                   { return nil }
