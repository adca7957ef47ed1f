package sqlstore

import (
	"bytes"
	"io/fs"
	"path"
	"time"
)

// translated is a file system whose .sql files are read in an engine's words.
type translated struct {
	fs.FS
	translate func(string) string
}

// Open opens the file, translated if it is SQL.
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
