package api_test

import (
	"testing"

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
			{"DELETE", "/bucket/k"}, {"POST", "/bucket/m?uploads"}, {"PUT", "/elsewhere"},
		} {
			expect(t, c.method+" "+c.target, cold.Do(t, warm.Root, c.method, c.target, nil), want.status, want.code)
		}
		expect(t, "a warm bucket", warm.Do(t, warm.Root, "GET", "/bucket/k", nil), 200, "")
		keys.Set(keytest.Works)
	}
	expect(t, "GET", cold.Do(t, warm.Root, "GET", "/bucket/k", nil), 200, "")
}
