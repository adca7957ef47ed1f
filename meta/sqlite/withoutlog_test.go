package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Opening a file that was copied without its log, or that is cut, returns
// ErrWithoutLog.
func TestCopiedWithoutLog(t *testing.T) {
	b := newBench(t)
	b.mustPut("first")
	data, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"what a log holds":  data,
		"half a page":       data[:len(data)/2],
		"another file":      []byte("no database, and longer than the header of one: " + string(make([]byte, 4096))),
		"a header and more": append(data[:100:100], make([]byte, 8092)...),
	} {
		path := filepath.Join(t.TempDir(), "meta.db")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := OpenReadOnly(path)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, ErrWithoutLog) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
