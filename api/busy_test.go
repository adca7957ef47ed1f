package api_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/api"
)

// TestBusyTenantIsNotRefused has one tenant do much at once from one address,
// as behind a balancer that is not configured. With the default limits nothing
// is refused. Its bodies are in progress all the time, as slow clients send
// them.
func TestBusyTenantIsNotRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		at   int // requests at once
		head func(*testing.T, *street) func() string
		body string
	}{
		{"900 uploads", 900, func(t *testing.T, s *street) func() string {
			return s.signed(t, s.bad, "PUT", "/bad/key", 200<<20)
		}, "x"},
		{"32 deletions of a thousand keys", 32, func(t *testing.T, s *street) func() string {
			return s.signed(t, s.bad, "POST", "/bad?delete", 1100<<10, "Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg==")
		}, "<Delete>"},
		{"32 completions of ten thousand parts", 32, func(t *testing.T, s *street) func() string {
			return s.signed(t, s.bad, "POST", "/bad/key?uploadId=none", 2500<<10)
		}, "<CompleteMultipartUpload>"},
	} {
		s := newStreet(t, api.Limits{})
		s.nuisance(t, 1, c.at, c.head(t, s), c.body)
		if n := s.refused.Load(); n > 0 {
			t.Errorf("%s at once: refused after %d", c.name, len(s.conns)-1)
		}
		s.work(t, c.name, 1) // and other tenants are not refused either
		s.calm()
	}
}

// A document of unknown length takes as many places as the longest.
func TestDocumentsWithoutLengthHavePlaces(t *testing.T) {
	s := newStreet(t, api.Limits{})
	defer s.calm()
	s.nuisance(t, 1, 100, s.signedChunked(t, s.bad, "/bad?delete", "1000000"), "8\r\n<Delete>\r\n")
	if s.refused.Load() == 0 {
		t.Errorf("%d documents at once, each of up to 2 MB", len(s.conns))
	}
}
