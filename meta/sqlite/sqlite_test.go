package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
)

// openTest opens a store that the test closes, and that must close well.
func openTest(t *testing.T, path string) meta.Store {
	t.Helper()
	s, err := Open(path, Options{Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	metatest.Run(t, func(t *testing.T) meta.Store {
		return openTest(t, filepath.Join(t.TempDir(), "meta.db"))
	})
}
