package sigv4

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

// TestDayKeys changes a secret and the day under a verifier that remembers keys. A
// signature is valid exactly with the secret and the day that it was made with.
func TestDayKeys(t *testing.T) {
	const another = "anotherSecretThatTakesTheFirstOnesPlace0"
	secret, now := exampleSecret, exampleTime
	v := exampleVerifier()
	v.Now = func() time.Time { return now }
	v.Lookup = func(context.Context, string, string) (string, error) { return secret, nil }
	v.AnyRegion = true
	signed := func(with, region string) *http.Request {
		r := httptest.NewRequest("GET", "http://gateway.test/bucket/key", nil)
		if err := Sign(r, exampleKey, with, region, "s3", unsignedPayload, now); err != nil {
			t.Fatal(err)
		}
		return overWire(t, r)
	}
	verify := func(r *http.Request) error { _, err := verifyArrived(v, r); return err }
	for range 2 {
		if err := verify(signed(exampleSecret, "us-east-1")); err != nil {
			t.Fatal(err)
		}
		refused(t, verify(signed(another, "us-east-1")), s3err.SignatureDoesNotMatch, "")
	}
	scope := Scope{Date: "20130524", Region: "us-east-1", Service: "s3"}
	if key, known := v.DayKeys.derive(exampleSecret, scope); !known || key != deriveKey(exampleSecret, scope) {
		t.Error("the key that a signature has proven is not remembered, or is another one")
	}
	if _, known := v.DayKeys.derive(another, scope); known {
		t.Error("the key of a wrong signature is remembered")
	}
	for _, other := range []Scope{
		{Date: "20130525", Region: "us-east-1", Service: "s3"},
		{Date: "20130524", Region: "us-east-2", Service: "s3"},
		{Date: "20130524", Region: "us-east-1", Service: "iam"},
	} {
		if key, known := v.DayKeys.derive(exampleSecret, other); known || key != deriveKey(exampleSecret, other) {
			t.Errorf("%s: remembered, or another key", other)
		}
	}

	old := signed(exampleSecret, "us-east-1")
	secret = another
	refused(t, verify(old), s3err.SignatureDoesNotMatch, "")
	if err := verify(signed(another, "us-east-1")); err != nil {
		t.Error("with the new secret:", err)
	}
	now = now.AddDate(0, 0, 1)
	if err := verify(signed(another, "us-east-1")); err != nil {
		t.Error("on the next day:", err)
	}

	long := strings.Repeat("r", maxRememberedRegion+1)
	if err := verify(signed(another, long)); err != nil {
		t.Error("in a region with a long name:", err)
	}
	if _, known := v.DayKeys.derive(another, Scope{Date: "20130525", Region: long, Service: "s3"}); known {
		t.Error("a region with a long name is remembered")
	}
}
