package api

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

func TestLargeDocumentsHavePlaces(t *testing.T) {
	s := New(Config{})
	large := func(kind BodyKind, length int64) *exchange {
		r := httptest.NewRequest("POST", "/b?delete", nil)
		r.ContentLength = length
		x := s.newExchange(httptest.NewRecorder(), r)
		x.req.Op = &Operation{Body: kind}
		return x
	}
	for i := range maxDocuments {
		if err := large(XMLBody, smallDocument+1).reserveDocument(); err != nil {
			t.Fatalf("document %d: %v", i, err)
		}
	}
	if err := large(XMLBody, smallDocument+1).reserveDocument(); !errors.Is(err, s3err.SlowDown) {
		t.Errorf("one more: %v", err)
	}
	for kind, length := range map[BodyKind]int64{XMLBody: smallDocument, DataBody: MaxObjectBytes, NoBody: 0} {
		if err := large(kind, length).reserveDocument(); err != nil {
			t.Errorf("kind %d of %d bytes: %v", kind, length, err)
		}
	}
}

func TestMinimumRate(t *testing.T) {
	for _, c := range []struct {
		waited  time.Duration
		arrived int64
		err     error
	}{
		{rateWindow - 1, 0, nil},
		{rateWindow, DefaultMinRate * 30, nil},
		{rateWindow, DefaultMinRate*30 - 1, s3err.RequestTimeout},
		{2 * rateWindow, DefaultMinRate * 30, s3err.RequestTimeout},
	} {
		w := wire{limits: Limits{}.withDefaults(), waited: c.waited, arrived: c.arrived}
		if err := w.judge(); !errors.Is(err, c.err) {
			t.Errorf("%d bytes in %v: %v, want %v", c.arrived, c.waited, err, c.err)
		}
		if c.err == nil && c.waited >= rateWindow && (w.waited != 0 || w.arrived != 0) {
			t.Error("the window did not begin anew")
		}
	}
}
