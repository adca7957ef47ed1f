//go:build linux

package servers

import (
	"path/filepath"
	"testing"
)

func TestVersitygw(t *testing.T) {
	cert, err := NewCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log := filepath.Join(t.TempDir(), "log")
	for _, start := range []func() (*S3Server, error){
		func() (*S3Server, error) { return StartVersitygw(t.Context(), dir, log) },
		func() (*S3Server, error) { return StartVersitygwTLS(t.Context(), dir, log, cert) },
	} {
		s, err := start()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.MakeBucket(t.Context(), "bucket"); err != nil {
				t.Error(err)
			}
		}
		s.Kill()
		endpoint := s.Endpoint
		if err := s.Restart(t.Context()); err != nil || s.Endpoint != endpoint {
			t.Fatalf("restarted at %s instead of %s: %v", s.Endpoint, endpoint, err)
		}
		if err := s.MakeBucket(t.Context(), "another"); err != nil {
			t.Error(err)
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
}
