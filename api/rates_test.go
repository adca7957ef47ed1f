package api_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
)

// A tenant at its limit is told to slow down; nobody else is.
func TestRequestRate(t *testing.T) {
	g, alice, bob := shared(t, gatewaytest.Options{})
	if err := g.Engine.SetTenantLimits(t.Context(), alice.Tenant.ID, engine.Limits{Requests: 1}); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for range 20 {
		if res := g.Do(t, alice, "HEAD", "/bucket/open", nil); res.Status == 503 {
			refused++
			if res.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
		if res := g.Do(t, bob, "GET", "/", nil); res.Status != 200 {
			t.Fatalf("bob: %d %s", res.Status, res.Body)
		}
	}
	if refused == 0 {
		t.Error("20 requests at once passed a limit of one a second")
	}
}

// While as many requests as are allowed are in progress, the next is refused.
func TestConcurrentRequests(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	b, err := g.Engine.Bucket(t.Context(), "bucket")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Engine.SetBucketLimits(t.Context(), b, engine.Limits{Concurrent: 1}); err != nil {
		t.Fatal(err)
	}
	pr, pw := io.Pipe()
	r, err := http.NewRequest("PUT", g.URL+"/bucket/slow", pr)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 4
	// The body is asked for once the request is carried out, and only then sent.
	g.Client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	r.Header.Set("Expect", "100-continue")
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	if err := sigv4.Sign(r, alice.AccessKey, alice.SecretKey, g.Region, "s3", "UNSIGNED-PAYLOAD", time.Now()); err != nil {
		t.Fatal(err)
	}
	done := make(chan int, 1)
	go func() {
		res, err := g.Client.Do(r)
		if err != nil {
			done <- 0
			return
		}
		res.Body.Close()
		done <- res.StatusCode
	}()
	if _, err := pw.Write([]byte("ab")); err != nil {
		t.Fatal(err)
	}
	expect(t, "beyond the limit", g.Do(t, alice, "HEAD", "/bucket/open", nil), 503, "")
	if _, err := pw.Write([]byte("cd")); err != nil {
		t.Fatal(err)
	}
	pw.Close()
	if status := <-done; status != 200 {
		t.Errorf("the first request ended with %d", status)
	}
	if res := g.Do(t, alice, "HEAD", "/bucket/open", nil); res.Status != 200 {
		t.Errorf("afterwards: %d", res.Status)
	}
}

// Bodies pass no faster than a limit lets them, and whole.
func TestBandwidth(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	const perSecond = 1 << 20
	data := bytes.Repeat([]byte("0123456789abcdef"), 2*perSecond/16)
	if err := g.Engine.SetTenantLimits(t.Context(), alice.Tenant.ID, engine.Limits{Upload: perSecond, Download: perSecond}); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"PUT", "GET"} {
		var body []byte
		if method == "PUT" {
			body = data
		}
		began := time.Now()
		res := g.Do(t, alice, method, "/bucket/large", body)
		if res.Status != 200 {
			t.Fatalf("%s: %d %s", method, res.Status, res.Body)
		}
		// The first second's worth passes at once.
		if took := time.Since(began); took < 900*time.Millisecond {
			t.Errorf("%s of two seconds' worth took %s", method, took)
		}
		if method == "GET" && !bytes.Equal(res.Body, data) {
			t.Error("the body is another")
		}
	}
}
