//go:build unix

package gcs

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sanctum-storage/gateway/plainfile"
)

// A pipe where gcloud keeps its credentials is refused, and not waited for.
func TestPipeForCredentials(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, ".config", "gcloud")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "application_default_credentials.json")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", pipe} {
		t.Setenv("HOME", home)
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", name)
		if _, err := Open(t.Context(), Options{Bucket: "sealed"}); !errors.Is(err, plainfile.ErrNotPlain) {
			t.Errorf("GOOGLE_APPLICATION_CREDENTIALS=%q: %v", name, err)
		}
	}
}
