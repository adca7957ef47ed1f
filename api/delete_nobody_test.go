package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/s3err"
)

// After its client has gone, a DeleteObjects neither looks at nor deletes keys.
// The same holds once nothing more is decided. There is no engine here that
// could be asked.
func TestDeleteObjectsForNobody(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	key := "k"
	entries := make([]deleteEntry, maxDeletes)
	for i := range entries {
		entries[i].Key = &key
	}
	s := &Server{log: slog.New(slog.DiscardHandler)}
	r := &Request{HTTP: httptest.NewRequest("POST", "/bkt?delete", nil).WithContext(gone)}
	if _, err := s.deleteEach(r, entries); !errors.Is(err, context.Canceled) {
		t.Errorf("for a client that has gone: %v", err)
	}
	r.HTTP = r.HTTP.WithContext(t.Context())
	r.evaluation = access.NewEvaluation(gone, &r.Principal, nil)
	r.evaluation.Decide(access.Need{})
	outcomes, err := s.deleteEach(r, entries)
	if err != nil || len(outcomes) != len(entries) {
		t.Fatalf("%d outcomes, %v", len(outcomes), err)
	}
	for i, o := range outcomes {
		if !errors.Is(o.Err, s3err.AccessDenied) {
			t.Fatalf("key %d, undecided: %v", i, o.Err)
		}
	}
}
