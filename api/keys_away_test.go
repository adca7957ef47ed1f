package api_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// Requests for a bucket whose key was disabled or deleted are told so, in the words of AWS
// KMS, and never answered with a denial. A bucket whose keys are in memory is served, and
// so is every bucket once the key is back.
func TestKeysTakenAway(t *testing.T) {
	keys := keytest.NewFake("fake")
	warm := gatewaytest.Start(t, gatewaytest.Options{Keys: keys, Several: true})
	expect(t, "bucket", warm.Do(t, warm.Root, "PUT", "/bucket", nil), 200, "")
	expect(t, "put", warm.Do(t, warm.Root, "PUT", "/bucket/k", []byte("x")), 200, "")
	cold := gatewaytest.Start(t, gatewaytest.Options{Keys: keys, Several: true, Store: warm.Store, Backend: warm.Backend})
	for fault, want := range map[keytest.Fault]struct {
		status int
		code   string
	}{
		keytest.Down: {503, "ServiceUnavailable"}, keytest.Throttled: {503, "ServiceUnavailable"}, keytest.Denied: {503, "ServiceUnavailable"},
		keytest.Disabled: {400, "KMS.DisabledException"}, keytest.PendingDeletion: {400, "KMS.NotFoundException"},
		keytest.Deleted: {400, "KMS.NotFoundException"},
	} {
		keys.Set(fault)
		for _, c := range []struct{ method, target string }{
			{"GET", "/bucket/k"}, {"PUT", "/bucket/new"}, {"GET", "/bucket/k?tagging"}, {"GET", "/bucket?list-type=2"},
			{"POST", "/bucket/m?uploads"}, {"PUT", "/elsewhere"},
		} {
			expect(t, c.method+" "+c.target, cold.Do(t, warm.Root, c.method, c.target, nil), want.status, want.code)
		}
		expect(t, "a warm bucket", warm.Do(t, warm.Root, "GET", "/bucket/k", nil), 200, "")
		keys.Set(keytest.Works)
	}
	expect(t, "GET", cold.Do(t, warm.Root, "GET", "/bucket/k", nil), 200, "")
}

// An owner whose key is gone can still clear the bucket: root removes the policy, because it
// may deny the rest; then the objects, then the bucket.
// Nothing is done that takes a proof: a version in a bucket with locks stays, and so do the
// bytes of deleted objects at the backend.
func TestLostKeyLeavesDeletion(t *testing.T) {
	for fault, code := range map[keytest.Fault]string{keytest.Deleted: "KMS.NotFoundException", keytest.Disabled: "KMS.DisabledException"} {
		keys := keytest.NewFake("fake")
		before := gatewaytest.Start(t, gatewaytest.Options{Keys: keys, Several: true})
		alice := before.User(t, "alice")
		before.Must(t, 200, "PUT", "/bucket", nil)
		before.Must(t, 200, "PUT", "/locked", nil, "X-Amz-Bucket-Object-Lock-Enabled", "true")
		before.Must(t, 200, "PUT", "/bucket/k", []byte("x"))
		version := before.Must(t, 200, "PUT", "/locked/k", []byte("x")).Header.Get("X-Amz-Version-Id")
		before.Must(t, 204, "PUT", "/bucket?policy", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",`+
			`"Action":["s3:DeleteObject","s3:PutBucketCORS"],"Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/*"]}]}`))
		before.Must(t, 200, "PUT", "/bucket?publicAccessBlock", []byte("<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>"))
		before.Must(t, 200, "PUT", "/bucket?cors", []byte("<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"))
		g := gatewaytest.Start(t, gatewaytest.Options{Keys: keys, Several: true, Store: before.Store, Backend: before.Backend, Grace: -1})
		blobs := stored(t, g)
		keys.Set(fault)
		for _, c := range []struct {
			by             accounts.Credential
			method, target string
			status         int
			code           string
		}{
			{before.Root, "DELETE", "/bucket/k", 400, code}, {before.Root, "DELETE", "/bucket?cors", 400, code},
			{alice, "DELETE", "/bucket?policy", 400, code},
			{before.Root, "DELETE", "/bucket?policy", 204, ""}, {alice, "DELETE", "/bucket/k", 400, code},
			{alice, "DELETE", "/bucket", 400, code}, {before.Root, "PUT", "/bucket/new", 400, code},
			{before.Root, "GET", "/bucket/k", 400, code}, {before.Root, "DELETE", "/bucket/k", 204, ""},
			{before.Root, "DELETE", "/locked/k?versionId=" + version, 400, code}, {before.Root, "DELETE", "/locked/k", 400, code},
			{before.Root, "DELETE", "/locked", 409, "BucketNotEmpty"}, {before.Root, "DELETE", "/bucket", 204, ""},
		} {
			expect(t, c.method+" "+c.target, g.Do(t, c.by, c.method, c.target, nil), c.status, c.code)
		}
		for range 3 {
			if _, err := g.Engine.Blobs().Collect(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := stored(t, g); n != blobs {
			t.Errorf("%d blobs are stored, and were %d before a deletion that proved nothing", n, blobs)
		}
		keys.Set(keytest.Works)
		expect(t, "restored", g.Do(t, before.Root, "GET", "/locked/k", nil), 200, "")
	}
}

// stored is how many blobs the backend has.
func stored(t *testing.T, g *gatewaytest.Gateway) (n int) {
	t.Helper()
	for _, err := range g.Backend.List(t.Context(), backends.BlobID{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}
