package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/sigv4"
)

// payloads are all ways in which a request may say how its body is protected.
var payloads = map[string]string{
	"signed":                     sigv4.PayloadHash([]byte(forbiddenBody)),
	"unsigned":                   sigv4.Unsigned.String(),
	"streaming signed":           sigv4.StreamingSigned.String(),
	"streaming signed, trailer":  sigv4.StreamingSignedTrailer.String(),
	"streaming unsigned trailer": sigv4.StreamingUnsignedTrailer.String(),
}

const forbiddenBody = "must not be read"

// untouchable is a body that must not be asked for: the request says Expect:
// 100-continue, so that only a gateway which reads it makes the client send it.
type untouchable struct{ touched bool }

func (u *untouchable) Read(p []byte) (int, error) {
	u.touched = true
	return 0, io.EOF
}

// refusal is a way in which a request must fail.
type refusal struct {
	name   string
	cred   engine.Credential
	at     time.Duration // from now
	spoil  bool          // the signature
	code   string        // in the header
	inURL  string        // presigned
	chunks string        // presigned, with a chunked payload: refused as such first
}

func TestEveryOperationRefusesStrangers(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	g.Client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	alice, mallory := g.User(t, "alice"), g.User(t, "mallory")
	furnish(t, g, alice)
	unknown := engine.Credential{AccessKey: "SGUNKNOWN", SecretKey: alice.SecretKey}
	const invalid, denied = "InvalidRequest", "AccessDenied"
	refusals := []refusal{
		{name: "bad signature", cred: alice, spoil: true, code: "SignatureDoesNotMatch", inURL: "SignatureDoesNotMatch", chunks: invalid},
		{name: "another's secret", cred: engine.Credential{AccessKey: alice.AccessKey, SecretKey: mallory.SecretKey}, code: "SignatureDoesNotMatch", inURL: "SignatureDoesNotMatch", chunks: invalid},
		{name: "unknown key", cred: unknown, code: "InvalidAccessKeyId", inURL: "InvalidAccessKeyId", chunks: invalid},
		{name: "long ago", cred: alice, at: -2 * time.Hour, code: "RequestTimeTooSkewed", inURL: denied, chunks: denied},
		{name: "in the future", cred: alice, at: 2 * time.Hour, code: "RequestTimeTooSkewed", inURL: denied, chunks: denied},
		{name: "anonymous", code: denied},
		{name: "another user", cred: mallory, code: denied, inURL: denied, chunks: invalid},
	}
	before := snapshot(t, g)
	for i := range api.Operations {
		op := &api.Operations[i]
		if op.Preflight {
			continue // browsers never sign it: see TestPreflight
		}
		for _, why := range refusals {
			if why.cred.AccessKey == mallory.AccessKey && (op.Name == "ListBuckets" || op.Name == "CreateBucket") {
				continue // open to every user; see TestBucketsOfOthers
			}
			if op.Body == api.FormBody && why.name == "anonymous" {
				continue // its credentials are in its body: see TestPostObjectRefused
			}
			for payload, hash := range payloads {
				refuse(t, g, op, why, payload, hash, false)
				if why.inURL != "" {
					refuse(t, g, op, why, payload, hash, true)
				}
			}
		}
	}
	if after := snapshot(t, g); !reflect.DeepEqual(before, after) {
		t.Errorf("refused requests changed the store:\nbefore %v\nafter  %v", before, after)
	}
	// The same requests, signed as they should be, get further: or else this
	// test would pass for reasons of its own.
	for i := range api.Operations {
		op := &api.Operations[i]
		if op.Preflight {
			continue
		}
		target, header := example(op)
		r := g.Request(t, op.Method, target, nil)
		r.Header = header
		g.Sign(t, r, g.Root, nil)
		if res := g.Send(t, r); res.Status == http.StatusForbidden || res.Status == http.StatusInternalServerError {
			t.Errorf("%s by root: %d %s", op.Name, res.Status, res.Body)
		}
	}
}

// furnish gives alice the bucket and the objects that example requests name.
func furnish(t *testing.T, g *gatewaytest.Gateway, alice engine.Credential) {
	t.Helper()
	for _, target := range []string{"/bucket", "/bucket/key", "/bucket/source"} {
		if res := g.Do(t, alice, "PUT", target, nil); res.Status != 200 {
			t.Fatalf("PUT %s: %d %s", target, res.Status, res.Body)
		}
	}
}

// example is a request that means the operation and nothing more.
func example(op *api.Operation) (target string, h http.Header) {
	target = []string{"/", "/bucket", "/bucket/key"}[op.Scope]
	if len(op.Query) > 0 {
		target += "?" + strings.Join(op.Query, "&")
	}
	h = http.Header{}
	if op.Header != "" {
		h.Set(op.Header, "bucket/source")
	}
	return target, h
}

func refuse(t *testing.T, g *gatewaytest.Gateway, op *api.Operation, why refusal, payload, hash string, presigned bool) {
	t.Helper()
	what := fmt.Sprintf("%s, %s, %s, presigned %v", op.Name, why.name, payload, presigned)
	target, header := example(op)
	body := &untouchable{}
	r, err := http.NewRequest(op.Method, g.URL+target, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header, r.ContentLength = header, int64(len(forbiddenBody))
	r.Header.Set("Expect", "100-continue")
	r.Header.Set("X-Amz-Content-Sha256", hash)
	want := why.code
	switch when := time.Now().Add(why.at); {
	case presigned:
		if want = why.inURL; strings.HasPrefix(hash, "STREAMING-") {
			want = why.chunks
		}
		var signed string
		if signed, err = sigv4.Presign(r, why.cred.AccessKey, why.cred.SecretKey, g.Region, "s3", time.Hour, when); err == nil {
			r.URL, err = r.URL.Parse(signed)
		}
		if why.spoil {
			r.URL.RawQuery = spoil(r.URL.RawQuery)
		}
	case why.cred.AccessKey != "":
		err = sigv4.Sign(r, why.cred.AccessKey, why.cred.SecretKey, g.Region, "s3", hash, when)
		if why.spoil {
			r.Header.Set("Authorization", spoil(r.Header.Get("Authorization")))
		}
	}
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	res := g.Send(t, r)
	switch {
	case op.Method == http.MethodHead && (res.Status != 403 && res.Status != 400 || len(res.Body) > 0):
		t.Errorf("%s: status %d with %d bytes", what, res.Status, len(res.Body))
	case op.Method != http.MethodHead && res.Code() != want:
		t.Errorf("%s: %d %s, want %s", what, res.Status, res.Code(), want)
	}
	if body.touched {
		t.Errorf("%s: the body was asked for", what)
	}
}

// spoil changes the last digit of a signature.
func spoil(s string) string {
	last := byte('0')
	if s[len(s)-1] == last {
		last = '1'
	}
	return s[:len(s)-1] + string(last)
}

// snapshot is everything that a request could change.
func snapshot(t *testing.T, g *gatewaytest.Gateway) map[string]any {
	t.Helper()
	ctx := context.Background()
	all := make(map[string]any)
	keep := func(name string, v any, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = fmt.Sprintf("%+v", v)
	}
	buckets, err := g.Store.ListBuckets(ctx, meta.BucketQuery{Limit: meta.MaxPage})
	keep("buckets", buckets, err)
	objects, err := g.Store.ScanObjects(ctx, meta.ObjectPosition{}, meta.MaxPage)
	keep("objects", objects, err)
	uploads, err := g.Store.ScanUploads(ctx, meta.ID{}, meta.MaxPage)
	keep("uploads", uploads, err)
	ledger, err := g.Store.ScanBlobs(ctx, meta.BlobPosition{}, meta.MaxPage)
	keep("ledger", ledger, err)
	users, err := g.Store.ListTenants(ctx, "", meta.MaxPage)
	keep("users", users, err)
	var blobs []backends.Info
	for info, err := range g.Backend.List(ctx, backends.BlobID{}) {
		if err != nil {
			t.Fatalf("backend: %v", err)
		}
		blobs = append(blobs, info)
	}
	keep("blobs", blobs, nil)
	return all
}
